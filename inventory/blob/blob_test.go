package blob

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func open(t testing.TB, limit int64) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "documents"), limit)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPutAndOpen(t *testing.T) {
	s := open(t, 0)
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, appendix B.1
	for range 2 {
		digest, size, err := s.Put(strings.NewReader("abc"))
		if err != nil || digest != want || size != 3 {
			t.Fatalf("%s, %d, %v", digest, size, err)
		}
	}
	data, err := s.Read(want)
	if err != nil || string(data) != "abc" {
		t.Fatalf("%q, %v", data, err)
	}
	info, err := os.Stat(filepath.Join(s.dir, "ba", "78", want))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("a file has the mode %v", info.Mode())
	}
	if left, _ := os.ReadDir(s.arriving()); len(left) != 0 {
		t.Errorf("%d files are still arriving", len(left))
	}
}

func TestOnlyDigestsArePaths(t *testing.T) {
	s := open(t, 0)
	secret := filepath.Join(filepath.Dir(s.dir), "berth.db")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, digest := range []string{"", "..", "../berth.db", "../../berth.db", secret, strings.Repeat("../", 20) + "etc/passwd",
		strings.Repeat("A", 64), strings.Repeat("g", 64), strings.Repeat("a", 63), "..%2f" + strings.Repeat("a", 59), strings.Repeat("a", 63) + "\x00"} {
		if f, err := s.Open(digest); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v, %v", digest, f, err)
		}
	}
	if _, err := s.Open(strings.Repeat("a", 64)); !errors.Is(err, ErrNotFound) {
		t.Errorf("a digest that is not here: %v", err)
	}
}

func TestLimit(t *testing.T) {
	s := open(t, 10)
	if _, _, err := s.Put(strings.NewReader("0123456789")); err != nil {
		t.Errorf("a file of exactly the limit: %v", err)
	}
	var large *TooLarge
	if _, _, err := s.Put(strings.NewReader("0123456789a")); !errors.As(err, &large) || large.Limit != 10 {
		t.Errorf("a file above the limit: %v", err)
	}
	assertNothingLeft(t, s, 1)
}

type failing struct{ r io.Reader }

var errBroken = errors.New("the line broke")

func (f failing) Read(b []byte) (int, error) {
	n, err := f.r.Read(b)
	if err == io.EOF {
		err = errBroken
	}
	return n, err
}

func TestBrokenUploadLeavesNothing(t *testing.T) {
	s := open(t, 0)
	if _, _, err := s.Put(failing{strings.NewReader("half")}); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
	assertNothingLeft(t, s, 0)
	// A crash leaves a file behind, which the next start takes away.
	if err := os.WriteFile(filepath.Join(s.arriving(), "upload-1"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.dir, 0); err != nil {
		t.Fatal(err)
	}
	assertNothingLeft(t, s, 0)
}

// assertNothingLeft counts the files below the directory.
func assertNothingLeft(t *testing.T, s *Store, want int) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(s.dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		return err
	})
	if err != nil || files != want {
		t.Errorf("%d files are left, not %d (%v)", files, want, err)
	}
}

func TestSameFileAtOnce(t *testing.T) {
	s := open(t, 0)
	data := bytes.Repeat([]byte("photo"), 50_000)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, _, err := s.Put(bytes.NewReader(data)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	assertNothingLeft(t, s, 1)
}

func TestMediaType(t *testing.T) {
	cases := map[string]string{
		"%PDF-1.7\n":                             "application/pdf",
		"\xff\xd8\xff\xe0":                       "image/jpeg",
		"\x89PNG\r\n\x1a\n":                      "image/png",
		"GIF89a":                                 "image/gif",
		"RIFF\x00\x00\x00\x00WEBPVP8 ":           "image/webp",
		"PK\x03\x04":                             "application/zip",
		"<html><script>alert(1)</script>":        "text/plain",
		"<svg onload=alert(1)>":                  "text/plain",
		"Rechnung über 3 Server\r\n":             "text/plain",
		"":                                       Unknown,
		"MZ\x90\x00":                             Unknown,
		"\xff\xfe<\x00h\x00t\x00m\x00l\x00>\x00": Unknown,
		"GIF89":                                  "text/plain",
	}
	for head, want := range cases {
		if got := MediaType([]byte(head)); got != want {
			t.Errorf("%q: %s, not %s", head, got, want)
		}
	}
	cut := []byte(strings.Repeat("a", 511) + "ü")[:512]
	if got := MediaType(cut); got != "text/plain" {
		t.Errorf("a text cut within a character: %s", got)
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("ü", 300) + ".pdf"
	cases := []struct{ sent, name, disposition string }{
		{"invoice.pdf", "invoice.pdf", `attachment; filename=invoice.pdf`},
		{"two words.pdf", "two words.pdf", `attachment; filename="two words.pdf"`},
		{"../../etc/passwd", "passwd", `attachment; filename=passwd`},
		{`C:\Users\anna\scan.png`, "scan.png", `attachment; filename=scan.png`},
		{"..", "document", `attachment; filename=document`},
		{" . ", "document", `attachment; filename=document`},
		{"", "document", `attachment; filename=document`},
		{"a\r\nSet-Cookie: x=1.txt", "aSet-Cookie: x=1.txt", `attachment; filename="aSet-Cookie: x=1.txt"`},
		{"inv\u202efdp.exe", "invfdp.exe", `attachment; filename=invfdp.exe`},
		{`quo"te;%41.txt`, `quo"te;%41.txt`, `attachment; filename=quo_te__41.txt; filename*=UTF-8''quo%22te%3B%2541.txt`},
		{"Größe.pdf", "Größe.pdf", `attachment; filename=Gr__e.pdf; filename*=UTF-8''Gr%C3%B6%C3%9Fe.pdf`},
		{"bad\xff.bin", "bad�.bin", `attachment; filename=bad_.bin; filename*=UTF-8''bad%EF%BF%BD.bin`},
	}
	for _, c := range cases {
		if got := Name(c.sent); got != c.name {
			t.Errorf("%q is called %q, not %q", c.sent, got, c.name)
		}
		if got := Disposition(c.sent); got != c.disposition {
			t.Errorf("%q is handed out as\n%s, not\n%s", c.sent, got, c.disposition)
		}
	}
	if got := []rune(Name(long)); len(got) != 200 || !strings.HasSuffix(string(got), ".pdf") {
		t.Errorf("a long name has %d characters and ends %q", len(got), string(got[190:]))
	}
}

func FuzzDisposition(f *testing.F) {
	f.Add("a\r\nb\".pdf")
	f.Fuzz(func(t *testing.T, sent string) {
		for _, r := range Disposition(sent) {
			if r < ' ' || r > '~' {
				t.Fatalf("%q is handed out with the character %U in the header", sent, r)
			}
		}
		if name := Name(sent); strings.ContainsAny(name, "/\\\x00\r\n") || name == "" || len([]rune(name)) > 200 {
			t.Fatalf("%q is called %q", sent, name)
		}
	})
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 50 << 20: "50 MiB", 3 << 40: "3 TiB"} {
		if got := Size(n); got != want {
			t.Errorf("%d: %s, not %s", n, got, want)
		}
	}
}

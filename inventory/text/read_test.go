package text

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/inventory"
)

// faults reads one file and returns what is wrong with it.
func faults(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	data := map[string][]byte{}
	for name, s := range files {
		data[name] = []byte(s)
	}
	_, err := Read(data)
	var invalid *inventory.Invalid
	if err != nil && !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	if err == nil {
		return nil
	}
	return invalid.Fields
}

// TestRefused: what no export writes is refused, with its file and line.
func TestRefused(t *testing.T) {
	bomb := "a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b]\n"
	for name, test := range map[string]struct{ file, body, at, why string }{
		"unknown field":          {"racks/a.yaml", "name: a\nheigth: 3\n", "racks/a.yaml:2", `no field "heigth"`},
		"read-only field":        {"shipments/a.yaml", "reference: a\nphase: lost\n", "shipments/a.yaml:2", "no field"},
		"hidden field":           {"accounts/a.yaml", "name: a\npassword_hash: x\n", "accounts/a.yaml:2", "no field"},
		"unknown note":           {"sites/a.yaml", "name: a\nnoted:\n  name: b\n", "sites/a.yaml:3", "berth notes no"},
		"unknown kind":           {"rakcs/a.yaml", "name: a\n", "rakcs/a.yaml", "no kind of record"},
		"journal":                {"events/a.yaml", "text: a\n", "events/a.yaml", "no kind of record"},
		"view":                   {"machines/a.yaml", "name: a\n", "machines/a.yaml", "no kind of record"},
		"attached alone":         {"comments/a.yaml", "text: a\n", "comments/a.yaml", "no kind of record"},
		"path":                   {"../racks/a.yaml", "name: a\n", "../racks/a.yaml", "not the name of a file"},
		"deep path":              {"racks/../../a.yaml", "name: a\n", "racks/../../a.yaml", "not the name of a file"},
		"alias":                  {"sites/a.yaml", bomb, "sites/a.yaml:1", "anchors and aliases"},
		"merge":                  {"sites/a.yaml", "name: a\n<<: {b: c}\n", "sites/a.yaml:2", "no plain word"},
		"twice":                  {"sites/a.yaml", "name: a\nname: b\n", "sites/a.yaml:2", "stands there twice"},
		"tag":                    {"sites/a.yaml", "name: !!binary aGk=\n", "sites/a.yaml:1", "tags such as"},
		"two documents":          {"sites/a.yaml", "name: a\n---\nname: b\n", "sites/a.yaml:2", "more than one document"},
		"not a mapping":          {"sites/a.yaml", "- a\n", "sites/a.yaml:1", "is a mapping"},
		"not YAML":               {"sites/a.yaml", "name: [a\n", "sites/a.yaml", "cannot be read"},
		"empty":                  {"sites/a.yaml", "", "sites/a.yaml", "is empty"},
		"number":                 {"sites/a.yaml", "name: a\nsupply_voltage_v: much\n", "sites/a.yaml:2", "not a whole number"},
		"bool":                   {"racks/a.yaml", "name: a\ndesc_units: yes\n", "racks/a.yaml:2", "true or false"},
		"list for a text":        {"sites/a.yaml", "name: [a]\n", "sites/a.yaml:1", "one value"},
		"text for a list":        {"subnets/a.yaml", "name: a\npools: x\n", "subnets/a.yaml:2", "is a list"},
		"time":                   {"assets/a.yaml", "asset_tag: a\nacquired_at: 2026-13-01\n", "assets/a.yaml:2", "not a time"},
		"uid":                    {"sites/a.yaml", "uid: ../../etc/passwd\n", "sites/a.yaml:1", "32 hexadecimal digits"},
		"said by its place":      {"devices/a.yaml", "name: a\ninterfaces:\n- name: eth0\n  device: b\n", "devices/a.yaml:4", "said by the place"},
		"parts that are no list": {"devices/a.yaml", "name: a\ninterfaces: eth0\n", "devices/a.yaml:2", "are a list"},
		"deep data":              {"device-types/a.yaml", "model: a\nparts: " + strings.Repeat("[", 60) + strings.Repeat("]", 60) + "\n", "device-types/a.yaml:2", "nested deeper"},
	} {
		t.Run(name, func(t *testing.T) {
			got := faults(t, map[string]string{test.file: test.body})
			if !strings.Contains(got[test.at], test.why) {
				t.Errorf("got %q, want %s: …%s…", got, test.at, test.why)
			}
		})
	}
	uid := "uid: 0123456789abcdef0123456789abcdef\nname: %s\n"
	got := faults(t, map[string]string{"sites/a.yaml": fmt.Sprintf(uid, "a"), "sites/b.yaml": fmt.Sprintf(uid, "b")})
	if !strings.Contains(got["sites/b.yaml:1"], "the same uid stands in sites/a.yaml:1") {
		t.Errorf("the same uid twice: %q", got)
	}
	got = faults(t, map[string]string{"sites/a.yaml": "slug: x\nname: a\n", "sites/b.yaml": "slug: x\nname: b\n"})
	if !strings.Contains(got["sites/b.yaml:1"], `the slug "x" stands in sites/a.yaml:1 too`) {
		t.Errorf("the same slug twice: %q", got)
	}
}

// FuzzRead: a file that anybody wrote is read or refused, and never ends the server.
func FuzzRead(f *testing.F) {
	f.Add([]byte("name: a\ninterfaces:\n- name: eth0\n  comments:\n  - text: |\n      x\n"))
	f.Add([]byte("noted: {created_at: 2026-01-01T00:00:00Z}\nhost_keys: [a]\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 100_000 {
			t.Skip()
		}
		for _, name := range []string{"devices/a.yaml", "device-types/a.yaml", "shipments/a.yaml"} {
			d, err := Read(map[string][]byte{name: data})
			if err == nil && len(d.entries) == 0 {
				t.Error("a file was read to nothing, without a word")
			}
		}
	})
}

// TestFileNames: a name leads nowhere, whatever the key.
func TestFileNames(t *testing.T) {
	uid := inventory.UID("0123456789abcdef0123456789abcdef")
	for key, want := range map[string]string{
		"R1": "R1", "node-1.example.org": "node-1.example.org", "": string(uid), "10.0.0.0/8": "10.0.0.0%2F8", "../../etc/passwd": "%2E./../etc/passwd",
		".git": "%2Egit", "a b": "a%20b", "-rf": "%2Drf", "NUL": "NUL~01234567", "ä": "%C3%A4", "a\x00": "a%00", "a~b": "a%7Eb", "50%": "50%25",
	} {
		want = strings.ReplaceAll(want, "./../etc/", ".%2F..%2Fetc%2F")
		if got := fileName(key, uid); got != want {
			t.Errorf("%q is %q, want %q", key, got, want)
		}
		if !ours("sites/" + fileName(key, uid) + ".yaml") {
			t.Errorf("%q is a name that Unpack refuses", key)
		}
	}
	if got := fileName(strings.Repeat("x", 500), uid); len(got) > maxName+20 || !strings.HasSuffix(got, "~01234567") {
		t.Errorf("a long key is %q", got)
	}
}

func archive(t *testing.T, files ...string) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i+1 < len(files); i += 2 {
		if err := writeEntry(w, files[i], int64(len(files[i+1])), strings.NewReader(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// TestUnpack: files are written, those of objects that are gone are removed, what is not ours stays, and nothing leads outside.
func TestUnpack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "record")
	if _, err := Unpack(archive(t, Marker, markerText, "sites/a.yaml", "name: a\n", "sites/b.yaml", "name: b\n"), dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte("ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Unpack(archive(t, Marker, markerText, "sites/a.yaml", "name: a\n"), dir)
	if want := (Written{Files: 2, Removed: 1}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "sites/b.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file of an object that is gone: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "README.md")); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"../a.yaml", "sites/../../a.yaml", "/etc/a.yaml", "sites/.a.yaml", "sites/a/b.yaml", "events/a.sh", BlobFolder + "/../x", ".git/config"} {
		if _, err := Unpack(archive(t, Marker, markerText, name, "x"), t.TempDir()); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	if _, err := Unpack(archive(t, "sites/c.yaml", "x"), dir); err == nil {
		t.Error("half an export was taken for a whole one")
	}
	if _, err := os.Stat(filepath.Join(dir, "sites/a.yaml")); err != nil {
		t.Errorf("half an export removed what its other half has: %v", err)
	}
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Unpack(archive(t, Marker, markerText), foreign); !errors.Is(err, ErrForeign) {
		t.Errorf("a directory of somebody else's: %v", err)
	}
}

// TestUnpackThroughLinks: a link in the directory does not lead a file out of it.
func TestUnpackThroughLinks(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if _, err := Unpack(archive(t, Marker, markerText), dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "sites")); err != nil {
		t.Fatal(err)
	}
	if _, err := Unpack(archive(t, Marker, markerText, "sites/a.yaml", "x"), dir); err == nil {
		t.Error("it followed the link")
	}
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Errorf("written outside: %v", entries)
	}
}

// TestPack: the directory travels whole, without what is not the record's; a misspelled folder is told.
func TestPack(t *testing.T) {
	dir := t.TempDir()
	write := func(name, body string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(body), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	digest, _, err := sumOf(strings.NewReader("paper"))
	if err != nil {
		t.Fatal(err)
	}
	write(Marker, markerText)
	write("sites/a.yaml", "name: a\n")
	write("sites/notes.txt", "x")
	write(".git/config.yaml", "x")
	write("documents/blobs/"+digest, "paper")
	var b bytes.Buffer
	if err := Pack(dir, &b); err != nil {
		t.Fatal(err)
	}
	d, err := ReadTar(&b, nil)
	if err != nil || d.Err() != nil || !d.Whole || len(d.entries) != 1 || !d.blobs[digest] {
		t.Errorf("got %+v, %v, %v", d, err, d.Err())
	}
	write("rakcs/a.yaml", "name: a\n")
	if err := Pack(dir, &b); err == nil || !strings.Contains(err.Error(), "rakcs") {
		t.Errorf("got %v", err)
	}
	d, err = ReadTar(archive(t, BlobFolder+"/"+digest, "forged"), nil)
	if err != nil || d.Err() == nil {
		t.Errorf("bytes that are not what their name says: %v", err)
	}
	if _, err := ReadTar(strings.NewReader(strings.Repeat("x", 2000)), nil); err == nil {
		t.Error("what is no archive was taken for one")
	}
}

// TestCommit reads a commit's id the ways git writes it.
func TestCommit(t *testing.T) {
	id, other := strings.Repeat("ab", 20), strings.Repeat("cd", 20)
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"branch":   {map[string]string{".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": id + "\n"}, id},
		"packed":   {map[string]string{".git/HEAD": "ref: refs/heads/main\n", ".git/packed-refs": "# pack-refs\n" + other + " refs/heads/x\n" + id + " refs/heads/main\n"}, id},
		"detached": {map[string]string{".git/HEAD": id + "\n"}, id},
		"worktree": {map[string]string{".git": "gitdir: repo/worktrees/w\n", "repo/worktrees/w/HEAD": "ref: refs/heads/b\n", "repo/worktrees/w/commondir": "../..\n", "repo/refs/heads/b": id}, id},
		"unborn":   {map[string]string{".git/HEAD": "ref: refs/heads/main\n"}, ""},
		"hostile":  {map[string]string{".git/HEAD": "ref: ../../../etc/passwd\n"}, ""},
		"garbage":  {map[string]string{".git/HEAD": "<script>\n"}, ""},
		"none":     {nil, ""},
	} {
		dir := t.TempDir()
		for file, body := range test.files {
			path := filepath.Join(dir, file)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(body), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		below := filepath.Join(dir, "record")
		if err := os.MkdirAll(below, 0o700); err != nil {
			t.Fatal(err)
		}
		if got := Commit(below); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

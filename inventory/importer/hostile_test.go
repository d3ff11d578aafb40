package importer

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"berth/inventory"
	"berth/inventory/importer/sample"
)

// empty is a record without anything in it, for what must not get as far.
type empty struct{}

func (empty) List(context.Context, *inventory.Noun, inventory.Query) (inventory.Page, error) {
	return inventory.Page{}, nil
}

func (empty) Get(context.Context, *inventory.Noun, string) (inventory.Object, error) {
	return nil, inventory.ErrNotFound
}

func look(src Source, opt Options) (*Plan, error) {
	return Check(context.Background(), empty{}, time.Unix(1e9, 0), anna, src, opt)
}

// zipOf packs one file.
func zipOf(t testing.TB, name string, content io.Reader) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	f, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestHostileSources refuses what would cost memory, with a sentence, or lists it as an error of a row.
func TestHostileSources(t *testing.T) {
	bomb := zipOf(t, "assets.csv", io.LimitReader(zeros{}, 64<<20))
	var many bytes.Buffer
	w := zip.NewWriter(&many)
	for i := range maxEntries + 1 {
		if _, err := w.Create(fmt.Sprintf("f%d.csv", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	g := gzip.NewWriter(&packed)
	if _, err := io.Copy(g, io.LimitReader(zeros{}, 256<<20)); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	asset := Options{Noun: "asset"}
	for _, c := range []struct {
		name string
		file string
		data []byte
		opt  Options
		says string
	}{
		{"an entry that unpacks to a thousand times its size", "x.zip", bomb, asset, "unpacks to more than"},
		{"an archive of very many files", "x.zip", many.Bytes(), asset, "files"},
		{"a gzip of zeros", "x.csv.gz", packed.Bytes(), asset, "larger than"},
		{"a table of zeros", "x.csv", bytes.Repeat([]byte("a\x00,"), 1000), asset, "NUL"},
		{"a line of a million columns", "x.csv", bytes.Repeat([]byte(","), 1_000_000), asset, "columns"},
		{"one endless line", "x.csv", bytes.Repeat([]byte("x"), 8<<20), asset, "64 KiB"},
		{"a quote that never ends", "x.csv", []byte("\"asset_tag"), asset, "never ends"},
		{"nothing at all", "x.csv", nil, asset, "is empty"},
		{"a zip that is cut off", "x.zip", bomb[:len(bomb)-30], asset, "zip"},
		{"a picture called a table", "x.csv", []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), asset, "NUL"},
		{"a table nobody knows", "x.csv", []byte("foo,bar\n1,2\n"), Options{}, "cannot be told"},
		{"a table of another format", "x.csv", []byte("foo,bar\n1,2\n"), Options{Format: "snipeit"}, "not those of snipeit"},
		{"a dump of another program", "x.sql", []byte("INSERT INTO `users` VALUES (1);"), Options{}, "no table Object"},
		{"a dump that is cut off", "x.sql", []byte("INSERT INTO `Object` VALUES (1,'na"), Options{}, "does not end"},
		{"a workbook that is none", "x.xlsx", append([]byte("PK\x03\x04"), make([]byte, 100)...), asset, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := look(Bytes(c.file, c.data), c.opt)
			var unreadable *Unreadable
			if !errors.As(err, &unreadable) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the answer is %v; it should speak of %q", err, c.says)
			}
		})
	}
}

// TestHostileYAML lists a library's bad files and takes the good one.
func TestHostileYAML(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nmanufacturer: *c\n"
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	_, good := sample.DeviceType(rand.New(rand.NewPCG(1, 1)), 1)
	for name, text := range map[string]string{
		"aliases.yaml": bomb, "deep.yaml": "manufacturer: " + strings.Repeat("[", 5000), "binary.yaml": "\x00\x01\x02", "scalar.yaml": "just a word", "empty.yaml": "",
		"wrong.yaml": "manufacturer: Dell\nmodel: X\nu_height: tall\n", "good.yaml": good, "huge.yaml": "manufacturer: Dell\nmodel: " + noise(maxYAML),
		"height.yaml": "manufacturer: Dell\nmodel: Y\nu_height: 1000\nis_full_depth: true\n",
	} {
		f, err := w.Create("device-types/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p, err := look(Bytes("library.zip", buf.Bytes()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]bool{}
	for _, e := range p.report.Errors {
		files[e.File] = true
	}
	if len(files) != 8 || files["device-types/good.yaml"] {
		t.Errorf("errors in %v", p.report.Errors)
	}
}

// noise does not pack well.
func noise(n int) string {
	rng, b := rand.New(rand.NewPCG(1, 1)), make([]byte, n)
	for i := range b {
		b[i] = byte('a' + rng.IntN(26))
	}
	return string(b)
}

func TestEncodings(t *testing.T) {
	const text = "asset_tag,name\nI-1,Gerät №\n"
	var little, big []byte
	for _, u := range utf16.Encode([]rune(text)) {
		little, big = binary.LittleEndian.AppendUint16(little, u), binary.BigEndian.AppendUint16(big, u)
	}
	for name, data := range map[string][]byte{
		"UTF-8": []byte(text), "UTF-8 with a mark": append([]byte("\xEF\xBB\xBF"), text...), "UTF-16, little end first": append([]byte{0xFF, 0xFE}, little...),
		"UTF-16, big end first": append([]byte{0xFE, 0xFF}, big...), "UTF-16 without a mark": little, "UTF-16 without a mark, big end first": big,
	} {
		if got, err := decode(name, data); err != nil || got != text {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := decode("", []byte("K\xe4fig \x80")); err != nil || got != "Käfig €" {
		t.Errorf("Windows-1252: %q, %v", got, err)
	}
}

func TestDelimiters(t *testing.T) {
	for text, want := range map[string]byte{
		"a,b,c\n1,2,3\n": ',', "a;b;c\n1,5;2;3\n": ';', "a\tb\n\"1,2\"\t3\n": '\t', "a|b\n1|2\n": '|', "sep=;\na;b\n": ';', "a\n1\n": ',',
		"name;notes\nx;one, two, three, four\ny;five, six\n": ';',
	} {
		if got, _ := sniff(text); got != want {
			t.Errorf("%q is cut at %q, not at %q", text, got, want)
		}
	}
}

func TestDates(t *testing.T) {
	for _, c := range []struct {
		text, order string
		want        inventory.Date
	}{
		{"2024-05-06", "", "2024-05-06"}, {"2024/5/6", "", "2024-05-06"}, {"06.05.2024", "", "2024-05-06"}, {"25/03/2024", "", "2024-03-25"}, {"03/25/2024", "", "2024-03-25"},
		{"03/04/2024", "", ""}, {"03/04/2024", "dmy", "2024-04-03"}, {"03/04/2024", "mdy", "2024-03-04"}, {"05/05/2024", "", "2024-05-05"}, {"6 May 2024", "", "2024-05-06"},
		{"May 6, 2024", "", "2024-05-06"}, {"2024-05-06T10:00:00Z", "", "2024-05-06"}, {"2024-05-06 10:00", "", "2024-05-06"}, {"2024-02-30", "", ""}, {"soon", "", ""}, {"31.02.2024", "", ""},
	} {
		got, err := parseDate(c.text, c.order)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q (%s) is %q, %v; it should be %q", c.text, c.order, got, err, c.want)
		}
	}
}

// TestAllErrorsAtOnce lists every fault of a table with row, column, value and a sentence.
func TestAllErrorsAtOnce(t *testing.T) {
	s := sqlite(t)
	text := "asset_tag,kind,site,acquired_at,cost_amount,warranty_end,weight_grams\n" +
		"A1,device,nowhere,2024-01-01,,,\n" +
		"A2,spaceship,,yesterday,,,\n" +
		"A1,device,,,12.345,,heavy\n" +
		"A3,device,,,\"12,50\",,\n" +
		"A4,device,,,,2024-13-01,,extra\n"
	p := check(t, s, Bytes("t.csv", []byte(text)), Options{Noun: "asset", Currency: "EUR"})
	var got []string
	for _, e := range p.report.Errors {
		if e.Why == "" {
			t.Errorf("no sentence: %+v", e)
		}
		got = append(got, fmt.Sprintf("%d %s %s", e.Row, e.Column, e.Value))
	}
	want := []string{"2 site nowhere", "3 acquired_at yesterday", "3 kind spaceship", "4  A1", "5 cost_amount 12,50", "6  "}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the errors are\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	im := &Importer{Record: s}
	if _, err := im.Apply(t.Context(), inventory.NewRequest(anna, ""), p, ""); err == nil {
		t.Error("a plan with errors was applied")
	}
	if n := len(all[inventory.Asset](t, s)); n != 0 {
		t.Errorf("%d assets were made all the same", n)
	}
}

// TestClashes finds two devices in one place, whether both come or one stands there.
func TestClashes(t *testing.T) {
	s := sqlite(t)
	head := "name,role,manufacturer,device_type,site,rack,position,face,status\n"
	apply(t, s, Bytes("d.csv", []byte(head+"old,x,Dell,R640,fra1,r1,3,front,active\n")), Options{})
	p := check(t, s, Bytes("d.csv", []byte(head+"new,x,Dell,R640,fra1,r1,3,front,active\na,x,Dell,R640,fra1,r1,7,front,active\nb,x,Dell,R640,fra1,r1,7,front,active\nc,x,Dell,R640,fra1,r1,77,front,active\n")), Options{})
	var rows []int
	for _, e := range p.report.Errors {
		rows = append(rows, e.Row)
	}
	if fmt.Sprint(rows) != "[2 3 4 5]" {
		t.Errorf("errors in rows %v: %+v", rows, p.report.Errors)
	}
}

// TestProtection never lowers what keeps a disk from being written.
func TestProtection(t *testing.T) {
	s := sqlite(t)
	table := func(role string) Source {
		return Bytes("c.csv", []byte("kind,serial,slot,disk_role\ndisk,S3Z8NB0KA04011,0,"+role+"\n"))
	}
	opt := Options{Noun: "component"}
	apply(t, s, table("scratch"), opt)
	apply(t, s, table("keep"), opt)
	for _, role := range []string{"root", "scratch", "ceph-osd"} {
		if p := check(t, s, table(role), opt); len(p.report.Errors) != 1 || p.report.Errors[0].Column != "disk_role" {
			t.Errorf("from keep to %s: %+v", role, p.report.Errors)
		}
	}
	apply(t, s, table(""), opt)
	if c := all[inventory.Component](t, s)[0]; c.DiskRole != "keep" {
		t.Errorf("an empty cell made the role %q", c.DiskRole)
	}
}

// TestRights keeps amounts and administration from those who have no right to them.
func TestRights(t *testing.T) {
	s := sqlite(t)
	otto := inventory.Actor{Name: "otto", Level: inventory.LevelOperator}
	for _, c := range []struct{ noun, text, says string }{
		{"asset", "asset_tag,cost_amount\nA1,5\nA2,6\n", "amounts of money"},
		{"account", "name,level\neve,admin\n", "access level admin"},
		{"subnet", "name,prefix\nx,10.0.0.0/24\n", "access level admin"},
	} {
		p, err := Check(t.Context(), s, time.Now(), otto, Bytes("t.csv", []byte(c.text)), Options{Noun: c.noun, Currency: "EUR"})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.report.Errors) != 1 || !strings.Contains(p.report.Errors[0].Why, c.says) {
			t.Errorf("%s: %+v", c.noun, p.report.Errors)
		}
	}
	for _, noun := range []string{"change", "operation", "token"} {
		if _, err := look(Bytes("t.csv", []byte("name\nx\n")), Options{Noun: noun}); err == nil {
			t.Errorf("a %s can be imported", noun)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add([]byte("asset_tag,serial\nA1,\"x\"\"y\"\r\nA2\n"))
	f.Add([]byte("\xff\xfea\x00,\x00b\x00\n\x00"))
	f.Add([]byte("sep=;\nasset_tag;notes\n'=1+1;\"line\nbreak\"\n"))
	f.Add([]byte("name,role,device_type,site,rack,position,status\n\"\",x,y,z,r,99,inventory\n"))
	f.Add([]byte("HB.name,HB.location,HB.import_ref,HB.parent_import_ref\na,x/y/z,1,1\nb,/,2,1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, opt := range []Options{{Noun: "asset"}, {Noun: "component"}, {}} {
			_, _ = look(Bytes("t.csv", data), opt) // anything but a panic
		}
	})
}

func FuzzDump(f *testing.F) {
	f.Add([]byte("CREATE TABLE `Object` (\n `id` int,\n `name` char\n);\nINSERT INTO `Object` VALUES (1,'a\\'b'),(2,NULL),(3,0xFF);"))
	f.Add([]byte("INSERT INTO `RackSpace` (`rack_id`,`object_id`) VALUES (1,2);/* x */ -- y\n#z"))
	f.Add([]byte("INSERT INTO Object VALUES(_binary 'x',)"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = parseDump("x.sql", data, racktablesTables)
		_, _ = look(Bytes("x.sql", data), Options{Format: "racktables"})
	})
}

func FuzzModel(f *testing.F) {
	_, text := sample.DeviceType(rand.New(rand.NewPCG(1, 1)), 1)
	f.Add([]byte(text))
	f.Add([]byte("manufacturer: a\nmodel: b\ninterfaces: [{name: 1}, 2, {name: [x]}]\nweight: 1e300\nattributes: {a: {b: c}}\n"))
	f.Add([]byte("form_factor: 4-post-cabinet\nmanufacturer: a\nmodel: b\nu_height: -1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = look(Bytes("x.yaml", data), Options{})
	})
}

func FuzzArchive(f *testing.F) {
	f.Add(zipOf(f, "assets.csv", strings.NewReader("asset_tag\nA1\n")))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = look(Bytes("x.zip", data), Options{Noun: "asset"})
	})
}

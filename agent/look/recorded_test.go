package look

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/inventory"
)

var update = flag.Bool("update", false, "write what is judged now as what is right")

// golden holds facts against the file beside the material they were judged from.
func golden(t *testing.T, file string, facts inventory.Facts) {
	t.Helper()
	got, err := json.MarshalIndent(facts, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what is judged now:\n%s", file, got)
	}
}

var day = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func TestRecordedMachines(t *testing.T) {
	files, err := filepath.Glob("testdata/*.tar.gz")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			recording, err := ReadRecording(bytes.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			facts := Facts(recording, day, "52:54:00:aa:00:01")
			checkStrings(t, facts)
			golden(t, strings.TrimSuffix(file, ".tar.gz")+".json", facts)

			again, facts2 := Record(recording, day)
			facts2.ObservedAt = facts.ObservedAt
			var first, second bytes.Buffer
			if err := again.Write(&first); err != nil {
				t.Fatal(err)
			}
			copied, err := ReadRecording(bytes.NewReader(first.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			if err := copied.Write(&second); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Error("a recording of a recording, written and read, is another")
			}
		})
	}
}

// The tables of real machines, as dmidecode dumps them: the entry point, and the table from offset 32.
func TestRealTables(t *testing.T) {
	files, err := filepath.Glob("testdata/smbios/*.bin")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tables: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all, err := parseSMBIOS(raw[32:])
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		var facts inventory.Facts
		judgeSMBIOS(all, smbiosVersion(raw), &facts)
		golden(t, strings.TrimSuffix(file, ".bin")+".json", facts)
	}
}

// A machine whose word is cut or bent anywhere is still looked at to the end.
func FuzzRecording(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.tar.gz")
	recordings := make([]*Recording, len(files))
	for i, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if recordings[i], err = ReadRecording(bytes.NewReader(raw)); err != nil {
			f.Fatal(err)
		}
		f.Add(i, "file/sys/firmware/dmi/tables/DMI", []byte{1, 2, 3})
		f.Add(i, "ask/disks/all", []byte(`[{"name":"../../x","transport":"nvme"}]`))
		f.Add(i, "file/proc/cpuinfo", []byte("processor: 0\n\n"))
		f.Add(i, "dir/sys/class/net", []byte("a\nb"))
		f.Add(i, "ask/ata-smart-data/sda", make([]byte, 512))
	}
	f.Fuzz(func(t *testing.T, which int, entry string, value []byte) {
		from := recordings[uint(which)%uint(len(recordings))]
		bent := &Recording{entries: map[string][]byte{}}
		for name, v := range from.entries {
			bent.entries[name] = v
		}
		bent.entries[entry] = value
		checkStrings(t, Facts(bent, day, ""))
	})
}

func TestReadRecordingRefuses(t *testing.T) {
	for name, raw := range map[string][]byte{"nothing": nil, "text": []byte("hello"), "cut": cutRecording(t)} {
		if _, err := ReadRecording(bytes.NewReader(raw)); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

func cutRecording(t *testing.T) []byte {
	raw, err := os.ReadFile("testdata/qemu-bios.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	return raw[:len(raw)/2]
}

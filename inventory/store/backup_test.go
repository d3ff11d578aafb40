package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"berth/internal/pgtest"
	"berth/inventory"
)

func backup(t *testing.T, s *Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := s.Backup(context.Background(), &b, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func restore(s *Store, archive []byte, replace bool) error {
	_, err := s.Restore(context.Background(), bytes.NewReader(archive), replace, inventory.NewRequest(anna, "the disk died"), nil)
	return err
}

// rowsOf is every row of a table, as a backup has it.
func rowsOf(t *testing.T, s *Store, n *inventory.Noun) map[inventory.UID]string {
	t.Helper()
	items, err := fetch(s.read.WithContext(context.Background()), n)
	if err != nil {
		t.Fatal(err)
	}
	out := map[inventory.UID]string{}
	for _, obj := range items {
		row, err := rowOf(n, obj)
		if err != nil {
			t.Fatal(err)
		}
		out[obj.Head().UID] = string(row)
	}
	return out
}

// TestBackupRoundTrip: a backup of a record with every noun in it comes back row by row, on and between both databases.
func TestBackupRoundTrip(t *testing.T) {
	key := testKey(t)
	both(t, func(t *testing.T, opt Options) {
		opt.Sealer = key
		s := openTest(t, opt)
		everyNoun(t, s)
		for _, n := range inventory.Nouns {
			if n.Journal && n.Where == nil && n.Name != "change" && n.Name != "operation" {
				obj := filled(n, 7)
				satisfy(t, s, n, obj)
				create(t, s, obj)
			}
		}
		archive := backup(t, s)
		for _, empty := range []Options{{Dir: t.TempDir(), Sealer: key}, {DSN: pgtest.Database(t), Sealer: key}} {
			other := openTest(t, empty)
			if err := restore(other, archive, false); err != nil {
				t.Fatal(err)
			}
			for _, n := range backedUp {
				got, want := rowsOf(t, other, n), rowsOf(t, s, n)
				if n.Name == "change" || n.Name == "device" || n.Name == "step" {
					continue // the restore enters itself, and ends the work on machines
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s:\n got %v\nwant %v", n.Plural, got, want)
				}
			}
			if got, want := len(all[inventory.Change](t, other)), len(all[inventory.Change](t, s))+1; got != want {
				t.Errorf("%d changes, want %d", got, want)
			}
			if sessions := all[inventory.Session](t, other); len(sessions) != 0 {
				t.Error("somebody is logged in by a backup")
			}
			found, err := other.List(context.Background(), inventory.NounFor[inventory.Site](), inventory.Query{Search: "slug"})
			if err != nil || len(found.Items) == 0 {
				t.Errorf("nothing is found: %v", err)
			}
			diffFiles(t, exportText(t, other), exportText(t, s))
		}
	})
}

// TestRestoreRefused: nothing is replaced by accident, and nothing comes in that is not the backup that was made.
func TestRestoreRefused(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		opt.Sealer = testKey(t)
		s := openTest(t, opt)
		create(t, s, &inventory.Site{Name: "Berlin"})
		archive := backup(t, s)
		create(t, s, &inventory.Site{Name: "Ulm"})
		if c := asConflict(restore(s, archive, false)); c == nil || !strings.Contains(c.Why, "not empty: it holds sites") {
			t.Errorf("a record that holds something: %v", c)
		}
		plain, err := gunzip(archive)
		if err != nil {
			t.Fatal(err)
		}
		changed := bytes.Replace(plain, []byte(`"Berlin"`), []byte(`"Bremen"`), 1)
		newer := bytes.Replace(plain, []byte(`"format":1`), []byte(`"format":2`), 1)
		for what, bad := range map[string][]byte{
			"changed": gzipped(t, changed), "cut": gzipped(t, plain[:len(plain)/2]), "damaged": archive[:len(archive)-20], "newer": gzipped(t, newer),
			"nothing": nil, "something else": []byte("not a backup at all"), "empty": gzipped(t, nil), "trailing": gzipped(t, append(bytes.Clone(plain[:len(plain)-1024]), plain...)),
		} {
			if err := restore(s, bad, true); err == nil {
				t.Errorf("an archive that is %s was restored", what)
			}
		}
		if n := len(all[inventory.Site](t, s)); n != 2 {
			t.Errorf("%d sites are left", n)
		}
		other := opt
		if other.Sealer = testKey(t); other.Dir != "" {
			other.Dir = t.TempDir()
		} else {
			other.DSN = pgtest.Database(t)
		}
		stranger := openTest(t, other)
		if err := restore(stranger, archive, true); !errors.Is(err, ErrKey) {
			t.Errorf("secrets that this server cannot open: %v", err)
		}
		if err := restore(s, archive, true); err != nil {
			t.Fatal(err)
		}
		if sites := all[inventory.Site](t, s); len(sites) != 1 || sites[0].Slug != "berlin" {
			t.Errorf("after the restore: %v", sites)
		}
		if log := all[inventory.Change](t, s, inventory.Filter{Field: "noun", Op: inventory.OpIs, Value: "record"}); len(log) != 1 || log[0].Actor != "anna" || log[0].Why != "the disk died" {
			t.Errorf("the restore is logged as %v", log)
		}
	})
}

// TestRestoreNewerSchema: a backup of a schema that is not known yet is left alone.
func TestRestoreNewerSchema(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	if err := s.write.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)").Error; err != nil {
		t.Fatal(err)
	}
	archive := backup(t, s)
	if err := restore(openTest(t, Options{Dir: t.TempDir()}), archive, false); !errors.Is(err, ErrNewerSchema) {
		t.Errorf("got %v", err)
	}
}

// TestRestoreEndsWork: a deploy that ran when the backup was made does not go on by itself afterwards.
func TestRestoreEndsWork(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		device := create(t, s, &inventory.Device{Name: "node-1", ProvisionState: inventory.StateReady})
		op := create(t, s, &inventory.Operation{Kind: "deploy", Device: device.UID, State: inventory.OpRunning})
		step := create(t, s, &inventory.Step{Operation: op.UID, Name: "write", State: inventory.StepRunning, Assignment: "a"})
		poll := create(t, s, &inventory.Operation{Kind: "poll-bmc", Device: device.UID, State: inventory.OpWaiting})
		mustEdit(t, s, func(tx inventory.Tx) error {
			device.Operation, device.NetbootOffer = op.UID, true
			return tx.Update(device)
		})
		if err := restore(s, backup(t, s), true); err != nil {
			t.Fatal(err)
		}
		ended, at, node := find[inventory.Operation](t, s, string(op.UID)), find[inventory.Step](t, s, string(step.UID)), find[inventory.Device](t, s, "node-1")
		if ended.State != inventory.OpCancelled || ended.Problem == "" || at.State != inventory.StepCancelled || at.Assignment != "" || node.Operation != "" || node.NetbootOffer {
			t.Errorf("got %+v, %+v, %+v", ended, at, node)
		}
		if got := find[inventory.Operation](t, s, string(poll.UID)); got.State != inventory.OpWaiting {
			t.Errorf("the poll is %s", got.State)
		}
	})
}

// TestBackupWhileEditing: a backup is the record at one moment, with pairs that others write meanwhile in it as pairs.
func TestBackupWhileEditing(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		stop, stopped := make(chan struct{}), make(chan error, 1)
		go func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					stopped <- nil
					return
				default:
				}
				if err := try(s, func(tx inventory.Tx) error {
					if err := tx.Create(&inventory.Tag{Name: fmt.Sprint("pair ", i)}); err != nil {
						return err
					}
					return tx.Create(&inventory.Manufacturer{Name: fmt.Sprint("pair ", i)})
				}); err != nil {
					stopped <- err
					return
				}
			}
		}()
		for range 2 {
			empty := openTest(t, Options{Dir: t.TempDir()})
			if err := restore(empty, backup(t, s), false); err != nil {
				t.Error(err)
			}
			if tags, makers := len(all[inventory.Tag](t, empty)), len(all[inventory.Manufacturer](t, empty)); tags != makers {
				t.Errorf("%d of one and %d of the other", tags, makers)
			}
		}
		close(stop)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

// TestBackupDocuments: the bytes of documents come along and back; one whose bytes are lost is counted, and one that
// cannot be read ends the backup.
func TestBackupDocuments(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	dir := t.TempDir()
	digest := strings.Repeat("ab", 32)
	if err := os.WriteFile(filepath.Join(dir, digest), []byte("paper"), 0o600); err != nil {
		t.Fatal(err)
	}
	create(t, s, &inventory.Document{Name: "invoice.pdf", Digest: digest})
	create(t, s, &inventory.Document{Name: "lost.pdf", Digest: strings.Repeat("cd", 32)})
	var b bytes.Buffer
	made, err := s.Backup(context.Background(), &b, func(digest string) (*os.File, error) {
		f, err := os.Open(filepath.Join(dir, digest))
		if errors.Is(err, os.ErrNotExist) {
			return nil, inventory.ErrNotFound
		}
		return f, err
	})
	if err != nil || made.Documents != 1 || made.MissingDocuments != 1 || made.Rows["documents"] != 2 {
		t.Fatalf("got %+v, %v", made, err)
	}
	broken := errors.New("the disk does not answer")
	if _, err := s.Backup(context.Background(), io.Discard, func(string) (*os.File, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("a document that cannot be read: %v", err)
	}
	var kept string
	put := func(r io.Reader) (string, int64, error) {
		data, err := io.ReadAll(r)
		kept += string(data)
		return digest, int64(len(data)), err
	}
	other := openTest(t, Options{Dir: t.TempDir()})
	back, err := other.Restore(context.Background(), bytes.NewReader(b.Bytes()), false, inventory.NewRequest(anna, ""), put)
	if err != nil || kept != "paper" || back.Documents != 1 || back.MadeAt.After(time.Now()) {
		t.Errorf("got %q, %+v, %v", kept, back, err)
	}
}

func gunzip(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

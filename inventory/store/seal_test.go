package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"berth/inventory"

	"filippo.io/age"
)

func testKey(t *testing.T, recovery ...string) *Key {
	t.Helper()
	key, err := CreateKey(filepath.Join(t.TempDir(), "key"), recovery...)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestSecrets: what was given is sealed in the database, opens again, and stays when a form hands back stars.
func TestSecrets(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		opt.Sealer = testKey(t)
		s := openTest(t, opt)
		device := create(t, s, &inventory.Device{Name: "node-1"})
		bmc := create(t, s, &inventory.BMC{Device: device.UID, Kind: "redfish", Password: inventory.PlainSecret("canary")})
		var stored string
		if err := s.read.Raw(`SELECT "password" FROM "bmcs"`).Scan(&stored).Error; err != nil || strings.Contains(stored, "canary") || !strings.HasPrefix(stored, sealedPrefix) {
			t.Fatalf("stored %q, %v", stored, err)
		}
		reveal := func() string {
			t.Helper()
			plain, err := s.Reveal(find[inventory.BMC](t, s, string(bmc.UID)).Password)
			if err != nil {
				t.Fatal(err)
			}
			return plain
		}
		if got := reveal(); got != "canary" {
			t.Errorf("revealed %q", got)
		}
		var stars inventory.Secret
		if err := stars.UnmarshalJSON([]byte(`"***"`)); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			secret inventory.Secret
			want   string
		}{{stars, "canary"}, {inventory.PlainSecret("second"), "second"}, {stars, "second"}, {inventory.Secret{}, ""}, {stars, ""}} {
			bmc.Password, bmc.Username, bmc.Revision = step.secret, bmc.Username+"x", 0
			mustEdit(t, s, func(tx inventory.Tx) error { return tx.Update(bmc) })
			if got := reveal(); got != step.want {
				t.Errorf("after %#v: %q, want %q", step.secret, got, step.want)
			}
		}
	})
}

// TestNoKey: without a key no secret is stored, and nothing else is hindered.
func TestNoKey(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	device := create(t, s, &inventory.Device{Name: "node-1"})
	err := try(s, func(tx inventory.Tx) error {
		return tx.Create(&inventory.BMC{Device: device.UID, Kind: "redfish", Password: inventory.PlainSecret("canary")})
	})
	if i := asInvalid(err); i == nil || i.Fields["password"] == "" || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
	create(t, s, &inventory.BMC{Device: device.UID, Kind: "none"})
}

// TestKeyFailsClosed: a record that was sealed opens with its key and with nothing else, and a key that cannot be trusted is no key.
func TestKeyFailsClosed(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		opt.Sealer = testKey(t)
		s := openTest(t, opt)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for what, sealer := range map[string]inventory.Sealer{"another key": testKey(t), "no key": nil} {
			bad := opt
			bad.Sealer = sealer
			if _, err := Open(context.Background(), bad); !errors.Is(err, ErrKey) {
				t.Errorf("%s: got %v", what, err)
			}
		}
		openTest(t, opt)
	})
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	if _, err := CreateKey(good); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"readable by others": {string(text), 0o644},
		"readable by group":  {string(text), 0o640},
		"empty":              {"", 0o600},
		"only comments":      {"# nothing\n", 0o600},
		"garbage":            {"AGE-SECRET-KEY-1NONSENSE\n", 0o600},
		"two keys":           {string(text) + string(text), 0o600},
		"bad recovery":       {"# recovery: age1nonsense\n" + string(text), 0o600},
	} {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.WriteFile(path, []byte(file.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, file.mode); err != nil {
			t.Fatal(err)
		}
		if key, err := LoadKey(path); err == nil {
			t.Errorf("%s: loaded %v", name, key)
		} else if strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
	for _, path := range []string{filepath.Join(dir, "missing"), dir} {
		if _, err := LoadKey(path); err == nil {
			t.Errorf("%s: loaded", path)
		}
	}
	if _, err := LoadKey(good); err != nil {
		t.Error(err)
	}
	if _, err := CreateKey(good); err == nil {
		t.Error("a key was overwritten")
	}
	if info, err := os.Stat(good); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestRecovery: what the server seals opens with a recovery key too, also when the server's key was loaded from its file.
func TestRecovery(t *testing.T) {
	recovery, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if _, err := CreateKey(path, recovery.Recipient().String()); err != nil {
		t.Fatal(err)
	}
	key, err := LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := key.Seal("canary")
	if err != nil {
		t.Fatal(err)
	}
	laptop := &Key{identity: recovery}
	if plain, err := laptop.Open(sealed); err != nil || plain != "canary" {
		t.Errorf("got %q, %v", plain, err)
	}
	if again, err := key.Seal("canary"); err != nil || again == sealed {
		t.Errorf("the same secret sealed twice looks the same: %v", err)
	}
	for _, bad := range []string{"", "canary", sealedPrefix, sealedPrefix + "!!", sealed[:len(sealed)-4], sealed[:len(sealed)-2] + "AA"} {
		if plain, err := key.Open(bad); err == nil {
			t.Errorf("%.20q opened to %q", bad, plain)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %s", key, key, key, key); strings.Contains(text, "SECRET") {
		t.Errorf("a key prints itself: %s", text)
	}
}

// TestCanary plants a secret in every way that an edit can go, and then looks for it wherever it must not be: in the files, in the
// statements, in errors, in the change log.
func TestCanary(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		const canary = "c4n4ry-7c1e"
		var mu sync.Mutex
		var words strings.Builder
		hear := func(text string) {
			mu.Lock()
			defer mu.Unlock()
			words.WriteString(text + "\n")
		}
		opt.Sealer, opt.OnSQL = testKey(t), hear
		s := openTest(t, opt)
		device := create(t, s, &inventory.Device{Name: "node-1"})
		bmc := create(t, s, &inventory.BMC{Device: device.UID, Kind: "redfish", Password: inventory.PlainSecret(canary)})
		for _, edit := range []func(tx inventory.Tx) error{
			func(tx inventory.Tx) error {
				bmc.Password = inventory.PlainSecret(canary + "2")
				return tx.Update(bmc)
			},
			func(tx inventory.Tx) error {
				bmc.Password, bmc.Kind = inventory.PlainSecret(canary), "broken"
				return tx.Update(bmc)
			},
			func(tx inventory.Tx) error {
				return tx.Create(&inventory.BMC{Device: inventory.NewUID(), Kind: "redfish", Password: inventory.PlainSecret(canary)})
			},
			func(tx inventory.Tx) error {
				return tx.Create(&inventory.BMC{Meta: inventory.Meta{UID: bmc.UID}, Device: device.UID, Kind: "redfish", Password: inventory.PlainSecret(canary)})
			},
		} {
			if err := try(s, edit); err != nil {
				hear(err.Error() + fmt.Sprintf("%+v %#v", err, err))
			}
		}
		for _, c := range all[inventory.Change](t, s) {
			hear(fmt.Sprintf("%+v %s %s", c, c.Before, c.After))
		}
		if opt.Dir != "" {
			files, err := filepath.Glob(filepath.Join(opt.Dir, "*"))
			if err != nil || len(files) < 3 {
				t.Fatalf("%v, %v", files, err)
			}
			for _, file := range files {
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				hear(string(data))
			}
		}
		if text := words.String(); strings.Contains(text, canary) || !strings.Contains(text, "bmcs") {
			at := max(0, strings.Index(text, canary)-200)
			t.Errorf("the secret is in %q", text[at:min(len(text), at+400)])
		}
	})
}

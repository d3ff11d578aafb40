package store

import (
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"berth/inventory"
)

// FuzzQuery gives a list whatever somebody may write into an address line: it answers or refuses with the field, and the database never
// meets anything it stumbles over.
func FuzzQuery(f *testing.F) {
	s := openTest(f, Options{Dir: f.TempDir()})
	for range 3 {
		create(f, s, &inventory.Device{Name: "node-" + inventory.NewUID().Short()})
	}
	raw := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	f.Add("device", "name", "is", "node-1", "name", "node", raw(`{"n":"devices","s":"name","v":"a","u":"00000000000000000000000000000000"}`))
	f.Add("device", "seen_at", "gt", "2026-11-22T10:00:00Z", "-seen_at", "%_!'\"", raw(`{"n":"devices","s":"-seen_at","v":null,"u":"00000000000000000000000000000000"}`))
	f.Add("event", "at", "lt", "0001-01-01", "", "\\", "")
	f.Add("subnet", "enrol", "is", "TRUE", "enrol", "", raw(`{"n":"subnets","s":"enrol","v":"true","u":"00000000000000000000000000000000"}`))
	f.Add("step", "position", "in", "1,-9223372036854775808", "-position", "", "x")
	f.Add("token", "hash", "is", "'; DROP TABLE tokens; --", "uid", "a b", "")
	f.Fuzz(func(t *testing.T, noun, field, op, value, sort, search, cursor string) {
		n, ok := inventory.NounOf(noun)
		if !ok {
			return
		}
		q := inventory.Query{Sort: sort, Search: search, Cursor: cursor, Count: true}
		if field != "" {
			q.Filters = []inventory.Filter{{Field: field, Op: inventory.Op(op), Value: value}}
		}
		if _, err := s.List(context.Background(), n, q); err != nil && asInvalid(err) == nil {
			t.Errorf("%s %+v: %v", noun, q, err)
		}
	})
}

// FuzzKey gives the reader of keys any bytes: it refuses, or it has a key that opens what it seals.
func FuzzKey(f *testing.F) {
	path := filepath.Join(f.TempDir(), "key")
	if _, err := CreateKey(path); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("# recovery: age1\n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := parseKey(text)
		if err != nil {
			return
		}
		sealed, err := key.Seal("canary")
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := key.Open(sealed); err != nil || plain != "canary" {
			t.Fatalf("%q, %v", plain, err)
		}
	})
}

// FuzzSealed gives Open any text in place of what was sealed.
func FuzzSealed(f *testing.F) {
	key, err := CreateKey(filepath.Join(f.TempDir(), "key"))
	if err != nil {
		f.Fatal(err)
	}
	good, err := key.Seal("canary")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(sealedPrefix)
	f.Fuzz(func(t *testing.T, sealed string) {
		if plain, err := key.Open(sealed); err == nil && sealed != good && plain != "canary" {
			t.Fatalf("%q opened to %q", sealed, plain)
		}
	})
}

package buildcache

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
)

func TestDirFillsOnce(t *testing.T) {
	cache := Cache{Root: t.TempDir()}
	var fills atomic.Int32
	fill := func(dir string) error {
		fills.Add(1)
		return os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			dir, err := cache.Dir("kernel", "k1", fill)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(got) != "content" {
				t.Errorf("entry holds %q, %v", got, err)
			}
		})
	}
	wg.Wait()
	if n := fills.Load(); n != 1 {
		t.Errorf("filled %d times by eight builds at once", n)
	}
}

func TestFailedFillLeavesNothing(t *testing.T) {
	cache := Cache{Root: t.TempDir()}
	broken := errors.New("broken")
	_, err := cache.Dir("kernel", "k1", func(dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o644), broken)
	})
	if !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	dir, err := cache.Dir("kernel", "k1", func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("the next fill began with %v, %v", files, err)
	}
}

func TestForgetIsByName(t *testing.T) {
	cache := Cache{Root: t.TempDir()}
	nothing := func(string) error { return nil }
	for _, e := range [][2]string{{"kernel", "a"}, {"kernel", "b"}, {"image", "a"}} {
		if _, err := cache.Dir(e[0], e[1], nothing); err != nil {
			t.Fatal(err)
		}
	}
	if err := cache.Forget("kernel"); err != nil {
		t.Fatal(err)
	}
	dirs, err := filepath.Glob(filepath.Join(cache.Root, "*-?"))
	if err != nil || len(dirs) != 1 || filepath.Base(dirs[0]) != "image-a" {
		t.Errorf("left: %v, %v", dirs, err)
	}
}

func TestOpenObeysEnvironment(t *testing.T) {
	want := filepath.Join(t.TempDir(), "shared")
	t.Setenv("BERTH_CACHE", want)
	cache, err := Open("unused")
	if err != nil || cache.Root != want {
		t.Errorf("BERTH_CACHE: got %q, %v", cache.Root, err)
	}
	home := t.TempDir()
	t.Setenv("BERTH_CACHE", "")
	t.Setenv("XDG_CACHE_HOME", home)
	cache, err = Open("unused")
	if err != nil || cache.Root != filepath.Join(home, "berth") {
		t.Errorf("XDG_CACHE_HOME: got %q, %v", cache.Root, err)
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	fallback := filepath.Join(t.TempDir(), "cache")
	cache, err = Open(fallback)
	if err != nil || cache.Root != fallback {
		t.Errorf("no home: got %q, %v", cache.Root, err)
	}
}

func TestKeysDiffer(t *testing.T) {
	keys := map[string]string{
		"ab c":  Key("ab", "c"),
		"a bc":  Key("a", "bc"),
		"abc":   Key("abc"),
		"abc -": Key("abc", ""),
	}
	seen := map[string]string{}
	for name, key := range keys {
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q have one key", name, other)
		}
		seen[key] = name
	}
}

func TestFilesKeySeesNamesAndContents(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	one, err := FilesKey(fstest.MapFS{"a": file("1"), "d/b": file("2")})
	if err != nil {
		t.Fatal(err)
	}
	for name, fsys := range map[string]fstest.MapFS{
		"content": {"a": file("1"), "d/b": file("3")},
		"name":    {"a": file("1"), "d/c": file("2")},
		"more":    {"a": file("1"), "d/b": file("2"), "e": file("")},
	} {
		if key, err := FilesKey(fsys); err != nil || key == one {
			t.Errorf("a change of %s left the key at %s, %v", name, key, err)
		}
	}
}

// Package buildcache keeps what is slow to build (unpacked kernels, bootstrapped
// root filesystems, disk images) in directories named for a digest of what went
// into them, outside of any one checkout, so that a second clone and the next
// build find them again.
//
// An entry is either absent or complete: it is filled under another name and
// renamed. Two builds of one entry at the same time wait for each other.
package buildcache

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// Cache is a directory of entries.
type Cache struct {
	Root string
}

// Open returns the cache that the environment asks for: $BERTH_CACHE, else
// berth in the user's cache directory, else fallback. The directory is made.
func Open(fallback string) (Cache, error) {
	root := os.Getenv("BERTH_CACHE")
	if root == "" {
		// UserCacheDir is $XDG_CACHE_HOME or $HOME/.cache, and fails where neither
		// is set, as in a bare CI container.
		if dir, err := os.UserCacheDir(); err == nil {
			root = filepath.Join(dir, "berth")
		} else {
			root = fallback
		}
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return Cache{}, err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return Cache{}, fmt.Errorf("make the build cache: %w", err)
	}
	return Cache{Root: root}, nil
}

// Dir returns the directory of the entry with this name and key. When there is
// none, fill is called with an empty directory that becomes the entry if fill
// succeeds and vanishes if it does not.
func (c Cache) Dir(name, key string, fill func(dir string) error) (string, error) {
	entry := filepath.Join(c.Root, name+"-"+key)
	if isDir(entry) {
		return entry, nil
	}
	unlock, err := lock(entry + ".lock")
	if err != nil {
		return "", fmt.Errorf("lock cache entry %s: %w", filepath.Base(entry), err)
	}
	defer unlock()
	if isDir(entry) { // another build was quicker
		return entry, nil
	}
	partial := entry + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return "", err
	}
	if err := os.Mkdir(partial, 0o755); err != nil {
		return "", err
	}
	if err := fill(partial); err != nil {
		return "", errors.Join(err, os.RemoveAll(partial))
	}
	return entry, os.Rename(partial, entry)
}

// Forget removes every entry with this name, whatever its key, so that the next
// build makes it afresh from the newest packages.
func (c Cache) Forget(name string) error {
	entries, err := filepath.Glob(filepath.Join(c.Root, name+"-*"))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasSuffix(entry, ".lock") {
			continue // somebody may hold it; an empty file does no harm
		}
		if err := os.RemoveAll(entry); err != nil {
			return err
		}
	}
	return nil
}

// Key digests inputs, in order, into a short name for an entry. Each input is
// framed by its length, so that moving a byte from one to the next changes the key.
func Key(inputs ...string) string {
	h := sha256.New()
	for _, in := range inputs {
		fmt.Fprintf(h, "%d\n%s\n", len(in), in)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// FilesKey digests the names, modes and contents of every file in fsys, which is
// how a recipe names itself: it embeds its own sources.
func FilesKey(fsys fs.FS) (string, error) {
	var names []string
	err := fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	sort.Strings(names)
	var inputs []string
	for _, name := range names {
		content, err := fs.ReadFile(fsys, name)
		if err != nil {
			return "", err
		}
		inputs = append(inputs, name, string(content))
	}
	return Key(inputs...), nil
}

// FileKey is the whole SHA-256 of one file, in hexadecimal.
func FileKey(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("digest %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// lock waits for the exclusive lock on path. The kernel drops it when the process
// dies, so a killed build never leaves one behind.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { f.Close() }, nil
}

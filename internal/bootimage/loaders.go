package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"berth/internal/buildcache"
	"berth/internal/debian"
)

// loaderSuite is the Debian release whose iPXE is preferred: it is six years
// newer than bookworm's, has a loader for arm64, and chains in half the time.
const loaderSuite = "trixie"

// loaderFiles are the boot loaders of the ipxe package that berth serves, by the
// names it serves them under; the first path that the package has is taken.
// iPXE is GPL-2; the files are shipped beside berth and not linked into it.
var loaderFiles = []struct {
	name  string
	paths []string
}{
	{"undionly.kpxe", []string{"undionly.kpxe"}},               // BIOS, on the card's own UNDI driver
	{"ipxe.pxe", []string{"ipxe.pxe"}},                         // BIOS, with drivers of its own
	{"snponly.efi", []string{"snponly.efi"}},                   // UEFI x86-64, on the firmware's driver
	{"ipxe-amd64.efi", []string{"ipxe-amd64.efi", "ipxe.efi"}}, // UEFI x86-64, with drivers of its own
	{"ipxe-arm64.efi", []string{"ipxe-arm64.efi"}},             // UEFI arm64, newer package only
	{"ipxe.lkrn", []string{"ipxe.lkrn"}},                       // for GRUB and sticks
}

// fetchLoaders returns the cache entry with the loaders and their NOTICE.
func fetchLoaders(ctx context.Context, cache buildcache.Cache, key string, log *slog.Logger) (string, error) {
	return cache.Dir("loaders", key, func(dir string) error {
		err := loadersOf(ctx, loaderSuite, dir, log)
		if err == nil {
			return nil
		}
		host, hostErr := debian.HostCodename()
		if hostErr != nil {
			return errors.Join(err, hostErr)
		}
		log.Warn("the newer iPXE cannot be had; taking this release's, which has no arm64 loader", "suite", host, "error", err)
		return loadersOf(ctx, host, dir, log)
	})
}

func loadersOf(ctx context.Context, suite, dir string, log *slog.Logger) error {
	scratch, err := os.MkdirTemp(dir, "scratch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	deb, err := downloadOne(ctx, scratch, suite, "amd64", "ipxe")
	if err != nil {
		return err
	}
	files := filepath.Join(scratch, "files")
	if err := debian.Unpack(ctx, deb, files); err != nil {
		return err
	}
	taken, err := copyLoaders(filepath.Join(files, "usr/lib/ipxe"), dir)
	if err != nil {
		return err
	}
	version := debian.Version(deb)
	log.Info("boot loaders", "package", "ipxe", "suite", suite, "version", version, "files", strings.Join(taken, " "))
	return writeNotice(filepath.Join(files, "usr/share/doc/ipxe/copyright"), dir, suite, version)
}

func copyLoaders(from, to string) ([]string, error) {
	var taken []string
	for _, loader := range loaderFiles {
		for _, name := range loader.paths {
			content, err := os.ReadFile(filepath.Join(from, name))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(to, loader.name), content, 0o644)
			}
			if err != nil {
				return nil, err
			}
			taken = append(taken, loader.name)
			break
		}
	}
	if len(taken) < 3 {
		return nil, fmt.Errorf("the ipxe package holds only these loaders: %s", strings.Join(taken, " "))
	}
	return taken, nil
}

// writeNotice says where the loaders come from and under which terms, which is
// what their licence asks of those who pass them on.
func writeNotice(copyright, dir, suite, version string) error {
	terms, err := os.ReadFile(copyright)
	if err != nil {
		return err
	}
	notice := fmt.Sprintf(`These boot loaders are iPXE, as Debian built it: package ipxe, version
%s, suite %s. They are separate programs; no part of berth is
linked with them. Most of iPXE is under the GNU General Public License,
version 2 or later. The complete corresponding source is Debian's source
package of the same name and version ("apt-get source ipxe=%s" with
a deb-src line for %s). Debian's copyright file for the package follows.

`, version, suite, version, suite)
	return os.WriteFile(filepath.Join(dir, "NOTICE"), append([]byte(notice), terms...), 0o644)
}

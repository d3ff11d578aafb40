package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"
)

// archive collects the records of one cpio archive. Times, owners and inode
// numbers are zero and names are sorted, so equal contents make equal bytes.
type archive struct {
	records map[string]cpio.Record
}

func newArchive() *archive { return &archive{records: map[string]cpio.Record{}} }

// dir adds a directory and those above it.
func (a *archive) dir(name string) {
	for ; name != "." && name != "/"; name = path.Dir(name) {
		if _, ok := a.records[name]; !ok {
			a.records[name] = cpio.Directory(name, 0o755)
		}
	}
}

func (a *archive) file(name string, content []byte, perm uint64) {
	a.dir(path.Dir(name))
	a.records[name] = cpio.StaticFile(name, string(content), perm)
}

// tree adds the regular files below root that keep accepts, under prefix.
func (a *archive) tree(root, prefix string, keep func(name string) bool) error {
	return filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil || !keep(rel) {
			return err
		}
		content, err := os.ReadFile(file)
		if err == nil {
			a.file(path.Join(prefix, filepath.ToSlash(rel)), content, 0o644)
		}
		return err
	})
}

// bytes is the archive in the newc format that the kernel reads. Directories sort
// before what is in them, as the kernel needs.
func (a *archive) bytes() ([]byte, error) {
	names := make([]string, 0, len(a.records))
	for name := range a.records {
		names = append(names, name)
	}
	sort.Strings(names)
	var out bytes.Buffer
	w := cpio.Newc.Writer(&out)
	for _, name := range names {
		if err := w.WriteRecord(cpio.MakeReproducible(a.records[name])); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
	}
	err := cpio.WriteTrailer(w)
	return out.Bytes(), err
}

// compress packs one archive as one zstd frame. The kernel takes several such
// frames one after the other for one initramfs. Zstandard at its best level was
// measured to give the quickest boot: docs/decisions/boot-image.md.
func compress(plain []byte, level zstd.EncoderLevel) ([]byte, error) {
	// One encoder thread and no checksum make the same bytes everywhere; the
	// transfer is guarded by whoever makes it.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, err
	}
	defer enc.Close()
	return enc.EncodeAll(plain, nil), nil
}

// modulesArchive is everything in the initramfs but the agent: the picked
// modules with their indexes, the names of PCI devices, and mount points.
func modulesArchive(modules, version, pciIDs string) ([]byte, error) {
	a := newArchive()
	for _, dir := range []string{"dev", "proc", "sys", "run", "tmp", "etc", "usr/share/misc", "lib/firmware"} {
		a.dir(dir)
	}
	text := func(name string) bool {
		// The agent reads the text indexes; the .bin ones are kmod's.
		return !strings.HasSuffix(name, ".bin")
	}
	if err := a.tree(modules, "lib/modules/"+version, text); err != nil {
		return nil, err
	}
	ids, err := os.ReadFile(pciIDs)
	if err != nil {
		return nil, err
	}
	a.file("usr/share/misc/pci.ids", ids, 0o644)
	return a.bytes()
}

// agentArchive holds the agent alone, so that rebuilding it repacks nothing else.
func agentArchive(agent string) ([]byte, error) {
	binary, err := os.ReadFile(agent)
	if err != nil {
		return nil, err
	}
	a := newArchive()
	a.file("init", binary, 0o755)
	return a.bytes()
}

// firmwareArchive holds the blobs of a directory laid out like /lib/firmware.
func firmwareArchive(dir string) ([]byte, error) {
	a := newArchive()
	if err := a.tree(dir, "lib/firmware", func(string) bool { return true }); err != nil {
		return nil, err
	}
	return a.bytes()
}

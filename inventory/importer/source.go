package importer

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"
)

// Source is what somebody moves in with: one file, or an archive (zip, tar, tar.gz) of several. It is read through its bounds only.
type Source struct {
	Name string // as it was called where it came from; its end may tell the format
	Body io.ReaderAt
	Size int64
}

// File is one file of a source, in memory.
type File struct {
	Name string
	Data []byte
}

// Bytes makes a source of what is in memory already.
func Bytes(name string, data []byte) Source {
	return Source{Name: name, Body: bytes.NewReader(data), Size: int64(len(data))}
}

// Digest is the SHA-256 of the source's bytes and of salt, by which a repeated import is known.
func (s Source) Digest(salt string) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%d:%s", len(salt), salt)
	if _, err := io.Copy(sum, s.reader()); err != nil {
		return "", fmt.Errorf("read %s: %w", s.Name, err)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

func (s Source) reader() io.Reader { return io.NewSectionReader(s.Body, 0, s.Size) }

// head is the first bytes, to look at what the source is.
func (s Source) head() []byte {
	head := make([]byte, 512)
	n, _ := s.Body.ReadAt(head, 0) // a short source ends early, which is no error
	return head[:n]
}

// each hands over the files of the source one by one, in the order of the archive. Names are cleaned: what begins with a dot, and the
// resource forks that macOS adds, are left out. Errors: *Unreadable.
func (s Source) each(wanted func(name string) bool, take func(File) error) error {
	head := s.head()
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")) && !s.isWorkbook():
		return s.eachZip(wanted, take)
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return s.eachGzip(wanted, take)
	case isTar(head):
		return eachTar(s.reader(), s.Size, wanted, take)
	}
	data, err := bounded(s.reader(), s.Name, maxTable)
	if err != nil {
		return err
	}
	return take(File{Name: s.Name, Data: data})
}

func isTar(head []byte) bool { return len(head) >= 262 && string(head[257:262]) == "ustar" }

// isWorkbook tells an xlsx, which is a zip, from a zip of files.
func (s Source) isWorkbook() bool {
	archive, err := zip.NewReader(s.Body, s.Size)
	if err != nil {
		return false
	}
	for _, f := range archive.File {
		if f.Name == "[Content_Types].xml" {
			return true
		}
	}
	return false
}

// bounded reads all of r, and not more than limit bytes.
func bounded(r io.Reader, name string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, unreadable(name, "cannot be read: %v", err)
	}
	if int64(len(data)) > limit {
		return nil, unreadable(name, "is larger than the %d MiB that are read of one file", limit>>20)
	}
	return data, nil
}

func (s Source) eachZip(wanted func(string) bool, take func(File) error) error {
	archive, err := zip.NewReader(s.Body, s.Size)
	if err != nil {
		return unreadable(s.Name, "is no zip that can be read: %v", err)
	}
	if len(archive.File) > maxEntries {
		return unreadable(s.Name, "holds %d files; %d are read at most", len(archive.File), maxEntries)
	}
	total := int64(0)
	for _, f := range archive.File {
		name, ok := entryName(f.Name)
		if !ok || f.FileInfo().IsDir() || !wanted(name) {
			continue
		}
		data, err := unzip(f, name)
		if err != nil {
			return err
		}
		if total += int64(len(data)); total > maxUnpacked {
			return unreadable(s.Name, "unpacks to more than %d MiB", maxUnpacked>>20)
		}
		if err := take(File{name, data}); err != nil {
			return err
		}
	}
	return nil
}

// unzip unpacks one entry. What its header says of its size is not believed: the bytes that come out are counted.
func unzip(f *zip.File, name string) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, unreadable(name, "cannot be unpacked: %v", err)
	}
	defer r.Close()
	limit := min(maxTable, max(freeRatio, maxRatio*int64(f.CompressedSize64)))
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, unreadable(name, "cannot be unpacked: %v", err)
	case int64(len(data)) > limit:
		return nil, unreadable(name, "unpacks to more than %d bytes, which is more than a file of this kind should", limit)
	}
	return data, nil
}

func (s Source) eachGzip(wanted func(string) bool, take func(File) error) error {
	packed, err := gzip.NewReader(s.reader())
	if err != nil {
		return unreadable(s.Name, "is no gzip that can be read: %v", err)
	}
	limit := min(int64(maxUnpacked), max(freeRatio, maxRatio*s.Size))
	inner := strings.TrimSuffix(strings.TrimSuffix(s.Name, ".gz"), ".tgz")
	start := make([]byte, 512)
	n, err := io.ReadFull(packed, start)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return unreadable(s.Name, "cannot be unpacked: %v", err)
	}
	rest := io.MultiReader(bytes.NewReader(start[:n]), packed)
	if isTar(start[:n]) {
		return eachTar(rest, limit, wanted, take)
	}
	data, err := bounded(rest, inner, min(limit, maxTable))
	if err != nil {
		return err
	}
	return take(File{inner, data})
}

func eachTar(r io.Reader, limit int64, wanted func(string) bool, take func(File) error) error {
	archive := tar.NewReader(io.LimitReader(r, limit))
	for count := 0; ; count++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return unreadable("", "the tar cannot be read to its end: %v", err)
		}
		if count >= maxEntries {
			return unreadable("", "the tar holds more than %d entries", maxEntries)
		}
		name, ok := entryName(h.Name)
		if !ok || h.Typeflag != tar.TypeReg || !wanted(name) {
			continue
		}
		data, err := bounded(archive, name, maxTable)
		if err != nil {
			return err
		}
		if err := take(File{name, data}); err != nil {
			return err
		}
	}
}

// entryName is the name of an entry for reports, and whether it is looked at. Nothing is ever written under it.
func entryName(name string) (string, bool) {
	if !utf8.ValidString(name) {
		name = strings.ToValidUTF8(name, "?")
	}
	name = path.Clean("/" + strings.ReplaceAll(name, `\`, "/"))[1:]
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") || part == "__MACOSX" {
			return "", false
		}
	}
	return name, name != "" && len(name) <= 1000
}

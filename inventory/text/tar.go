package text

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"berth/inventory"
)

// Blobs gives the bytes of documents by digest, 64 hexadecimal digits; inventory/blob has them.
type Blobs interface {
	Open(digest string) (*os.File, error)
	Put(r io.Reader) (digest string, size int64, err error)
}

// maxBlobs bounds how many documents' bytes one archive carries.
const maxBlobs = 1_000_000

// WriteTar exports the record as a tar archive, which is how a directory travels. With blobs, the bytes of its documents come along; a
// document whose bytes are not here is left out.
func WriteTar(ctx context.Context, src Source, blobs Blobs, w io.Writer) (Summary, error) {
	out := tar.NewWriter(w)
	if blobs != nil {
		if err := exportBlobs(ctx, src, blobs, out); err != nil {
			return Summary{}, err
		}
	}
	sum, err := Export(ctx, src, func(name string, data []byte) error {
		return writeEntry(out, name, int64(len(data)), bytes.NewReader(data))
	})
	if err != nil {
		return sum, err
	}
	return sum, out.Close()
}

// writeEntry writes one file. Its time is always the same, so that the same record is the same archive.
func writeEntry(out *tar.Writer, name string, size int64, r io.Reader) error {
	header := &tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	if err := out.WriteHeader(header); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if _, err := io.Copy(out, r); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// exportBlobs writes what documents and their thumbnails refer to, each once.
func exportBlobs(ctx context.Context, src Source, blobs Blobs, out *tar.Writer) error {
	seen := map[string]bool{"": true}
	return each(ctx, src, inventory.NounFor[inventory.Document](), nil, func(items []inventory.Object) error {
		for _, obj := range items {
			doc := obj.(*inventory.Document)
			for _, digest := range []string{doc.Digest, doc.Thumbnail} {
				if seen[digest] {
					continue
				}
				seen[digest] = true
				if err := exportBlob(blobs, digest, out); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func exportBlob(blobs Blobs, digest string, out *tar.Writer) error {
	if !validDigest(digest) {
		return nil
	}
	f, err := blobs.Open(digest)
	if errors.Is(err, inventory.ErrNotFound) {
		return nil // another server may have it
	}
	if err != nil {
		return fmt.Errorf("read document %s: %w", digest, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read document %s: %w", digest, err)
	}
	return writeEntry(out, BlobFolder+"/"+digest, info.Size(), f)
}

func validDigest(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 64 && s == strings.ToLower(s)
}

// ReadTar reads a directory from a tar archive. keep is given the bytes of documents; when it is nil they are only checked. Errors: those
// of Directory.Add; what is wrong with the files is in its Err.
func ReadTar(r io.Reader, keep func(r io.Reader) (digest string, size int64, err error)) (*Directory, error) {
	d, in := NewDirectory(), tar.NewReader(r)
	if keep == nil {
		keep = sumOf
	}
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return d, nil
		}
		if err != nil {
			return nil, inventory.NotAllowed("directory", "", "what was sent is not a whole tar archive: %v", err)
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		if header.Typeflag != tar.TypeReg {
			d.fault(header.Name, 0, "is not an ordinary file")
			continue
		}
		if digest, ok := strings.CutPrefix(header.Name, BlobFolder+"/"); ok {
			err = d.blob(digest, in, keep)
		} else {
			err = d.Add(header.Name, in)
		}
		if err != nil {
			return nil, err
		}
	}
}

// blob keeps the bytes of a document, if they are what their name says.
func (d *Directory) blob(digest string, r io.Reader, keep func(io.Reader) (string, int64, error)) error {
	file := BlobFolder + "/" + digest
	if !validDigest(digest) {
		d.fault(file, 0, "is not named by a SHA-256")
		return nil
	}
	if d.blobs[digest] = true; len(d.blobs) > maxBlobs {
		return inventory.NotAllowed("directory", "", "there are more than %d documents", maxBlobs)
	}
	got, _, err := keep(r)
	if err != nil {
		return fmt.Errorf("keep %s: %w", file, err)
	}
	if got != digest {
		d.fault(file, 0, "holds other bytes than its name says: %s", got)
	}
	return nil
}

func sumOf(r io.Reader) (string, int64, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), n, err
}

// ErrForeign is returned for a directory that is not empty and was not written by an export.
var ErrForeign = errors.New("the directory is not empty and has no " + Marker + ": it was not written by an export, and nothing in it is touched")

// Written counts what Unpack did.
type Written struct{ Files, Changed, Removed int }

// Unpack writes an exported archive into a directory: files that are the same are left alone, files of objects that are no more are
// removed, and what else is there (.git, a README) is not touched. Nothing is written outside of it, whatever the archive says.
func Unpack(r io.Reader, dir string) (Written, error) {
	var done Written
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return done, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return done, err
	}
	defer root.Close()
	if err := claim(root); err != nil {
		return done, err
	}
	kept := map[string]bool{}
	in := tar.NewReader(r)
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return done, fmt.Errorf("read the export: %w", err)
		}
		if header.Typeflag != tar.TypeReg || !ours(header.Name) {
			return done, fmt.Errorf("the server sent a file %q, which no export has", header.Name)
		}
		kept[header.Name] = true
		changed, err := unpackFile(root, header.Name, in)
		if err != nil {
			return done, err
		}
		done.Files++
		if changed {
			done.Changed++
		}
	}
	// A tar archive that is cut between two files looks like one that ends there; the marker comes last. Without it nothing is removed.
	if !kept[Marker] {
		return done, errors.New("the export ended before it was whole")
	}
	done.Removed, err = sweep(root, kept)
	return done, err
}

// claim refuses a directory that holds something else.
func claim(root *os.Root) error {
	if _, err := root.Stat(Marker); err == nil {
		return nil
	}
	top, err := root.Open(".")
	if err != nil {
		return err
	}
	defer top.Close()
	entries, err := top.ReadDir(-1)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return !strings.HasPrefix(e.Name(), ".") }) {
		return ErrForeign
	}
	return nil
}

// ours tells whether a name is one that an export writes.
func ours(name string) bool {
	if digest, ok := strings.CutPrefix(name, BlobFolder+"/"); ok {
		return validDigest(digest)
	}
	folder, file, ok := strings.Cut(name, "/")
	n, known := inventory.NounOf(folder)
	if !ok {
		return name == Marker
	}
	return known && n.Plural == folder && strings.HasSuffix(file, ".yaml") && !strings.HasPrefix(file, ".") && strings.Trim(file,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+@%~-") == ""
}

// unpackFile writes a file beside its place and then puts it there, so that it is the old one or the new one, whatever happens.
func unpackFile(root *os.Root, name string, r io.Reader) (changed bool, err error) {
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		if err := root.MkdirAll(name[:i], 0o755); err != nil {
			return false, err
		}
	}
	if strings.HasPrefix(name, BlobFolder+"/") {
		if _, err := root.Stat(name); err == nil {
			return false, nil // its name is its content
		}
		return true, replace(root, name, r)
	}
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return false, err
	}
	if old, err := root.ReadFile(name); err == nil && string(old) == string(data) {
		return false, nil
	}
	return true, replace(root, name, strings.NewReader(string(data)))
}

func replace(root *os.Root, name string, r io.Reader) error {
	part := name + ".part"
	f, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, root.Remove(part))
	}
	return root.Rename(part, name)
}

// sweep removes the files of objects that are no more.
func sweep(root *os.Root, kept map[string]bool) (removed int, err error) {
	for _, n := range exported {
		files, err := filesOf(root, n.Plural)
		if err != nil {
			return removed, err
		}
		for _, name := range files {
			if kept[name] {
				continue
			}
			if err := root.Remove(name); err != nil {
				return removed, err
			}
			removed++
		}
	}
	return removed, nil
}

// filesOf lists the YAML files of a folder, which need not be there.
func filesOf(root *os.Root, folder string) ([]string, error) {
	f, err := root.Open(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", folder, err)
	}
	var out []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".yaml") && e.Type().IsRegular() {
			out = append(out, folder+"/"+e.Name())
		}
	}
	slices.Sort(out)
	return out, nil
}

// Pack writes the directory as a tar archive for a server. Folders that are no kind of record are refused if they hold YAML: a misspelled
// folder would else be left out in silence.
func Pack(dir string, w io.Writer) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	names, err := toPack(root)
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	for _, name := range names {
		if err := packFile(root, name, out); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return out.Close()
}

func toPack(root *os.Root) ([]string, error) {
	top, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer top.Close()
	entries, err := top.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	var names []string
	for _, e := range entries {
		switch {
		case e.Name() == Marker && e.Type().IsRegular():
			names = append(names, Marker)
		case !e.IsDir() || strings.HasPrefix(e.Name(), "."):
		default:
			files, err := filesOf(root, e.Name())
			if err != nil {
				return nil, err
			}
			if n, ok := inventory.NounOf(e.Name()); len(files) > 0 && (!ok || n.Plural != e.Name() || !slices.Contains(exported, n)) {
				return nil, fmt.Errorf("the folder %s holds YAML and is no kind of record; a name that begins with a dot is left out", e.Name())
			}
			names = append(names, files...)
		}
	}
	blobs, err := blobsOf(root)
	return append(names, blobs...), err
}

func blobsOf(root *os.Root) ([]string, error) {
	f, err := root.Open(BlobFolder)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if validDigest(e.Name()) && e.Type().IsRegular() {
			out = append(out, BlobFolder+"/"+e.Name())
		}
	}
	slices.Sort(out)
	return out, nil
}

func packFile(root *os.Root, name string, out *tar.Writer) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return writeEntry(out, name, info.Size(), io.LimitReader(f, info.Size()))
}

package image

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

// Options say how an image is imported.
type Options struct {
	// Dir is the catalogue directory. The image becomes Dir/<digits of its digest>.
	Dir         string
	Format      Format
	Compression Compression // empty is none
	// Expected is the digest the user gave, of the file as it is or of the raw content. Empty: nothing vouches for
	// the image, and the manifest says so.
	Expected Digest
	// MaxSize limits the raw image, and a qcow2 file as well, in bytes; 0 is DefaultMaxSize.
	MaxSize int64
	// Workers is how many frames are compressed at once; 0 is one per processor, at most 8.
	Workers int
	// Progress, if set, is told from time to time how many bytes of the file have been read. It must not block.
	Progress func(read int64)
}

// tempPrefix marks directories of imports that have not ended.
const tempPrefix = ".import-"

// Import reads an image from r to its end, stores it under its digest and returns its manifest. Memory is bounded by
// the number of workers; a qcow2 file is kept in Dir while it is read. Nothing of a failed import stays. Importing
// what is there already succeeds and returns the manifest of this import.
func Import(ctx context.Context, r io.Reader, o Options) (Manifest, error) {
	o = o.withDefaults()
	temp, err := os.MkdirTemp(o.Dir, tempPrefix)
	if err != nil {
		return Manifest{}, fmt.Errorf("import image: %w", err)
	}
	defer os.RemoveAll(temp)
	m, err := importInto(ctx, r, temp, o)
	if err != nil {
		return Manifest{}, fmt.Errorf("import image: %w", err)
	}
	if err := publish(temp, o.Dir, m); err != nil {
		return Manifest{}, fmt.Errorf("import image %s: %w", m.Digest, err)
	}
	return m, nil
}

// Sweep removes what imports left that were interrupted by a crash. It must not run beside an import into the same
// directory; a server calls it when it starts.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep image directory: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

func (o Options) withDefaults() Options {
	if o.MaxSize <= 0 || o.MaxSize > MaxSize {
		o.MaxSize = DefaultMaxSize
	}
	if o.Workers <= 0 {
		o.Workers = min(8, runtime.GOMAXPROCS(0))
	}
	if o.Compression == "" {
		o.Compression = CompressionNone
	}
	return o
}

// importInto does the import into an empty directory.
func importInto(ctx context.Context, r io.Reader, dir string, o Options) (Manifest, error) {
	given := newGiven(ctx, r, o)
	content, err := decompress(given, o)
	if err != nil {
		return Manifest{}, err
	}
	defer content.Close()
	if o.Format == FormatQCOW2 {
		if content, err = openSpooled(content, dir, o); err != nil {
			return Manifest{}, err
		}
		defer content.Close()
	}
	raw, err := gateRaw(content, o)
	if err != nil {
		return Manifest{}, err
	}
	x, digests, err := storeFrames(ctx, raw, dir, o)
	if err != nil {
		return Manifest{}, err
	}
	if err := given.drain(); err != nil {
		return Manifest{}, err
	}
	m := describe(x, digests, given, o)
	if m.Source.Matched, err = match(o.Expected, given, digests); err != nil {
		return Manifest{}, err
	}
	return m, writeDescription(dir, m, x)
}

// given is the file as it comes in: counted, hashed, and stopped when the context ends.
type given struct {
	ctx      context.Context
	r        io.Reader
	n, limit int64
	sha256   hash.Hash
	sha512   hash.Hash // nil unless a SHA-512 is expected
	progress func(int64)
}

// newGiven limits the file to the size allowed for the raw image and some more, since a container and incompressible
// data make it a little larger.
func newGiven(ctx context.Context, r io.Reader, o Options) *given {
	g := &given{ctx: ctx, r: r, limit: o.MaxSize + o.MaxSize/16 + 1<<20, sha256: sha256.New(), progress: o.Progress}
	if o.Expected.isSHA512() {
		g.sha512 = sha512.New()
	}
	return g
}

func (g *given) Read(p []byte) (int, error) {
	if err := g.ctx.Err(); err != nil {
		return 0, context.Cause(g.ctx)
	}
	n, err := g.r.Read(p)
	g.n += int64(n)
	g.sha256.Write(p[:n])
	if g.sha512 != nil {
		g.sha512.Write(p[:n])
	}
	if g.n > g.limit {
		return n, fmt.Errorf("the file has more than %d bytes: %w", g.limit, ErrTooBig)
	}
	if g.progress != nil && n > 0 {
		g.progress(g.n)
	}
	return n, err
}

// drain reads what a decompressor left unread, so that the digest is that of the whole file.
func (g *given) drain() error {
	if _, err := io.Copy(io.Discard, g); err != nil {
		return fmt.Errorf("read the end of the file: %w", err)
	}
	return nil
}

// decompress unwraps the file as the options name it.
func decompress(r io.Reader, o Options) (io.ReadCloser, error) {
	switch o.Compression {
	case CompressionNone:
		return io.NopCloser(bufio.NewReaderSize(r, 1<<20)), nil
	case CompressionGzip:
		z, err := gzip.NewReader(bufio.NewReaderSize(r, 1<<20))
		if err != nil {
			return nil, fmt.Errorf("the file is not gzip (%w): %w", err, ErrFormat)
		}
		return z, nil
	case CompressionZstd:
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(128<<20), zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, fmt.Errorf("the file is not zstd (%w): %w", err, ErrFormat)
		}
		return z.IOReadCloser(), nil
	}
	_, err := ParseCompression(string(o.Compression))
	return nil, err
}

// spooled is a qcow2 reader over a file of our own.
type spooled struct {
	*qcow2
	file *os.File
}

// openSpooled copies a qcow2 file into dir, since its tables must be read in their own order. The copy is private, so
// nobody changes it between the check of its header and the reading of its clusters, and it is unlinked at once.
func openSpooled(r io.Reader, dir string, o Options) (io.ReadCloser, error) {
	file, err := os.CreateTemp(dir, "spool-")
	if err != nil {
		return nil, fmt.Errorf("spool qcow2 file: %w", err)
	}
	s := &spooled{file: file}
	if err := s.open(r, o); err != nil {
		file.Close()
		return nil, err
	}
	return s, nil
}

func (s *spooled) open(r io.Reader, o Options) error {
	if err := os.Remove(s.file.Name()); err != nil {
		return fmt.Errorf("spool qcow2 file: %w", err)
	}
	limit := o.MaxSize + o.MaxSize/16
	n, err := io.Copy(s.file, io.LimitReader(r, limit+1))
	if err != nil {
		return fmt.Errorf("spool qcow2 file: %w", err)
	}
	if n > limit {
		return fmt.Errorf("the qcow2 file has more than %d bytes: %w", limit, ErrTooBig)
	}
	s.qcow2, err = newQCOW2(s.file, n, o.MaxSize)
	return err
}

// Close closes the reader and the file.
func (s *spooled) Close() error { return errors.Join(s.qcow2.Close(), s.file.Close()) }

// disguises are the beginnings of files that are no raw disk images, and what to tell people who import one as raw.
// They only ever refuse; nothing is read differently because of them.
var disguises = []struct {
	offset      int
	magic, what string
}{
	{0, qcow2Magic, "a qcow2 image; import it as qcow2"},
	{0, "KDMV", "a VMDK disk; convert it to raw or qcow2 first"},
	{0, "# Disk DescriptorFile", "a VMDK descriptor; convert the disk to raw or qcow2 first"},
	{0, "COWD", "a VMDK disk; convert it to raw or qcow2 first"},
	{0, "vhdxfile", "a VHDX disk; convert it to raw or qcow2 first"},
	{0, "conectix", "a VHD disk; convert it to raw or qcow2 first"},
	{0x40, "\x7f\x10\xda\xbe", "a VDI disk; convert it to raw or qcow2 first"},
	{0, "QED\x00", "a QED disk; convert it to raw or qcow2 first"},
	{0, "\x28\xb5\x2f\xfd", "compressed with zstd; say so"},
	{0, "\x1f\x8b", "compressed with gzip; say so"},
	{0, "\xfd7zXZ\x00", "compressed with xz, which is not taken; recompress it with zstd"},
	{0, "BZh", "compressed with bzip2, which is not taken; recompress it with zstd"},
	{0, "PK\x03\x04", "a zip archive; unpack it first"},
	{257, "ustar", "a tar archive; unpack it first"},
	{0x8001, "CD001", "an ISO installation medium, not the image of an installed disk"},
}

// gateRaw refuses content that is named raw and is not, and limits its size. For the content of a qcow2 file it does
// the same: an image in an image is a mistake or an attack.
func gateRaw(r io.Reader, o Options) (io.Reader, error) {
	if o.Format != FormatRaw && o.Format != FormatQCOW2 {
		_, err := ParseFormat(string(o.Format))
		return nil, err
	}
	head := make([]byte, 0x8006)
	n, err := readFull(r, head)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read image: %w", err)
	}
	head = head[:n]
	for _, d := range disguises {
		if d.offset <= len(head) && bytes.HasPrefix(head[d.offset:], []byte(d.magic)) {
			return nil, fmt.Errorf("the file is %s: %w", d.what, ErrFormat)
		}
	}
	return io.MultiReader(bytes.NewReader(head), r), nil
}

// rawDigests are the hashes of the whole raw image.
type rawDigests struct {
	sha256 hash.Hash
	sha512 hash.Hash // nil unless expected
}

// storeFrames cuts the raw image into frames, compresses them in parallel and writes them in order to dir/frames.
func storeFrames(ctx context.Context, raw io.Reader, dir string, o Options) (*Index, rawDigests, error) {
	digests := rawDigests{sha256: sha256.New()}
	if o.Expected.isSHA512() {
		digests.sha512 = sha512.New()
	}
	file, err := os.OpenFile(filepath.Join(dir, framesName), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, digests, fmt.Errorf("store frames: %w", err)
	}
	defer file.Close()
	s := newStorer(o.Workers)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.cut(ctx, raw, digests, o.MaxSize) })
	for range o.Workers {
		g.Go(s.compress)
	}
	g.Go(func() error { return s.write(ctx, file) })
	if err := g.Wait(); err != nil {
		return nil, digests, err
	}
	if err := file.Sync(); err != nil {
		return nil, digests, fmt.Errorf("store frames: %w", err)
	}
	return s.index(), digests, nil
}

// storer is the way in: cut, compress, write, with at most workers+2 frames in memory.
type storer struct {
	slots   chan *packing
	work    chan *packing
	order   chan *packing
	entries []Entry
	size    int64
}

// packing is one frame on its way into the store.
type packing struct {
	raw    []byte
	stored []byte
	entry  Entry
	ready  chan struct{}
}

func newStorer(workers int) *storer {
	s := &storer{slots: make(chan *packing, workers+2), work: make(chan *packing, workers+2), order: make(chan *packing, workers+2)}
	for range workers + 2 {
		s.slots <- &packing{raw: make([]byte, 0, FrameSize)}
	}
	return s
}

func (s *storer) index() *Index { return &Index{Size: s.size, Entries: s.entries} }

// cut is the first stage. It also hashes the whole image, which only a single goroutine can do.
func (s *storer) cut(ctx context.Context, raw io.Reader, digests rawDigests, maxSize int64) error {
	defer close(s.work)
	defer close(s.order)
	for {
		var p *packing
		select {
		case p = <-s.slots:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		n, err := readFull(raw, p.raw[:FrameSize])
		p.raw = p.raw[:n]
		if n > 0 {
			s.size += int64(n)
			if s.size > maxSize {
				return fmt.Errorf("the raw image has more than %d bytes: %w", maxSize, ErrTooBig)
			}
			digests.sha256.Write(p.raw)
			if digests.sha512 != nil {
				digests.sha512.Write(p.raw)
			}
			p.ready = make(chan struct{})
			s.work <- p // as deep as there are packings: never blocks
			s.order <- p
		}
		if err == io.EOF {
			return s.checkSize()
		}
		if err != nil {
			return fmt.Errorf("read image: %w", err)
		}
	}
}

func (s *storer) checkSize() error {
	if s.size == 0 || s.size%SectorSize != 0 {
		return fmt.Errorf("the raw image has %d bytes, which is not a whole number of %d-byte sectors: %w", s.size, SectorSize, ErrFormat)
	}
	return nil
}

// compress is the second stage.
func (s *storer) compress() error {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(FrameSize), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return fmt.Errorf("start zstd encoder: %w", err)
	}
	defer z.Close()
	for p := range s.work {
		p.stored = p.stored[:0]
		p.entry = Entry{}
		if !IsZero(p.raw) {
			p.stored = z.EncodeAll(p.raw, p.stored)
			p.entry = Entry{Stored: uint32(len(p.stored)), Check: CheckFrame(p.raw), Digest: DigestFrame(p.stored)}
		}
		close(p.ready)
	}
	return nil
}

// write is the third stage.
func (s *storer) write(ctx context.Context, w io.Writer) error {
	for p := range s.order {
		select {
		case <-p.ready:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if _, err := w.Write(p.stored); err != nil {
			return fmt.Errorf("store frame %d: %w", len(s.entries), err)
		}
		s.entries = append(s.entries, p.entry)
		s.slots <- p
	}
	return nil
}

func describe(x *Index, digests rawDigests, g *given, o Options) Manifest {
	return Manifest{
		Version: manifestVersion, Digest: digestOf(digests.sha256), Tree: x.Tree(), Size: x.Size, Stored: x.Stored(),
		Frames: len(x.Entries), ZeroFrames: x.ZeroFrames(),
		Source: Provenance{Format: o.Format, Compression: o.Compression, Digest: digestOf(g.sha256), Size: g.n},
	}
}

// match compares the expected digest with that of the file and that of the raw content.
func match(want Digest, g *given, raw rawDigests) (Matched, error) {
	if want == "" {
		return MatchedNothing, nil
	}
	file, content := digestOf(g.sha256), digestOf(raw.sha256)
	if want.isSHA512() {
		file, content = Digest(fmt.Sprintf("sha512:%x", g.sha512.Sum(nil))), Digest(fmt.Sprintf("sha512:%x", raw.sha512.Sum(nil)))
	}
	switch want {
	case file:
		return MatchedFile, nil
	case content:
		return MatchedRaw, nil
	}
	return MatchedNothing, fmt.Errorf("expected %s, but the file is %s and its raw content is %s: %w", want, file, content, ErrDigest)
}

func writeDescription(dir string, m Manifest, x *Index) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("describe image: %w", err)
	}
	if err := writeSynced(filepath.Join(dir, indexName), x.Encode()); err != nil {
		return err
	}
	return writeSynced(filepath.Join(dir, manifestName), append(text, '\n'))
}

func writeSynced(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("describe image: %w", err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("describe image: %w", err)
	}
	return nil
}

// publish gives the finished directory its name. If an image of that name is there, it is the same by its digest, and
// stays, provided that its own description still says so.
func publish(temp, dir string, m Manifest) error {
	if err := os.Chmod(temp, 0o750); err != nil {
		return err
	}
	if err := syncDir(temp); err != nil {
		return err
	}
	final := filepath.Join(dir, m.Digest.Hex())
	if err := os.Rename(temp, final); err != nil {
		have, openErr := Open(dir, m.Digest)
		if openErr != nil {
			return errors.Join(err, openErr)
		}
		defer have.Close()
		if have.Manifest().Tree != m.Tree {
			return fmt.Errorf("the stored image has tree hash %s, not %s: %w", have.Manifest().Tree, m.Tree, ErrCorrupt)
		}
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

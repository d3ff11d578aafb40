package image

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// The files of a stored image, and the last element of their URLs.
const (
	manifestName = "manifest.json"
	indexName    = "index"
	framesName   = "frames"
)

var directoryName = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Stored is an image in the catalogue directory.
type Stored struct {
	manifest Manifest
	index    *Index
	frames   *os.File
}

// Open opens the image with this SHA-256 digest. It checks that manifest, index and the length of the frames agree;
// the frames themselves are checked when they are read, and all of them by [Stored.Verify].
func Open(dir string, digest Digest) (*Stored, error) {
	s, err := open(dir, digest)
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", digest, err)
	}
	return s, nil
}

func open(dir string, digest Digest) (*Stored, error) {
	if !directoryName.MatchString(digest.Hex()) || digest.isSHA512() {
		return nil, ErrNotFound
	}
	dir = filepath.Join(dir, digest.Hex())
	s := new(Stored)
	var err error
	if s.manifest, err = readFile(filepath.Join(dir, manifestName), decodeManifest); err != nil {
		return nil, err
	}
	s.index, err = readFile(filepath.Join(dir, indexName), func(r io.Reader) (*Index, error) { return readIndex(r, s.manifest.Tree) })
	if err != nil {
		return nil, err
	}
	if s.manifest.Digest != digest || s.manifest.Size != s.index.Size {
		return nil, fmt.Errorf("its manifest describes another image: %w", ErrCorrupt)
	}
	if s.frames, err = os.Open(filepath.Join(dir, framesName)); err != nil {
		return nil, err
	}
	if err := s.checkLength(); err != nil {
		return nil, errors.Join(err, s.frames.Close())
	}
	return s, nil
}

func readFile[T any](name string, decode func(io.Reader) (T, error)) (T, error) {
	f, err := os.Open(name)
	if err != nil {
		var none T
		if errors.Is(err, fs.ErrNotExist) {
			err = ErrNotFound
		}
		return none, err
	}
	defer f.Close()
	return decode(f)
}

func (s *Stored) checkLength() error {
	info, err := s.frames.Stat()
	if err != nil {
		return err
	}
	if info.Size() != s.index.Stored() {
		return fmt.Errorf("its frames have %d bytes, the index says %d: %w", info.Size(), s.index.Stored(), ErrCorrupt)
	}
	return nil
}

// Manifest returns the description of the image.
func (s *Stored) Manifest() Manifest { return s.manifest }

// Index returns the index. It must not be changed.
func (s *Stored) Index() *Index { return s.index }

// Close closes the image. Sources made from it must be closed before.
func (s *Stored) Close() error { return s.frames.Close() }

// Source reads the frames from the beginning with this many decoders; 0 is one per processor, at most 8.
func (s *Stored) Source(workers int) Source {
	stream := io.NewSectionReader(s.frames, 0, s.index.Stored()+1)
	return newDecoder(s.index, io.NopCloser(stream), orProcessors(workers))
}

func orProcessors(workers int) int {
	if workers > 0 {
		return workers
	}
	return min(8, runtime.GOMAXPROCS(0))
}

// Verify reads every frame and compares frame digests, tree hash and the digest of the whole image. Progress, if set,
// is told the raw bytes done.
func (s *Stored) Verify(ctx context.Context, progress func(done int64)) error {
	src := s.Source(0)
	defer src.Close()
	whole := sha256.New()
	for {
		f, err := src.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("verify image %s: %w", s.manifest.Digest, err)
		}
		data := f.Data
		if f.Zero() {
			data = zeros[:f.Length]
		}
		whole.Write(data)
		if progress != nil {
			progress(f.Offset + int64(f.Length))
		}
		f.Release()
	}
	if got := digestOf(whole); got != s.manifest.Digest {
		return fmt.Errorf("verify image %s: its content is %s: %w", s.manifest.Digest, got, ErrCorrupt)
	}
	return nil
}

// List returns the digests of the images in the catalogue directory.
func List(dir string) ([]Digest, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	var digests []Digest
	for _, e := range entries {
		if e.IsDir() && directoryName.MatchString(e.Name()) {
			digests = append(digests, Digest("sha256:"+e.Name()))
		}
	}
	return digests, nil
}

// Remove deletes an image. Who is reading it reads on, since the files stay until they are closed. The manifest goes
// first, so that a crash leaves no image that looks whole.
func Remove(dir string, digest Digest) error {
	if !directoryName.MatchString(digest.Hex()) {
		return fmt.Errorf("remove image %s: %w", digest, ErrNotFound)
	}
	dir = filepath.Join(dir, digest.Hex())
	if err := os.Remove(filepath.Join(dir, manifestName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove image %s: %w", digest, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove image %s: %w", digest, err)
	}
	return nil
}

// Handler serves the catalogue directory for [Fetch]: GET and HEAD of /<64 digits>/manifest.json, index and frames,
// with ranges. Names are compared with a pattern and a list, never joined as they come. The frames go from the file to
// the socket within the kernel as long as no middleware hides the ResponseWriter's io.ReaderFrom.
func Handler(dir string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		image, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		known := name == manifestName || name == indexName || name == framesName
		if !known || !directoryName.MatchString(image) {
			http.NotFound(w, r)
			return
		}
		serve(w, r, filepath.Join(dir, image, name))
	})
}

func serve(w http.ResponseWriter, r *http.Request, name string) {
	f, err := os.Open(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "max-age=31536000, immutable")
	// A zero time: what is named by its digest has no date, and If-Modified-Since must not answer for it.
	http.ServeContent(w, r, "", time.Time{}, f)
}

package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Fetch says where an image is to be had over HTTP, and what it must be. The zero values of all but URL and Tree are
// good.
type Fetch struct {
	// URL is that of the image's directory as [Handler] serves it.
	URL string
	// Tree is the tree hash the image must have. It comes by a trusted way; the URL need not.
	Tree Tree
	// Size is the size of the raw image in bytes, if known. An index of another size is refused.
	Size int64
	// Header is sent with each request.
	Header http.Header
	// Client is used without following redirects; nil is a client of its own.
	Client *http.Client
	// Workers is the number of decoders; 0 is one per processor, at most 8.
	Workers int
	// Stall is how long a connection may give no byte before it counts as broken; 0 is 30 s.
	Stall time.Duration
	// Attempts is how often in a row a connection may break without a byte of progress; 0 is 8.
	Attempts int
	// Pause is that before the second attempt; it doubles up to 10 s. 0 is 500 ms.
	Pause time.Duration
	// Logger is told of broken connections; nil is silence.
	Logger *slog.Logger
}

// Stream is a [Source] that reads its frames over HTTP.
type Stream struct {
	*decoder
	body *resumer
}

// Fetched returns how many bytes of frames have come in.
func (s *Stream) Fetched() int64 { return s.body.taken.Load() }

// Close stops the transfer and waits for its goroutines.
func (s *Stream) Close() error {
	s.body.cancel()
	err := s.decoder.Close()
	s.body.end()
	return err
}

// maxResumes limits how often one transfer is taken up again in all, however much progress it makes in between.
const maxResumes = 1000

func (f Fetch) withDefaults() Fetch {
	if f.Client == nil {
		f.Client = &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true, ResponseHeaderTimeout: 30 * time.Second}}
	}
	client := *f.Client
	// The bytes are checked wherever they come from, but a redirect could send the token of Header to somebody else.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	f.Client = &client
	if f.Stall <= 0 {
		f.Stall = 30 * time.Second
	}
	if f.Attempts <= 0 {
		f.Attempts = 8
	}
	if f.Pause <= 0 {
		f.Pause = 500 * time.Millisecond
	}
	if f.Logger == nil {
		f.Logger = slog.New(slog.DiscardHandler)
	}
	f.URL = strings.TrimSuffix(f.URL, "/")
	return f
}

// Open fetches the index, checks it against the tree hash, and starts fetching the frames. The transfer lasts no
// longer than ctx. Its errors are those of [Source]; an index that is not the one asked for is [ErrCorrupt].
func (f Fetch) Open(ctx context.Context) (*Stream, error) {
	f = f.withDefaults()
	index, err := f.index(ctx)
	if err != nil {
		return nil, fmt.Errorf("fetch image index from %s: %w", f.URL, err)
	}
	if f.Size != 0 && index.Size != f.Size {
		return nil, fmt.Errorf("fetch image from %s: it has %d bytes, not %d: %w", f.URL, index.Size, f.Size, ErrCorrupt)
	}
	ctx, cancel := context.WithCancel(ctx)
	body := &resumer{fetch: f, ctx: ctx, cancel: cancel, url: f.URL + "/" + framesName, size: index.Stored()}
	return &Stream{decoder: newDecoder(index, body, orProcessors(f.Workers)), body: body}, nil
}

// index fetches the index through the same resumable reader as the frames.
func (f Fetch) index(ctx context.Context) (*Index, error) {
	ctx, cancel := context.WithCancel(ctx)
	body := &resumer{fetch: f, ctx: ctx, cancel: cancel, url: f.URL + "/" + indexName, size: -1}
	defer body.end()
	return readIndex(body, f.Tree)
}

// resumer reads one file over HTTP and takes it up again by Range when the connection breaks.
type resumer struct {
	fetch  Fetch
	ctx    context.Context
	cancel context.CancelFunc
	url    string
	size   int64 // of the whole file; -1 until the first answer tells
	taken  atomic.Int64

	body    io.ReadCloser
	stall   *time.Timer
	failed  int // attempts in a row without a byte
	resumes int
}

// Read implements io.Reader. It returns io.EOF at the end of the file and nowhere else.
func (r *resumer) Read(p []byte) (int, error) {
	for {
		if r.size >= 0 && r.taken.Load() >= r.size {
			return 0, io.EOF
		}
		n, err := r.attempt(p)
		if n > 0 {
			return n, nil
		}
		if err := r.pause(err); err != nil {
			return 0, err
		}
	}
}

// Close makes a Read that is under way return, and all that follow fail.
func (r *resumer) Close() error {
	r.cancel()
	return nil
}

// end gives the connection back. Nobody may be reading.
func (r *resumer) end() {
	r.cancel()
	if r.body != nil {
		r.hangUp()
	}
}

// permanent marks errors that no further attempt can change.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// attempt reads from the connection there is, or makes one.
func (r *resumer) attempt(p []byte) (int, error) {
	if r.body == nil {
		if err := r.connect(); err != nil {
			return 0, err
		}
	}
	r.stall.Reset(r.fetch.Stall)
	n, err := r.body.Read(p)
	if rest := r.size - r.taken.Load(); int64(n) > rest {
		return 0, permanent{fmt.Errorf("%s gives more than its %d bytes: %w", r.url, r.size, ErrCorrupt)}
	}
	if n > 0 {
		r.taken.Add(int64(n))
		r.failed = 0
		r.stall.Stop() // what the caller does with the bytes may take its time
		return n, nil
	}
	r.hangUp()
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return 0, err
}

func (r *resumer) hangUp() {
	r.stall.Stop()
	r.body.Close()
	r.body = nil
}

// connect asks for what is left of the file.
func (r *resumer) connect() error {
	ctx, cancel := context.WithCancelCause(r.ctx)
	stall := time.AfterFunc(r.fetch.Stall, func() { cancel(fmt.Errorf("no byte for %s", r.fetch.Stall)) })
	resp, err := r.request(ctx)
	if err == nil {
		err = r.judge(resp)
		if err != nil {
			resp.Body.Close()
		}
	}
	if err != nil {
		stall.Stop()
		cause := context.Cause(ctx)
		cancel(nil)
		if cause != nil {
			return cause
		}
		return err
	}
	r.stall, r.body = stall, &cancelBody{ReadCloser: resp.Body, ctx: ctx, cancel: cancel}
	return nil
}

func (r *resumer) request(ctx context.Context) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, permanent{err}
	}
	for k, v := range r.fetch.Header {
		req.Header[k] = v
	}
	req.Header.Set("Accept-Encoding", "identity")
	if at := r.taken.Load(); at > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", at))
	}
	return r.fetch.Client.Do(req)
}

// judge decides whether an answer continues the file where it stopped, and is of the right length.
func (r *resumer) judge(resp *http.Response) error {
	at := r.taken.Load()
	want := http.StatusOK
	if at > 0 {
		want = http.StatusPartialContent
	}
	if resp.StatusCode != want {
		err := fmt.Errorf("GET %s from byte %d: %s", r.url, at, resp.Status)
		if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
			return err
		}
		return permanent{err}
	}
	size := resp.ContentLength
	if at > 0 {
		if size = continues(resp.Header.Get("Content-Range"), at); size < 0 {
			return permanent{fmt.Errorf("GET %s from byte %d: the answer is for %q", r.url, at, resp.Header.Get("Content-Range"))}
		}
	}
	if size < 0 {
		return permanent{fmt.Errorf("GET %s: the answer does not tell its length", r.url)}
	}
	if r.size >= 0 && size != r.size {
		return permanent{fmt.Errorf("GET %s: %d bytes instead of %d: %w", r.url, size, r.size, ErrCorrupt)}
	}
	if r.size < 0 && size > int64(maxIndex) {
		return permanent{fmt.Errorf("GET %s: an index of %d bytes: %w", r.url, size, ErrCorrupt)}
	}
	r.size = size
	return nil
}

// continues returns the length of the whole file if a Content-Range (RFC 9110, 14.4) runs from byte at to the end of
// the file, else -1.
func continues(contentRange string, at int64) int64 {
	span, total, _ := strings.Cut(strings.TrimPrefix(contentRange, "bytes "), "/")
	from, to, _ := strings.Cut(span, "-")
	size, err1 := strconv.ParseInt(total, 10, 64)
	first, err2 := strconv.ParseInt(from, 10, 64)
	last, err3 := strconv.ParseInt(to, 10, 64)
	if errors.Join(err1, err2, err3) != nil || first != at || last != size-1 {
		return -1
	}
	return size
}

// pause waits before the next attempt, or says that there will be none.
func (r *resumer) pause(err error) error {
	if ctxErr := r.ctx.Err(); ctxErr != nil {
		return context.Cause(r.ctx)
	}
	r.failed++
	r.resumes++
	var final permanent
	if errors.As(err, &final) {
		return final.error
	}
	if r.failed >= r.fetch.Attempts || r.resumes >= maxResumes {
		return fmt.Errorf("fetch %s: given up at byte %d after %d broken connections: %v", r.url, r.taken.Load(), r.resumes, err)
	}
	wait := min(r.fetch.Pause<<min(r.failed-1, 10), 10*time.Second)
	r.fetch.Logger.Warn("image transfer broken", "url", r.url, "at", r.taken.Load(), "attempt", r.failed, "wait", wait, "err", err)
	select {
	case <-time.After(wait):
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

// cancelBody ends its request when it is closed, and tells why it ended when it was the stall timer.
type cancelBody struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (b *cancelBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && n == 0 && b.ctx.Err() != nil {
		err = context.Cause(b.ctx)
	}
	return n, err
}

// Close implements io.Closer.
func (b *cancelBody) Close() error {
	b.cancel(nil)
	return b.ReadCloser.Close()
}

package httpboot

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// meter counts what is sent and gives up on a client that takes nothing.
//
// It passes ReadFrom on to the connection, so that files still go by sendfile: a
// wrapper that hides it costs two to three times the CPU. A file is passed on in
// strides, each with a deadline of its own, since one deadline for a whole image
// would be either too short for a slow machine or too long for a dead one.
type meter struct {
	http.ResponseWriter
	sent int64
	err  error
}

// Unwrap lets http.ResponseController through.
func (m *meter) Unwrap() http.ResponseWriter { return m.ResponseWriter }

func (m *meter) extend() {
	_ = http.NewResponseController(m.ResponseWriter).SetWriteDeadline(time.Now().Add(strideTimeout))
}

func (m *meter) Write(p []byte) (int, error) {
	m.extend()
	n, err := m.ResponseWriter.Write(p)
	m.count(int64(n), err)
	return n, err
}

func (m *meter) count(n int64, err error) {
	m.sent += n
	if err != nil {
		m.err = err
	}
}

// ReadFrom implements io.ReaderFrom. The connection recognises a file only bare
// or within one io.LimitedReader, so the limit of the caller is taken off and a
// smaller one put on.
func (m *meter) ReadFrom(src io.Reader) (total int64, err error) {
	limit, ok := src.(*io.LimitedReader)
	if !ok {
		limit = &io.LimitedReader{R: src, N: 1<<63 - 1}
	}
	for limit.N > 0 {
		m.extend()
		part := &io.LimitedReader{R: limit.R, N: min(limit.N, stride)}
		asked := part.N
		n, err := m.readPart(part)
		total, limit.N = total+n, limit.N-n
		m.count(n, err)
		if err != nil || n < asked {
			return total, err
		}
	}
	return total, nil
}

func (m *meter) readPart(part *io.LimitedReader) (int64, error) {
	if rf, ok := m.ResponseWriter.(io.ReaderFrom); ok {
		return rf.ReadFrom(part)
	}
	return io.Copy(struct{ io.Writer }{m.ResponseWriter}, part)
}

// limited is a listener that closes connections beyond its limits at once, so
// that idle ones cannot lock others out.
type limited struct {
	net.Listener
	max, maxEach int

	mu   sync.Mutex
	open int
	each map[netip.Addr]int
}

func newLimited(ln net.Listener, max, maxEach int) *limited {
	return &limited{Listener: ln, max: max, maxEach: maxEach, each: map[netip.Addr]int{}}
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		tcp, ok := c.(*net.TCPConn)
		if !ok {
			return c, nil
		}
		addr := tcp.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
		if l.enter(addr) {
			return &held{TCPConn: tcp, leave: sync.OnceFunc(func() { l.leave(addr) })}, nil
		}
		c.Close()
	}
}

func (l *limited) enter(a netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.max || l.each[a] >= l.maxEach {
		return false
	}
	l.open++
	l.each[a]++
	return true
}

func (l *limited) leave(a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.each[a]--; l.each[a] == 0 {
		delete(l.each, a)
	}
}

// held is a connection that gives its place back when it is closed. The
// embedded *net.TCPConn keeps its ReadFrom, and thereby sendfile.
type held struct {
	*net.TCPConn
	leave func()
}

func (h *held) Close() error {
	h.leave()
	return h.TCPConn.Close()
}

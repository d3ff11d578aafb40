package lease

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"berth/pxe"
)

// Log is a Journal in one append-only file.
//
// The file begins with logMagic. Each record is a mark, the length of its body
// (2 bytes), the CRC-32C of the body (4 bytes) and the body. All numbers are
// big-endian. The mark and the checksum let a reader find its way again behind
// a damaged place.
//
// The file is untrusted when it is read: a crash, a full disk or a bad block
// may have left anything in it.
type Log struct {
	path string
	lock *os.File
	f    *os.File
	size int64
}

const (
	logMagic  = "berthL1\n"
	mark      = 0xb7
	headSize  = 1 + 2 + 4
	bodyFixed = 1 + 1 + 4 + 1 + 8 + 4 + 1 + 1 // state, known, address, prefix length, expiry, term, two lengths
	maxBody   = bodyFixed + 255 + 255
	maxLog    = 1 << 30 // 1 GiB: fifteen million records; more is not ours
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// OpenLog opens or creates the lease log at path and locks it against a second
// server. The lock is a file of its own beside it, since compaction replaces
// the log.
func OpenLog(path string) (*Log, error) {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the lease log: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lease log %s is in use by another server", path)
		}
		return nil, fmt.Errorf("lock the lease log %s: %w", path, err)
	}
	return &Log{path: path, lock: lock}, nil
}

// Load reads the log and opens it for appending. A torn end is cut off; a log
// that is damaged elsewhere is kept as path.damaged and written anew from what
// could be read.
func (l *Log) Load(f func(Record)) (Recovery, error) {
	data, err := readAll(l.path)
	if err != nil {
		return Recovery{}, err
	}
	if len(data) < len(logMagic) && strings.HasPrefix(logMagic, string(data)) {
		// New, or the server died while it made it.
		return Recovery{}, l.Rewrite(func(func(Record) bool) {})
	}
	records, good, rec := decode(data)
	for _, r := range records {
		f(r)
	}
	if rec.Damaged {
		if err := os.WriteFile(l.path+".damaged", data, 0o600); err != nil {
			return rec, fmt.Errorf("keep a copy of the damaged lease log: %w", err)
		}
		return rec, l.Rewrite(func(yield func(Record) bool) {
			for _, r := range records {
				if !yield(r) {
					return
				}
			}
		})
	}
	return rec, l.open(int64(good))
}

// readAll is nil without an error for a file that is not there.
func readAll(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the lease log: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLog+1))
	if err != nil {
		return nil, fmt.Errorf("read the lease log %s: %w", path, err)
	}
	if len(data) > maxLog {
		return nil, fmt.Errorf("lease log %s is larger than %d bytes: this is not a lease log of berth", path, maxLog)
	}
	return data, nil
}

// open opens the log for appending behind its good part and makes the cut durable.
func (l *Log) open(good int64) error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the lease log: %w", err)
	}
	err = f.Truncate(good)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("cut the torn end off the lease log: %w", err)
	}
	l.f, l.size = f, good
	return nil
}

// Append implements Journal by one write and one fdatasync.
func (l *Log) Append(batch []Record) error {
	buf := make([]byte, 0, 80*len(batch))
	for _, r := range batch {
		buf = appendRecord(buf, r)
	}
	n, err := l.f.Write(buf)
	l.size += int64(n)
	if err != nil {
		return fmt.Errorf("write the lease log: %w", err)
	}
	if err := unix.Fdatasync(int(l.f.Fd())); err != nil {
		return fmt.Errorf("sync the lease log: %w", err)
	}
	return nil
}

// Grown implements Journal: a log may be twice as large as its content, and a
// MiB more, which keeps the cost of rewriting below that of appending.
func (l *Log) Grown(live int) bool {
	const typical = 64
	return l.size > 2*typical*int64(live)+1<<20
}

// Rewrite implements Journal: a new file is written, synced and renamed over the
// old one, and the directory is synced.
func (l *Log) Rewrite(all iter.Seq[Record]) error {
	buf := []byte(logMagic)
	for r := range all {
		buf = appendRecord(buf, r)
	}
	f, err := replaceFile(l.path, buf)
	if err != nil {
		return fmt.Errorf("rewrite the lease log: %w", err)
	}
	if l.f != nil {
		l.f.Close()
	}
	l.f, l.size = f, int64(len(buf))
	if err := syncDir(filepath.Dir(l.path)); err != nil {
		return fmt.Errorf("rewrite the lease log: %w", err)
	}
	return nil
}

// replaceFile puts synced data at path and returns the file, open for appending.
// The rename itself is durable only once the directory is synced.
func replaceFile(path string, data []byte) (f *os.File, err error) {
	tmp := path + ".new"
	if f, err = os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(tmp)
		}
	}()
	if _, err = f.Write(data); err != nil {
		return nil, err
	}
	if err = f.Sync(); err != nil {
		return nil, err
	}
	return f, os.Rename(tmp, path)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Close closes the log and gives up its lock.
func (l *Log) Close() error {
	var err error
	if l.f != nil {
		err = l.f.Close()
	}
	if lerr := l.lock.Close(); err == nil {
		err = lerr
	}
	return err
}

// appendRecord encodes r behind buf.
func appendRecord(buf []byte, r Record) []byte {
	start := len(buf)
	buf = append(buf, mark, 0, 0, 0, 0, 0, 0)
	known := byte(0)
	if r.Known {
		known = 1
	}
	addr := r.Addr.As4()
	buf = append(buf, byte(r.State), known)
	buf = append(buf, addr[:]...)
	buf = append(buf, byte(r.Prefix.Bits()))
	buf = binary.BigEndian.AppendUint64(buf, uint64(r.Expires.Unix()))
	buf = binary.BigEndian.AppendUint32(buf, uint32(r.Term/time.Second))
	buf = appendText(buf, r.Key)
	buf = appendText(buf, r.Hostname)
	body := buf[start+headSize:]
	binary.BigEndian.PutUint16(buf[start+1:], uint16(len(body)))
	binary.BigEndian.PutUint32(buf[start+3:], crc32.Checksum(body, castagnoli))
	return buf
}

func appendText(buf []byte, s string) []byte {
	s = s[:min(len(s), 255)]
	return append(append(buf, byte(len(s))), s...)
}

// decode reads a whole log. good is the length of the part before a torn end.
func decode(data []byte) (records []Record, good int, rec Recovery) {
	at := 0
	if bytes.HasPrefix(data, []byte(logMagic)) {
		at = len(logMagic)
	} else if len(data) > 0 {
		rec.Damaged = true
	}
	for at < len(data) {
		r, n, ok := decodeRecord(data[at:])
		if ok {
			records, at = append(records, r), at+n
			continue
		}
		next := findRecord(data, at+1)
		if next < 0 {
			break
		}
		rec.Damaged, at = true, next
	}
	rec.Records = len(records)
	rec.Torn = len(data) - at
	if !torn(data[at:]) {
		rec.Damaged = true
	}
	return records, at, rec
}

// torn reports whether the end of a log, in which no good record begins, looks
// like a write that was cut short: the beginning of a record, or what a file
// system shows of blocks it never wrote. Anything else was a record once.
func torn(end []byte) bool {
	if len(end) == 0 || len(bytes.Trim(end, "\x00")) == 0 {
		return true
	}
	if end[0] != mark {
		return false
	}
	return len(end) < headSize || len(end) < headSize+int(binary.BigEndian.Uint16(end[1:]))
}

func findRecord(data []byte, from int) int {
	for at := from; at < len(data); at++ {
		i := bytes.IndexByte(data[at:], mark)
		if i < 0 {
			return -1
		}
		at += i
		if _, _, ok := decodeRecord(data[at:]); ok {
			return at
		}
	}
	return -1
}

// decodeRecord reads the record at the beginning of data and tells its length.
func decodeRecord(data []byte) (r Record, n int, ok bool) {
	if len(data) < headSize || data[0] != mark {
		return r, 0, false
	}
	size := int(binary.BigEndian.Uint16(data[1:]))
	if size < bodyFixed || size > maxBody || len(data) < headSize+size {
		return r, 0, false
	}
	body := data[headSize : headSize+size]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(data[3:]) {
		return r, 0, false
	}
	r, ok = decodeBody(body)
	return r, headSize + size, ok
}

// decodeBody refuses what appendRecord never writes, checksum or not.
func decodeBody(b []byte) (r Record, ok bool) {
	r.State, r.Known = pxe.LeaseState(b[0]), b[1] == 1
	r.Addr = netip.AddrFrom4([4]byte(b[2:6]))
	prefix, err := r.Addr.Prefix(int(b[6]))
	if err != nil || r.State > pxe.LeaseDeclined {
		return r, false
	}
	r.Prefix = prefix
	r.Expires = time.Unix(int64(binary.BigEndian.Uint64(b[7:])), 0)
	r.Term = time.Duration(binary.BigEndian.Uint32(b[15:])) * time.Second
	rest := b[19:]
	if r.Key, rest, ok = cutText(rest); !ok {
		return r, false
	}
	r.Hostname, rest, ok = cutText(rest)
	return r, ok && len(rest) == 0
}

func cutText(b []byte) (s string, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return "", nil, false
	}
	return string(b[1 : 1+b[0]]), b[1+int(b[0]):], true
}

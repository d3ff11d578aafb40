package image

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// The reader of qcow2 follows docs/interop/qcow2.txt of QEMU. It is a gate as much as a reader: a qcow2 file can name
// other files to be read (a backing file, an external data file), and every system that handed such a file to a
// converter with more rights than the uploader gave away its own files that way. This one opens nothing, and refuses
// whatever it does not know.

const (
	qcow2Magic      = "QFI\xfb"
	qcow2HeaderV2   = 72
	qcow2HeaderV3   = 104
	qcow2MaxL1      = 32 << 20 // bytes; QEMU's own limit
	qcow2MaxCluster = 21       // bits
	qcow2MinCluster = 9

	qcow2Dirty       = 1 << 0 // refcounts may be wrong; the mapping is not
	qcow2Corrupt     = 1 << 1
	qcow2DataFile    = 1 << 2
	qcow2Compression = 1 << 3
	qcow2ExtendedL2  = 1 << 4

	qcow2ExtEnd        = 0
	qcow2ExtDataFile   = 0x44415441
	qcow2ExtEncryption = 0x0537be77

	qcow2OffsetMask = 0x00fffffffffffe00
	qcow2Compressed = 1 << 62
	qcow2ZeroFlag   = 1 << 0
)

// qcow2Header is what the header says, after it was checked.
type qcow2Header struct {
	version     uint32
	clusterBits uint
	size        int64 // of the guest's disk, in bytes
	l1          int64 // offset in the file
	l1Entries   int
	zstd        bool
}

// qcow2 reads the guest's disk from a qcow2 file in order, one cluster at a time.
type qcow2 struct {
	file     io.ReaderAt
	fileSize int64
	head     qcow2Header
	l1       []uint64
	l2       []byte // the L2 table in use
	l2From   uint64 // its L1 entry's offset; 0 is none
	next     int64  // guest offset of the next cluster
	cluster  []byte
	packed   []byte
	rest     []byte // of the cluster, not yet read by the caller
	inflate  io.ReadCloser
	unzstd   *zstd.Decoder
}

func qcow2Errorf(format string, args ...any) error {
	return fmt.Errorf("qcow2: "+format+": %w", append(args, ErrFormat)...)
}

// newQCOW2 checks the header of a qcow2 file of this size in bytes and returns a reader of the disk in it, which is no
// larger than maxSize.
func newQCOW2(file io.ReaderAt, fileSize, maxSize int64) (*qcow2, error) {
	head, err := readQCOW2Header(file, fileSize)
	if err != nil {
		return nil, err
	}
	if head.size > maxSize {
		return nil, fmt.Errorf("qcow2: the disk in it has %d bytes, %d are allowed: %w", head.size, maxSize, ErrTooBig)
	}
	q := &qcow2{file: file, fileSize: fileSize, head: head, cluster: make([]byte, 1<<head.clusterBits), l2: make([]byte, 1<<head.clusterBits)}
	if err := q.readL1(); err != nil {
		return nil, err
	}
	q.inflate = flate.NewReader(bytes.NewReader(nil))
	// Without the last option a short input is decoded whole before the first byte is asked for, however long it becomes.
	q.unzstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(2<<qcow2MaxCluster), zstd.WithDecodeBuffersBelow(0))
	if err != nil {
		return nil, fmt.Errorf("qcow2: start zstd decoder: %w", err)
	}
	return q, nil
}

// Close frees the decoders.
func (q *qcow2) Close() error {
	q.unzstd.Close()
	return q.inflate.Close()
}

func readQCOW2Header(file io.ReaderAt, fileSize int64) (qcow2Header, error) {
	b := make([]byte, qcow2HeaderV3+8)
	n, err := file.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return qcow2Header{}, fmt.Errorf("read qcow2 header: %w", err)
	}
	b = b[:n]
	if len(b) < qcow2HeaderV2 || string(b[:4]) != qcow2Magic {
		return qcow2Header{}, qcow2Errorf("the file has no qcow2 header")
	}
	h := qcow2Header{
		version:     binary.BigEndian.Uint32(b[4:]),
		clusterBits: uint(binary.BigEndian.Uint32(b[20:])),
		l1Entries:   int(binary.BigEndian.Uint32(b[36:])),
	}
	switch {
	case h.version != 2 && h.version != 3:
		return h, qcow2Errorf("version %d is not known", h.version)
	case binary.BigEndian.Uint64(b[8:]) != 0 || binary.BigEndian.Uint32(b[16:]) != 0:
		return h, qcow2Errorf("the image refers to a backing file; flatten it first (qemu-img convert -O qcow2)")
	case h.clusterBits < qcow2MinCluster || h.clusterBits > qcow2MaxCluster:
		return h, qcow2Errorf("clusters of 2^%d bytes", h.clusterBits)
	case binary.BigEndian.Uint32(b[32:]) != 0:
		return h, qcow2Errorf("the image is encrypted")
	}
	if h.version == 3 {
		if err := h.checkV3(file, fileSize, b); err != nil {
			return h, err
		}
	}
	return h, h.checkLayout(b, fileSize)
}

// checkV3 reads what version 3 added: feature bits, the compression type and the header extensions.
func (h *qcow2Header) checkV3(file io.ReaderAt, fileSize int64, b []byte) error {
	if len(b) < qcow2HeaderV3 {
		return qcow2Errorf("the header is cut short")
	}
	features, length := binary.BigEndian.Uint64(b[72:]), int64(binary.BigEndian.Uint32(b[100:]))
	switch {
	case features&qcow2Corrupt != 0:
		return qcow2Errorf("the image says of itself that it is corrupt")
	case features&qcow2DataFile != 0:
		return qcow2Errorf("the image keeps its data in another file")
	case features&qcow2ExtendedL2 != 0:
		return qcow2Errorf("extended L2 entries are not read here; convert it without them (qemu-img convert -O qcow2)")
	case features&^(qcow2Dirty|qcow2Compression) != 0:
		return qcow2Errorf("unknown incompatible features %#x", features)
	case length < qcow2HeaderV3 || length%8 != 0 || length > 1<<h.clusterBits:
		return qcow2Errorf("a header of %d bytes", length)
	}
	if features&qcow2Compression != 0 {
		if len(b) <= qcow2HeaderV3 || length <= qcow2HeaderV3 || b[qcow2HeaderV3] > 1 {
			return qcow2Errorf("unknown compression of clusters")
		}
		h.zstd = b[qcow2HeaderV3] == 1
	}
	return checkQCOW2Extensions(file, length, min(fileSize, 1<<h.clusterBits))
}

// checkQCOW2Extensions walks the header extensions, which end within the first cluster, and refuses those that point
// elsewhere. The others carry names and bitmaps and are of no interest.
func checkQCOW2Extensions(file io.ReaderAt, at, end int64) error {
	var b [8]byte
	for at+8 <= end {
		if _, err := file.ReadAt(b[:], at); err != nil {
			return fmt.Errorf("read qcow2 header extension: %w", err)
		}
		switch binary.BigEndian.Uint32(b[:]) {
		case qcow2ExtEnd:
			return nil
		case qcow2ExtDataFile:
			return qcow2Errorf("the image names an external data file")
		case qcow2ExtEncryption:
			return qcow2Errorf("the image is encrypted")
		}
		at += 8 + (int64(binary.BigEndian.Uint32(b[4:]))+7)&^7
	}
	return nil
}

// checkLayout checks sizes and that every table lies within the file.
func (h *qcow2Header) checkLayout(b []byte, fileSize int64) error {
	size, l1 := binary.BigEndian.Uint64(b[24:]), binary.BigEndian.Uint64(b[40:])
	refs, refClusters := binary.BigEndian.Uint64(b[48:]), uint64(binary.BigEndian.Uint32(b[56:]))
	cluster := uint64(1) << h.clusterBits
	if size == 0 || size > uint64(MaxSize) || size%SectorSize != 0 {
		return qcow2Errorf("a disk of %d bytes", size)
	}
	h.size, h.l1 = int64(size), int64(l1)
	perL1 := cluster * (cluster / 8) // guest bytes behind one L1 entry
	need := (size + perL1 - 1) / perL1
	switch {
	case uint64(h.l1Entries) < need || h.l1Entries*8 > qcow2MaxL1:
		return qcow2Errorf("an L1 table of %d entries for a disk of %d bytes", h.l1Entries, size)
	case !within(l1, uint64(h.l1Entries)*8, cluster, fileSize):
		return qcow2Errorf("the L1 table lies outside of the file")
	case !within(refs, refClusters*cluster, cluster, fileSize):
		return qcow2Errorf("the refcount table lies outside of the file")
	}
	h.l1Entries = int(need)
	return nil
}

// within reports whether n bytes at offset, a multiple of the cluster, are in the file and not in its header.
func within(offset, n, cluster uint64, fileSize int64) bool {
	return offset != 0 && offset%cluster == 0 && offset <= uint64(fileSize) && n <= uint64(fileSize)-offset
}

func (q *qcow2) readL1() error {
	b := make([]byte, q.head.l1Entries*8)
	if _, err := q.file.ReadAt(b, q.head.l1); err != nil {
		return fmt.Errorf("read qcow2 L1 table: %w", err)
	}
	q.l1 = make([]uint64, q.head.l1Entries)
	for i := range q.l1 {
		q.l1[i] = binary.BigEndian.Uint64(b[i*8:]) & qcow2OffsetMask
		if q.l1[i] != 0 && !within(q.l1[i], uint64(len(q.cluster)), uint64(len(q.cluster)), q.fileSize) {
			return qcow2Errorf("L2 table %d lies outside of the file", i)
		}
	}
	return nil
}

// Read implements io.Reader over the guest's disk.
func (q *qcow2) Read(p []byte) (int, error) {
	if len(q.rest) == 0 {
		if q.next >= q.head.size {
			return 0, io.EOF
		}
		if err := q.readCluster(); err != nil {
			return 0, fmt.Errorf("guest offset %d: %w", q.next, err)
		}
		q.rest = q.cluster[:min(int64(len(q.cluster)), q.head.size-q.next)]
		q.next += int64(len(q.rest))
	}
	n := copy(p, q.rest)
	q.rest = q.rest[n:]
	return n, nil
}

// readCluster fills q.cluster with the cluster at guest offset q.next.
func (q *qcow2) readCluster() error {
	entry, err := q.entry()
	if err != nil {
		return err
	}
	switch {
	case entry&qcow2Compressed != 0:
		return q.readCompressed(entry)
	case q.head.version >= 3 && entry&qcow2ZeroFlag != 0, entry&qcow2OffsetMask == 0:
		clear(q.cluster)
		return nil
	}
	offset := entry & qcow2OffsetMask
	if offset%uint64(len(q.cluster)) != 0 || offset >= uint64(q.fileSize) {
		return qcow2Errorf("a data cluster lies outside of the file")
	}
	// The last cluster of a file may be cut: what is missing reads as zero, as it does in QEMU.
	n, err := q.file.ReadAt(q.cluster, int64(offset))
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read qcow2 cluster: %w", err)
	}
	clear(q.cluster[n:])
	return nil
}

// entry returns the L2 entry of the cluster at guest offset q.next; 0 is a cluster of zeros.
func (q *qcow2) entry() (uint64, error) {
	number := uint64(q.next) >> q.head.clusterBits
	perTable := uint64(len(q.cluster) / 8)
	table := q.l1[number/perTable]
	if table == 0 {
		return 0, nil
	}
	if table != q.l2From {
		if _, err := q.file.ReadAt(q.l2, int64(table)); err != nil {
			return 0, fmt.Errorf("read qcow2 L2 table: %w", err)
		}
		q.l2From = table
	}
	return binary.BigEndian.Uint64(q.l2[number%perTable*8:]), nil
}

// readCompressed inflates one cluster. The entry holds the byte offset in its low bits and above them the number of
// further 512-byte sectors the compressed data reaches into, which may be more than the data needs.
func (q *qcow2) readCompressed(entry uint64) error {
	bits := 62 - (q.head.clusterBits - 8)
	offset := entry & (1<<bits - 1)
	sectors := (entry&(qcow2Compressed-1))>>bits + 1
	n := int64(sectors)*512 - int64(offset%512)
	if offset < uint64(len(q.cluster)) || offset >= uint64(q.fileSize) || n > 2*int64(len(q.cluster))+512 {
		return qcow2Errorf("a compressed cluster lies outside of the file")
	}
	n = min(n, q.fileSize-int64(offset))
	if int64(cap(q.packed)) < n {
		q.packed = make([]byte, n)
	}
	q.packed = q.packed[:n]
	if _, err := q.file.ReadAt(q.packed, int64(offset)); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read compressed qcow2 cluster: %w", err)
	}
	if q.head.zstd {
		return q.unpackZstd()
	}
	if err := q.inflate.(flate.Resetter).Reset(bytes.NewReader(q.packed), nil); err != nil {
		return fmt.Errorf("qcow2: reset inflate: %w", err)
	}
	if _, err := io.ReadFull(q.inflate, q.cluster); err != nil {
		return qcow2Errorf("a compressed cluster does not inflate (%v)", err)
	}
	return nil
}

// unpackZstd decodes the first cluster's worth of the packed bytes; what follows is padding to the sector.
func (q *qcow2) unpackZstd() error {
	if err := q.unzstd.Reset(bytes.NewReader(q.packed)); err != nil {
		return qcow2Errorf("a compressed cluster is not zstd (%v)", err)
	}
	if _, err := io.ReadFull(q.unzstd, q.cluster); err != nil {
		return qcow2Errorf("a compressed cluster does not decode (%v)", err)
	}
	return nil
}

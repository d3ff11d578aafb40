package image

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Entry is what the index says of one frame.
type Entry struct {
	// Stored is the length of the compressed frame in the blob, in bytes; 0 is a frame of zeros, which is not stored.
	Stored uint32
	// Check is that of the raw bytes, see [CheckFrame]; 0 for a frame of zeros.
	Check uint64
	// Digest is that of the compressed bytes, see [DigestFrame]; zeros for a frame of zeros.
	Digest FrameDigest
}

// Index describes every frame of an image. Offsets are not part of it: frames follow each other without gaps, so there
// is nothing that could contradict itself.
type Index struct {
	// Size of the raw image in bytes.
	Size    int64
	Entries []Entry
}

const (
	indexMagic  = "berthidx"
	indexHeader = 8 + 4 + 4 + 8 // magic, version, frame size, raw size
	entrySize   = 4 + 8 + len(FrameDigest{})
	// indexVersion is the first format; a reader refuses any other.
	indexVersion = 1
	// maxIndex is the largest index in bytes, that of an image of MaxSize.
	maxIndex = indexHeader + maxFrames*entrySize
)

// RawLen returns the number of raw bytes in frame i.
func (x *Index) RawLen(i int) int {
	return int(min(FrameSize, x.Size-int64(i)*FrameSize))
}

// Stored returns the length of the blob in bytes.
func (x *Index) Stored() int64 {
	var n int64
	for i := range x.Entries {
		n += int64(x.Entries[i].Stored)
	}
	return n
}

// ZeroFrames returns how many frames are all zero.
func (x *Index) ZeroFrames() int {
	n := 0
	for i := range x.Entries {
		if x.Entries[i].Stored == 0 {
			n++
		}
	}
	return n
}

// DataBytes returns how many raw bytes lie in frames that are not all zero.
func (x *Index) DataBytes() int64 {
	var n int64
	for i := range x.Entries {
		if x.Entries[i].Stored != 0 {
			n += int64(x.RawLen(i))
		}
	}
	return n
}

// Tree returns the tree hash: BLAKE2b-256 over a domain and the stored form. Two levels are enough: a leaf is at most
// 4 MiB of data, and the root covers its length and the size of all, so that no leaf, and no shorter or longer list of
// leaves, can pass for another.
func (x *Index) Tree() (t Tree) {
	h := newHash(treeDomain)
	h.Write(x.Encode())
	h.Sum(t[:0])
	return t
}

// Encode returns the stored form.
func (x *Index) Encode() []byte {
	b := make([]byte, 0, indexHeader+len(x.Entries)*entrySize)
	b = append(b, indexMagic...)
	b = binary.BigEndian.AppendUint32(b, indexVersion)
	b = binary.BigEndian.AppendUint32(b, FrameSize)
	b = binary.BigEndian.AppendUint64(b, uint64(x.Size))
	for i := range x.Entries {
		e := &x.Entries[i]
		b = binary.BigEndian.AppendUint32(b, e.Stored)
		b = binary.BigEndian.AppendUint64(b, e.Check)
		b = append(b, e.Digest[:]...)
	}
	return b
}

// DecodeIndex reads the stored form. It accepts exactly what Encode makes: no spare bytes, the number of frames that
// the size calls for, and no frame that says of itself both zero and not zero.
func DecodeIndex(b []byte) (*Index, error) {
	if len(b) < indexHeader || string(b[:8]) != indexMagic {
		return nil, fmt.Errorf("image index: no index header: %w", ErrCorrupt)
	}
	if v, f := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:]); v != indexVersion || f != FrameSize {
		return nil, fmt.Errorf("image index: version %d with frames of %d bytes is not known: %w", v, f, ErrCorrupt)
	}
	size := binary.BigEndian.Uint64(b[16:])
	if size == 0 || size > uint64(MaxSize) || size%SectorSize != 0 {
		return nil, fmt.Errorf("image index: raw size %d: %w", size, ErrCorrupt)
	}
	x := &Index{Size: int64(size)}
	n := frameCount(x.Size)
	if len(b) != indexHeader+n*entrySize {
		return nil, fmt.Errorf("image index: %d bytes for %d frames: %w", len(b), n, ErrCorrupt)
	}
	x.Entries = make([]Entry, n)
	for i := range x.Entries {
		if err := x.decodeEntry(i, b[indexHeader+i*entrySize:]); err != nil {
			return nil, err
		}
	}
	return x, nil
}

func (x *Index) decodeEntry(i int, b []byte) error {
	e := &x.Entries[i]
	e.Stored, e.Check = binary.BigEndian.Uint32(b), binary.BigEndian.Uint64(b[4:])
	copy(e.Digest[:], b[12:])
	switch {
	case e.Stored > maxStored:
		return fmt.Errorf("image index: frame %d is stored in %d bytes: %w", i, e.Stored, ErrCorrupt)
	case e.Stored == 0 && *e != (Entry{}):
		return fmt.Errorf("image index: frame %d contradicts itself about being zero: %w", i, ErrCorrupt)
	}
	return nil
}

// readIndex reads an index from r, without believing how long r says it is, and checks it against the tree hash.
func readIndex(r io.Reader, want Tree) (*Index, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(maxIndex)+1))
	if err != nil {
		return nil, fmt.Errorf("read image index: %w", err)
	}
	x, err := DecodeIndex(b)
	if err != nil {
		return nil, err
	}
	if x.Tree() != want {
		return nil, fmt.Errorf("image index: its tree hash is %s, not %s: %w", x.Tree(), want, ErrCorrupt)
	}
	return x, nil
}

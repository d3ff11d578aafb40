// Package image holds operating system images in the form in which berth stores, serves and checks them.
//
// An image is a raw disk image cut into frames of 4 MiB (the last may be shorter). Each frame is compressed on its own
// with zstd; a frame that is all zero is not stored. The index names for every frame the length and the digest of its
// compressed bytes and a checksum of its raw ones, and the tree hash is one hash over the index. Whoever knows the 32
// bytes of the tree hash can therefore take frames from anybody, in any order, decode them in parallel, and know before
// a byte of a frame is decoded that it is the right one. docs/decisions/image-format.md has the layout and the reasons.
//
// [Import] makes the stored form from what people have (raw or qcow2, plain or compressed), [Open] opens it on the
// server, [Handler] serves it, and [Fetch] reads it over HTTP on the machine that is being written. Both ends hand out
// frames as a [Source].
//
// Everything read here is hostile until its digest was checked. Formats are parsed by this package alone, are named by
// whoever imports and never guessed later, and can refer to no other file.
package image

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/crypto/blake2b"

	"berth/storage"
)

const (
	// FrameSize is the number of raw bytes in every frame but the last.
	FrameSize = 4 << 20
	// SectorSize is what a raw image must be a multiple of, in bytes.
	SectorSize = 512
	// DefaultMaxSize limits a raw image where the caller sets no limit, in bytes.
	DefaultMaxSize = 256 * storage.GiB
	// MaxSize is the largest raw image the format allows, in bytes.
	MaxSize = 4096 * storage.GiB

	maxFrames = int(MaxSize / FrameSize)
	// maxStored is the largest compressed frame. zstd grows incompressible data by 3 bytes per 128 KiB and a header.
	maxStored = FrameSize + 64<<10
)

// The errors that callers tell apart.
var (
	// ErrCorrupt means that bytes are not those the digest stands for.
	ErrCorrupt = errors.New("image data is damaged or not the image that was asked for")
	// ErrFormat means that what was imported is not of the format named, or of one that berth does not take.
	ErrFormat = errors.New("image format refused")
	// ErrDigest means that an imported image has neither as file nor as raw content the digest the user gave.
	ErrDigest = errors.New("image does not have the expected digest")
	// ErrTooBig means that the image exceeds the size allowed.
	ErrTooBig = errors.New("image is too big")
	// ErrNotFound means that the catalogue directory does not hold the image.
	ErrNotFound = errors.New("image is not in the catalogue directory")
)

// Digest is a hash with its algorithm in front: sha256:… or, only to compare an import with, sha512:….
type Digest string

// ParseDigest accepts sha256: and sha512: followed by the right number of hexadecimal digits, and bare digits whose
// number tells the algorithm, as the SHA256SUMS and SHA512SUMS files of distributions have them.
func ParseDigest(s string) (Digest, error) {
	algo, digits, found := strings.Cut(strings.ToLower(strings.TrimSpace(s)), ":")
	if !found {
		algo, digits = map[int]string{64: "sha256", 128: "sha512"}[len(algo)], algo
	}
	want := map[string]int{"sha256": 64, "sha512": 128}[algo]
	if _, err := hex.DecodeString(digits); err != nil || want == 0 || len(digits) != want {
		return "", fmt.Errorf("%.160q is not a digest such as sha256:<64 hexadecimal digits>", s)
	}
	return Digest(algo + ":" + digits), nil
}

// Hex returns the digits after the algorithm.
func (d Digest) Hex() string {
	_, digits, _ := strings.Cut(string(d), ":")
	return digits
}

// String returns the digest with its algorithm.
func (d Digest) String() string { return string(d) }

func (d Digest) isSHA512() bool { return strings.HasPrefix(string(d), "sha512:") }

func digestOf(h hash.Hash) Digest { return Digest("sha256:" + hex.EncodeToString(h.Sum(nil))) }

// FrameDigest names the stored bytes of one frame.
type FrameDigest [blake2b.Size256]byte

// frameDomain and treeDomain keep the two levels of the tree hash apart from each other and from every other hash.
const (
	frameDomain = "berth image frame v1\x00"
	treeDomain  = "berth image tree v1\x00"
)

// DigestFrame returns the digest of a frame's stored bytes: BLAKE2b-256 over a domain and the bytes. Machines that are
// written hash every byte of the image that reaches them, many of them are older than processors with instructions for
// SHA-256, and there, as in virtual machines without hardware help, BLAKE2b takes less than half the time.
func DigestFrame(stored []byte) (d FrameDigest) {
	h := newHash(frameDomain)
	h.Write(stored)
	h.Sum(d[:0])
	return d
}

func newHash(domain string) hash.Hash {
	h, err := blake2b.New256(nil)
	if err != nil {
		panic(fmt.Sprintf("image: BLAKE2b without a key: %v", err)) // fails for keys that are too long only
	}
	io.WriteString(h, domain)
	return h
}

// CheckFrame returns the checksum of a frame's raw bytes: 64 bits of xxHash. Nobody can forge it, since the tree hash
// covers it; it is there for the errors that decoders, memory and disks make, which have no intentions.
func CheckFrame(raw []byte) uint64 { return xxhash.Sum64(raw) }

// Tree is the tree hash: the root over the index, which names an image with all its frames.
type Tree [blake2b.Size256]byte

// treePrefix carries the version: another one is another hash, and stored text forms say which.
const treePrefix = "tree1:"

// String returns the text form, tree1: and 64 hexadecimal digits.
func (t Tree) String() string { return treePrefix + hex.EncodeToString(t[:]) }

// MarshalText makes the text form the wire form.
func (t Tree) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is [ParseTree].
func (t *Tree) UnmarshalText(text []byte) (err error) {
	*t, err = ParseTree(string(text))
	return err
}

// ParseTree reads the text form of a tree hash.
func ParseTree(s string) (Tree, error) {
	var t Tree
	digits, found := strings.CutPrefix(s, treePrefix)
	if n, err := hex.Decode(t[:], []byte(digits[:min(len(digits), 2*len(t))])); !found || err != nil || n != len(t) || len(digits) != 2*len(t) {
		return Tree{}, fmt.Errorf("%.160q is not a tree hash (%s<64 hexadecimal digits>)", s, treePrefix)
	}
	return t, nil
}

// frameCount returns how many frames a raw image of this size has.
func frameCount(size int64) int { return int((size + FrameSize - 1) / FrameSize) }

// zeros is one frame of zero bytes; it is never written to.
var zeros [FrameSize]byte

// Aligned returns n bytes that begin at a multiple of 4096 in memory, as direct input and output wants them.
func Aligned(n int) []byte {
	const align = 4096
	b := make([]byte, n+align)
	skip := (align - int(addressOf(b)%align)) % align
	return b[skip : skip+n : skip+n]
}

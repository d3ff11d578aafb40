package image

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// Format is what an imported file is. The set is closed; it is a fact stored with the image, stated once by whoever
// imports it, and never derived from the content again.
type Format string

// The formats that are taken.
const (
	FormatRaw   Format = "raw"
	FormatQCOW2 Format = "qcow2"
)

// Formats returns every format that can be imported.
func Formats() []Format { return []Format{FormatRaw, FormatQCOW2} }

// String returns the format's name.
func (f Format) String() string { return string(f) }

// ParseFormat returns the format with this name.
func ParseFormat(s string) (Format, error) {
	if slices.Contains(Formats(), Format(s)) {
		return Format(s), nil
	}
	return "", fmt.Errorf("%q: only raw and qcow2 images are taken: %w", s, ErrFormat)
}

// Compression is what an imported file is wrapped in.
type Compression string

// The compressions that are taken.
const (
	CompressionNone Compression = "none"
	CompressionGzip Compression = "gzip"
	CompressionZstd Compression = "zstd"
)

// Compressions returns every compression that can be imported.
func Compressions() []Compression {
	return []Compression{CompressionNone, CompressionGzip, CompressionZstd}
}

// String returns the compression's name.
func (c Compression) String() string { return string(c) }

// ParseCompression returns the compression with this name; empty is none.
func ParseCompression(s string) (Compression, error) {
	if s == "" {
		return CompressionNone, nil
	}
	if slices.Contains(Compressions(), Compression(s)) {
		return Compression(s), nil
	}
	return "", fmt.Errorf("compression %q: only gzip and zstd are taken: %w", s, ErrFormat)
}

// Matched says which digest of an import was the expected one.
type Matched string

// What can match.
const (
	// MatchedNothing: no digest was expected, so nothing vouches for the image.
	MatchedNothing Matched = ""
	// MatchedFile: the digest of the file as it was given, still compressed or in qcow2.
	MatchedFile Matched = "file"
	// MatchedRaw: the digest of the raw content.
	MatchedRaw Matched = "raw"
)

// Manifest describes a stored image.
type Manifest struct {
	// Version of the stored form.
	Version int `json:"version"`
	// Digest is the SHA-256 of the whole raw image: the name by which people know it, and of its directory.
	Digest Digest `json:"digest"`
	// Tree is the tree hash by which machines check it.
	Tree Tree `json:"tree"`
	// Size of the raw image and Stored size of the frames, in bytes.
	Size   int64 `json:"size"`
	Stored int64 `json:"stored"`
	Frames int   `json:"frames"`
	// ZeroFrames are those not stored.
	ZeroFrames int `json:"zero_frames"`
	// Source tells what was imported.
	Source Provenance `json:"source"`
}

// Provenance is what an image was imported from.
type Provenance struct {
	Format      Format      `json:"format"`
	Compression Compression `json:"compression"`
	// Digest is the SHA-256 of the file as it was given, and Size its length in bytes.
	Digest Digest `json:"digest"`
	Size   int64  `json:"size"`
	// Matched says which digest was the expected one; empty: none was expected, the image is unverified.
	Matched Matched `json:"matched,omitempty"`
}

// Verified reports whether a digest vouched for the image when it was imported.
func (m Manifest) Verified() bool { return m.Source.Matched != MatchedNothing }

const (
	manifestVersion = 1
	maxManifest     = 64 << 10
)

func decodeManifest(r io.Reader) (Manifest, error) {
	var m Manifest
	text, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return m, fmt.Errorf("read image manifest: %w", err)
	}
	if len(text) > maxManifest {
		return m, fmt.Errorf("image manifest has more than %d bytes: %w", maxManifest, ErrCorrupt)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("image manifest: %v: %w", err, ErrCorrupt)
	}
	if m.Version != manifestVersion {
		return m, fmt.Errorf("image manifest: version %d is not known: %w", m.Version, ErrCorrupt)
	}
	return m, nil
}

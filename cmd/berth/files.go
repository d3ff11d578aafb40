package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"berth/inventory"
	"berth/provision"
	"berth/pxe"
	"berth/pxe/httpboot"
	"berth/storage/image"
)

// loaderPaths is the table of network boot loaders that are there.
func loaderPaths(dir string) map[string]string {
	out := map[string]string{}
	for _, name := range pxe.Loaders() {
		out[name] = filepath.Join(dir, "loaders", name)
	}
	return out
}

func loaders(dir string) httpboot.Paths { return httpboot.Paths(loaderPaths(dir)) }

// agents is the table of the agent's kernel and initramfs by architecture: the names that scripts use, and the files of the build.
func agents(dir string) httpboot.Paths {
	out := httpboot.Paths{}
	for _, cpu := range []string{"amd64", "arm64"} {
		out[cpu+"/"+pxe.AgentKernel] = filepath.Join(dir, cpu, "vmlinuz")
		out[cpu+"/"+pxe.AgentInitrd] = filepath.Join(dir, cpu, "initramfs")
	}
	return out
}

// images keeps image bytes in a directory: it joins provision.ImageStore to storage/image.
type images string

func openImages(dir string) (images, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the image directory: %w", err)
	}
	return images(dir), image.Sweep(dir)
}

// Import implements provision.ImageStore.
func (d images) Import(ctx context.Context, r io.Reader, o provision.BlobOptions) (provision.Blob, error) {
	options := image.Options{Dir: string(d), Expected: image.Digest(o.Expected), Format: image.Format(o.Format)}
	if o.Progress != nil {
		options.Progress = func(read int64) { o.Progress(read, 0) }
	}
	start := bufio.NewReaderSize(r, 64)
	head, err := start.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return provision.Blob{}, fmt.Errorf("read the image: %w", err)
	}
	options.Compression = compressionOf(head)
	if options.Format == "" {
		// Looked at once, here, and a stored fact from then on.
		options.Format = image.FormatRaw
		if bytes.Equal(head, []byte("QFI\xfb")) {
			options.Format = image.FormatQCOW2
		}
	}
	m, err := image.Import(ctx, start, options)
	if err != nil {
		return provision.Blob{}, blame(err)
	}
	return blobOf(m), nil
}

// blame turns what is wrong with an image, or with the disk it should go to, into an answer for the one who sent it.
func blame(err error) error {
	for _, theirs := range []error{image.ErrFormat, image.ErrDigest, image.ErrCorrupt, image.ErrTooBig} {
		if errors.Is(err, theirs) {
			return inventory.NotAllowed("image", "file", "%v", err)
		}
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w (%w)", &inventory.Conflict{Noun: "image", Why: "the disk of the server's state directory is full; make room there and import the image again"}, err)
	}
	return err
}

func compressionOf(head []byte) image.Compression {
	switch {
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}): // RFC 8878 §3.1.1
		return image.CompressionZstd
	case len(head) > 1 && head[0] == 0x1f && head[1] == 0x8b: // RFC 1952 §2.3.1
		return image.CompressionGzip
	}
	return image.CompressionNone
}

func blobOf(m image.Manifest) provision.Blob {
	return provision.Blob{Digest: m.Digest.String(), TreeHash: m.Tree.String(), SizeBytes: m.Size, StoredBytes: m.Stored, Format: m.Source.Format.String()}
}

// Stat implements provision.ImageStore.
func (d images) Stat(digest string) (provision.Blob, error) {
	stored, err := image.Open(string(d), image.Digest(digest))
	if err != nil {
		return provision.Blob{}, err
	}
	defer stored.Close()
	return blobOf(stored.Manifest()), nil
}

// Path implements provision.ImageStore.
func (d images) Path(digest string) string { return "image/" + image.Digest(digest).Hex() }

// Remove implements provision.ImageStore.
func (d images) Remove(digest string) error { return image.Remove(string(d), image.Digest(digest)) }

// imageBlobs serves the same directory to machines.
type imageBlobs string

// Open implements httpboot.Blobs.
func (d imageBlobs) Open(_ context.Context, digest, name string) (io.ReadSeekCloser, error) {
	parsed, err := image.ParseDigest("sha256:" + strings.TrimPrefix(digest, "sha256:"))
	if err != nil {
		return nil, fs.ErrNotExist
	}
	switch name {
	case "manifest.json", "index", "frames":
		return os.Open(filepath.Join(string(d), parsed.Hex(), name))
	}
	return nil, fs.ErrNotExist
}

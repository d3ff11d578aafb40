package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/agent/agenttest"
	"berth/api"
	"berth/inventory"
)

const (
	mib       = 1 << 20
	imageSize = 32 * mib
	diskSize  = 48 * mib // room for the image, the seed, and some that nobody asked for
)

// diskImage is an operating system as far as a disk can tell: a partition table, boot code, and bytes.
type diskImage struct {
	raw  []byte
	name string
	// digest is what the server calls it by.
	digest string
}

// newImage makes an image with a GPT and two partitions, a third of it zeros. Equal seeds make equal images.
func newImage(t testing.TB, seed uint64) *diskImage {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image")
	raw := make([]byte, imageSize)
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 7})
	for at := mib; at < len(raw); at += mib {
		if at/mib%3 != 0 {
			_, _ = random.Read(raw[at : at+mib])
		}
	}
	copy(raw, "boot code of an operating system")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	table := fmt.Sprintf("label: gpt\nlabel-id: 6F1D7A52-9A39-4C5E-8F0C-%012X\nstart=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649\nstart=4096, size=40960, type=L\n", seed)
	run(t, table, "sfdisk", "-q", file)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return &diskImage{raw: raw, name: fmt.Sprintf("image-%d", seed), digest: fmt.Sprintf("sha256:%x", sha256.Sum256(raw))}
}

// into puts the image into the server's catalogue.
func (i *diskImage) into(s *site) *inventory.Image {
	s.Helper()
	img := must(s, func(context.Context) (*inventory.Image, error) {
		ctx, cancel := context.WithTimeout(s.ctx, patience)
		defer cancel()
		return s.client.ImportImage(ctx, api.ImportRequest{Name: i.name, Format: "raw", Digest: i.digest}, bytes.NewReader(i.raw))
	})
	if img.Digest != i.digest || img.State != "ready" {
		s.Fatalf("imported as %s, %s", img.Digest, img.State)
	}
	return img
}

// run runs a program and returns what it says.
func run(t testing.TB, stdin, name string, args ...string) string {
	t.Helper()
	out, err := output(stdin, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func output(stdin, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, &complaints)
	}
	return out.String(), nil
}

// drive is a disk of a machine: a loop device, and the file behind it, which is what the platter would show.
type drive struct {
	*agenttest.Disk
	file string
}

func newDrive(t testing.TB, serial string, content []byte) *drive {
	t.Helper()
	d := &drive{Disk: agenttest.NewDisk(t, serial, diskSize, content)}
	file, err := os.ReadFile(filepath.Join("/sys/class/block", filepath.Base(d.Path), "loop", "backing_file"))
	if err != nil {
		t.Fatal(err)
	}
	d.file = strings.TrimSpace(string(file))
	return d
}

// platter reads the whole disk.
func (d *drive) platter() ([]byte, error) {
	if err := d.flush(); err != nil {
		return nil, err
	}
	return os.ReadFile(d.file)
}

// flush brings what a killed agent left in the kernel's cache to the platter, as the kernel would do in its own time.
func (d *drive) flush() error {
	f, err := os.OpenFile(d.Path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// touched is when the disk was written last.
func (d *drive) touched() (time.Time, error) {
	if err := d.flush(); err != nil {
		return time.Time{}, err
	}
	info, err := os.Stat(d.file)
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// boots tells whether firmware would find something to start: a boot sector, or a partition table at its place.
func boots(platter []byte) bool {
	return binary.LittleEndian.Uint16(platter[510:]) == 0xaa55 || bytes.Equal(platter[512:520], []byte("EFI PART"))
}

// same says in what a disk differs from the image that was written to it: nil for nothing but what a deploy changes, which is the
// partition table and the seed.
func (i *diskImage) same(platter []byte, file string) error {
	if !bytes.Equal(platter[:440], i.raw[:440]) {
		return errors.New("the boot code is not the image's")
	}
	if !bytes.Equal(platter[mib:len(i.raw)], i.raw[mib:]) {
		for at := mib; at < len(i.raw); at++ {
			if platter[at] != i.raw[at] {
				return fmt.Errorf("it differs from the image at byte %d", at)
			}
		}
	}
	out, err := output("", "sfdisk", "--verify", file)
	if err != nil {
		return err
	}
	if !strings.Contains(out, "No errors detected") {
		return fmt.Errorf("sfdisk does not like the partition table: %s", out)
	}
	if last := platter[len(platter)-512:]; !bytes.Equal(last[:8], []byte("EFI PART")) {
		return errors.New("there is no backup of the partition table at the end of the disk")
	}
	return nil
}

// seed reads a file of the seed from the disk, by mtools and not by our own code.
func (d *drive) seed(name string) (string, error) {
	out, err := output("", "sfdisk", "-J", d.file)
	if err != nil {
		return "", err
	}
	var table struct {
		PartitionTable struct {
			Partitions []struct {
				Start int64
				Name  string
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &table); err != nil {
		return "", err
	}
	for _, p := range table.PartitionTable.Partitions {
		if p.Name == "CIDATA" {
			return output("", "mcopy", "-n", "-i", fmt.Sprintf("%s@@%d", d.file, 512*p.Start), "::"+name, "-")
		}
	}
	return "", fmt.Errorf("no partition called CIDATA on %s", d.file)
}

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// The disk, in sectors of 512 bytes. The BIOS boot partition holds GRUB's core,
// which a disk with GPT has no other room for.
const (
	sector    = 512
	biosStart = 2048
	biosSize  = 2048
	espStart  = 4096
	espSize   = 64 << 20 / sector
	rootStart = espStart + espSize
	tailSize  = 2048 // the backup GPT and the alignment of what is appended
)

// Fixed identities: two builds of one recipe differ in as little as can be. Machines
// are told apart by their seed, never by these.
const (
	diskID = "6f2a9d0e-5a0b-4a59-9c39-b6a1b6c0a001"
	biosID = "6f2a9d0e-5a0b-4a59-9c39-b6a1b6c0a002"
	espID  = "6f2a9d0e-5a0b-4a59-9c39-b6a1b6c0a003"
	rootID = "6f2a9d0e-5a0b-4a59-9c39-b6a1b6c0a004"
	fsID   = "6f2a9d0e-5a0b-4a59-9c39-b6a1b6c0a005"
)

// assemble writes the whole disk to raw: partition table, GRUB for both firmwares,
// and the root file system.
func assemble(ctx context.Context, root, work, raw string) error {
	fsSize, err := rootSize(root)
	if err != nil {
		return err
	}
	rootImg, esp := filepath.Join(work, "root.img"), filepath.Join(work, "esp.img")
	if err := makeRoot(ctx, root, rootImg, fsSize); err != nil {
		return err
	}
	if err := makeESP(ctx, work, esp); err != nil {
		return err
	}
	total := (rootStart+tailSize)*sector + fsSize
	if err := makeTable(ctx, raw, total, fsSize); err != nil {
		return err
	}
	if err := writeAt(raw, espStart*sector, esp); err != nil {
		return err
	}
	if err := writeAt(raw, rootStart*sector, rootImg); err != nil {
		return err
	}
	return installBIOS(ctx, work, raw)
}

// rootSize is the size of the root file system, in bytes and whole MiB: the files,
// rounded up to blocks, and room for the journal, the tables and a first boot.
func rootSize(root string) (int64, error) {
	const block, room, mib = 4096, 160 << 20, 1 << 20
	var used int64
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		used += (info.Size() + block - 1) / block * block
		return nil
	})
	size := used + used/12 + room
	return (size + mib - 1) / mib * mib, err
}

// makeRoot fills a file system from a directory, with no mount. GRUB 2.06
// cannot read a file system with metadata_csum_seed.
func makeRoot(ctx context.Context, root, img string, size int64) error {
	return command(ctx, "mkfs.ext4", "-q", "-F", "-L", "root", "-U", fsID, "-m", "1", "-J", "size=16",
		"-O", "^metadata_csum_seed", "-E", "lazy_itable_init=0,lazy_journal_init=0",
		"-d", root, img, fmt.Sprintf("%dk", size>>10))
}

// makeESP makes the system partition with GRUB at the path that firmware without a
// boot entry looks for.
func makeESP(ctx context.Context, work, img string) error {
	efi := filepath.Join(work, "BOOTX64.EFI")
	if err := grubImage(ctx, "x86_64-efi", efi); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"mkfs.vfat", "-F", "32", "-s", "1", "-n", "ESP", "-i", "be57b007", "-C", img, fmt.Sprint(espSize * sector >> 10)},
		{"mmd", "-i", img, "::/EFI", "::/EFI/BOOT"},
		{"mcopy", "-i", img, efi, "::/EFI/BOOT/BOOTX64.EFI"},
	} {
		if err := command(ctx, args[0], args[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// grubImage links GRUB with the modules it needs to read its own configuration. The
// prefix names a partition and no disk: GRUB takes the disk it was started from.
func grubImage(ctx context.Context, format, out string) error {
	args := []string{"-O", format, "-p", "(,gpt3)/boot/grub", "-o", out, "part_gpt", "ext2", "normal", "linux", "boot", "configfile", "echo", "search", "search_label"}
	if format == "i386-pc" {
		args = append(args, "biosdisk")
	}
	return command(ctx, "grub-mkimage", args...)
}

func makeTable(ctx context.Context, raw string, total, fsSize int64) error {
	f, err := os.Create(raw)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(total), f.Close()); err != nil {
		return err
	}
	script := fmt.Sprintf(`label: gpt
label-id: %s
start=%d, size=%d, type=21686148-6449-6E6F-744E-656564454649, uuid=%s, name=bios
start=%d, size=%d, type=U, uuid=%s, name=esp
start=%d, size=%d, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=%s, name=root
`, diskID, biosStart, biosSize, biosID, espStart, espSize, espID, rootStart, fsSize/sector, rootID)
	cmd := exec.CommandContext(ctx, "sfdisk", "--quiet", raw)
	cmd.Stdin = bytes.NewBufferString(script)
	return finish(cmd)
}

// installBIOS puts GRUB's boot sector and core where the firmware and the boot
// sector look for them, as grub-install does, but without a block device. The
// two addresses are those of GRUB's boot.S and diskboot.S.
func installBIOS(ctx context.Context, work, raw string) error {
	core := filepath.Join(work, "core.img")
	if err := grubImage(ctx, "i386-pc", core); err != nil {
		return err
	}
	boot, err := os.ReadFile("/usr/lib/grub/i386-pc/boot.img")
	if err != nil {
		return err
	}
	coreImg, err := os.ReadFile(core)
	if err != nil {
		return err
	}
	if len(coreImg) > biosSize*sector {
		return fmt.Errorf("GRUB's core of %d bytes does not fit its partition", len(coreImg))
	}
	const (
		codeEnd      = 440  // behind it: disk signature and partition table
		kernelSector = 0x5c // boot.S: where the core begins
		driveCheck   = 0x66 // boot.S: a jump that is patched out for hard disks
		blockList    = 500  // diskboot.S: where the rest of the core begins
	)
	binary.LittleEndian.PutUint64(boot[kernelSector:], biosStart)
	boot[driveCheck], boot[driveCheck+1] = 0x90, 0x90
	binary.LittleEndian.PutUint64(coreImg[blockList:], biosStart+1)
	f, err := os.OpenFile(raw, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(boot[:codeEnd], 0)
	_, err2 := f.WriteAt(coreImg, biosStart*sector)
	return errors.Join(err, err2, f.Close())
}

// writeAt copies a file to an offset of another, leaving holes where it is zero.
func writeAt(raw string, offset int64, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(raw, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(copySparse(dst, offset, src), dst.Close())
}

func copySparse(dst io.WriterAt, offset int64, src io.Reader) error {
	buf, zero := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(src, buf)
		if n > 0 && !bytes.Equal(buf[:n], zero[:n]) {
			if _, werr := dst.WriteAt(buf[:n], offset); werr != nil {
				return werr
			}
		}
		offset += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Command demoimage builds the small Debian image of the demonstration and the
// tests: a raw disk with GPT that starts from BIOS and from UEFI firmware, on
// virtio, SCSI, SATA and NVMe disks, with a serial console, OpenSSH, and
// cloud-init reading a NoCloud seed from a partition labelled CIDATA at the end of
// the same disk.
//
//	demoimage -out build/image
//
// writes debian-12-demo.raw (sparse) and debian-12-demo.raw.sha256. The packages
// come from the archive this machine's apt is configured for, without being installed
// here. It must run as root, for the sake of chroot; it needs no loop device.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"berth/internal/buildcache"
	"berth/internal/debian"
)

// name is the image's file name without a suffix.
const name = "debian-12-demo"

// limit is the longest a build may take on a slow and busy machine.
const limit = 40 * time.Minute

// overlay is copied over the installed packages; recipe is everything that makes
// an image another image.
var (
	//go:embed all:root
	overlay embed.FS
	//go:embed main.go rootfs.go disk.go configure.sh all:root
	recipe embed.FS
	//go:embed configure.sh
	configure string
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(ctx, os.Args[1:], log); err != nil {
		log.Error("demoimage", "error", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, log *slog.Logger) error {
	flags := flag.NewFlagSet("demoimage", flag.ContinueOnError)
	out := flags.String("out", "build/image", "`directory` to write to")
	refresh := flags.Bool("refresh", false, "fetch the newest packages, whatever the cache holds")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("building the image needs root: packages are configured in a chroot")
	}
	codename, err := debian.HostCodename()
	if err != nil {
		return err
	}
	cache, err := buildcache.Open("build/cache")
	if err != nil {
		return err
	}
	if *refresh {
		if err := errors.Join(cache.Forget("rootfs"), cache.Forget("image")); err != nil {
			return err
		}
	}
	key, err := buildcache.FilesKey(recipe)
	if err != nil {
		return err
	}
	entry, err := cache.Dir("image", buildcache.Key(key, codename), func(dir string) error {
		rootfs, err := cache.Dir("rootfs", rootfsKey(codename), func(dir string) error {
			log.Info("bootstrapping Debian; this takes minutes, once", "suite", codename)
			return bootstrap(ctx, dir, codename)
		})
		if err != nil {
			return err
		}
		return build(ctx, rootfs, dir, log)
	})
	if err != nil {
		return err
	}
	return publish(ctx, entry, *out, log)
}

// build makes the image from the bootstrapped packages.
func build(ctx context.Context, rootfs, dir string, log *slog.Logger) error {
	start := time.Now()
	work, err := os.MkdirTemp(dir, "scratch-") // below the entry: what a killed build leaves, the next one removes
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	root := filepath.Join(work, "root")
	if err := unpackRoot(ctx, rootfs, root); err != nil {
		return fmt.Errorf("set up the root file system: %w", err)
	}
	raw := filepath.Join(dir, name+".raw")
	if err := assemble(ctx, root, work, raw); err != nil {
		return fmt.Errorf("assemble the disk: %w", err)
	}
	digest, err := buildcache.FileKey(raw)
	if err != nil {
		return err
	}
	log.Info("image built", "took", time.Since(start).Round(time.Second))
	return os.WriteFile(raw+".sha256", []byte(digest+"  "+name+".raw\n"), 0o644)
}

// publish copies the cached image to out, keeping its holes. It is a copy and no
// link: a test that writes to the image must not spoil the cache.
func publish(ctx context.Context, entry, out string, log *slog.Logger) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	raw, sum := name+".raw", name+".raw.sha256"
	have, err := os.ReadFile(filepath.Join(out, sum))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	want, err := os.ReadFile(filepath.Join(entry, sum))
	if err != nil {
		return err
	}
	dest := filepath.Join(out, raw)
	if _, err := os.Stat(dest); err == nil && string(have) == string(want) {
		return nil
	}
	if err := command(ctx, "cp", "--sparse=always", "--reflink=auto", filepath.Join(entry, raw), dest+".partial"); err != nil {
		return err
	}
	if err := errors.Join(os.Rename(dest+".partial", dest), os.WriteFile(filepath.Join(out, sum), want, 0o644)); err != nil {
		return err
	}
	info, err := os.Stat(dest)
	if err != nil {
		return err
	}
	log.Info("image", "file", dest, "bytes", info.Size(), "on_disk", info.Sys().(*syscall.Stat_t).Blocks*512, "sha256", strings.Fields(string(want))[0])
	return nil
}

// command runs a program, whose output is shown only if it fails.
func command(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	return finish(cmd)
}

func finish(cmd *exec.Cmd) error {
	// mmdebstrap and chroot have mounts to undo, so they are asked to end first.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if out, err := cmd.CombinedOutput(); err != nil {
		const shown = 3000
		if len(out) > shown {
			out = out[len(out)-shown:]
		}
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args[:min(2, len(cmd.Args))], " "), err, out)
	}
	return nil
}

// Command bootimage builds what a machine is sent when it asks the network for
// help: Debian's generic kernel and an initramfs with its modules and the agent as
// /init, and the iPXE boot loaders that fetch them.
//
//	bootimage -arch amd64 -agent build/berth-agent -out build/boot
//	bootimage -loaders -out build/boot
//
// makes build/boot/amd64/{vmlinuz,initramfs,MANIFEST} and build/boot/loaders/*. Kernel and
// loaders come from the Debian archive this machine's apt is configured for and are
// kept in the build cache; a new agent is packed in under a second.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"

	"berth/internal/buildcache"
	"berth/internal/debian"
)

// recipe is this program's own text: what is cached is made again when it changes.
//
//go:embed main.go modules.go initramfs.go loaders.go
var recipe embed.FS

// limit is the longest a build may take; the downloads are some 75 MB.
const limit = 20 * time.Minute

type options struct {
	arch     string
	agent    string
	out      string
	firmware string
	loaders  bool
	refresh  bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(ctx, os.Args[1:], log); err != nil {
		log.Error("bootimage", "error", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, log *slog.Logger) error {
	var o options
	flags := flag.NewFlagSet("bootimage", flag.ContinueOnError)
	flags.StringVar(&o.arch, "arch", "amd64", "architecture of kernel and agent: amd64 or arm64")
	flags.StringVar(&o.agent, "agent", "", "static agent `binary` that becomes /init")
	flags.StringVar(&o.out, "out", "build/boot", "`directory` to write to")
	flags.StringVar(&o.firmware, "firmware", "", "`directory` of firmware files to add below /lib/firmware")
	flags.BoolVar(&o.loaders, "loaders", false, "write the boot loaders")
	flags.BoolVar(&o.refresh, "refresh", false, "fetch the newest kernel and loaders, whatever the cache holds")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cache, err := buildcache.Open("build/cache")
	if err != nil {
		return err
	}
	if o.loaders {
		if err := writeLoaders(ctx, cache, o, log); err != nil {
			return fmt.Errorf("boot loaders: %w", err)
		}
	}
	if o.agent != "" {
		if err := writeBoot(ctx, cache, o, log); err != nil {
			return fmt.Errorf("boot image for %s: %w", o.arch, err)
		}
	}
	return nil
}

func writeLoaders(ctx context.Context, cache buildcache.Cache, o options, log *slog.Logger) error {
	if o.refresh {
		if err := cache.Forget("loaders"); err != nil {
			return err
		}
	}
	key, err := buildcache.FilesKey(recipe)
	if err != nil {
		return err
	}
	entry, err := fetchLoaders(ctx, cache, key, log)
	if err != nil {
		return err
	}
	files, err := os.ReadDir(entry)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := install(filepath.Join(o.out, "loaders", f.Name()), filepath.Join(entry, f.Name())); err != nil {
			return err
		}
	}
	return nil
}

// writeBoot writes kernel, initramfs and a manifest of what they were made from.
func writeBoot(ctx context.Context, cache buildcache.Cache, o options, log *slog.Logger) error {
	start := time.Now()
	base, err := baseEntry(ctx, cache, o, log)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "bootimage-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	parts := []string{filepath.Join(base, "modules.cpio.zst")}
	if o.firmware != "" {
		part, err := packPart(scratch, "firmware", func() ([]byte, error) { return firmwareArchive(o.firmware) })
		if err != nil {
			return err
		}
		parts = append(parts, part)
	}
	part, err := packPart(scratch, "agent", func() ([]byte, error) { return agentArchive(o.agent) })
	if err != nil {
		return err
	}
	parts = append(parts, part)
	out := filepath.Join(o.out, o.arch)
	if err := errors.Join(
		install(filepath.Join(out, "vmlinuz"), filepath.Join(base, "vmlinuz")),
		install(filepath.Join(out, "MANIFEST"), filepath.Join(base, "MANIFEST")),
		install(filepath.Join(out, "initramfs"), parts...),
	); err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(out, "initramfs"))
	if err != nil {
		return err
	}
	log.Info("boot image", "dir", out, "initramfs_bytes", info.Size(), "took", time.Since(start).Round(time.Millisecond))
	return nil
}

func packPart(dir, name string, pack func() ([]byte, error)) (string, error) {
	plain, err := pack()
	if err != nil {
		return "", fmt.Errorf("pack the %s: %w", name, err)
	}
	packed, err := compress(plain, zstd.SpeedDefault)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, name+".cpio.zst")
	return file, os.WriteFile(file, packed, 0o644)
}

// baseEntry is the cache entry with the kernel and the packed modules.
func baseEntry(ctx context.Context, cache buildcache.Cache, o options, log *slog.Logger) (string, error) {
	codename, err := debian.HostCodename()
	if err != nil {
		return "", err
	}
	if o.refresh {
		if err := errors.Join(cache.Forget("kernel-"+o.arch), cache.Forget("base-"+o.arch)); err != nil {
			return "", err
		}
	}
	recipeKey, err := buildcache.FilesKey(recipe)
	if err != nil {
		return "", err
	}
	return cache.Dir("base-"+o.arch, buildcache.Key(recipeKey, codename), func(dir string) error {
		// The packages have an entry of their own: a changed list of modules
		// costs no download.
		debs, err := cache.Dir("kernel-"+o.arch, codename, func(dir string) error {
			return fetchKernel(ctx, dir, codename, o.arch)
		})
		if err != nil {
			return err
		}
		return packBase(ctx, debs, dir, o.arch, log)
	})
}

// fetchKernel downloads the kernel package that the metapackage stands for, and
// the list of PCI names.
func fetchKernel(ctx context.Context, dir, codename, arch string) error {
	scratch, err := os.MkdirTemp("", "bootimage-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	sources, err := debian.HostSources(ctx, codename, scratch)
	if err != nil {
		return err
	}
	apt, err := debian.Open(ctx, scratch, sources, arch)
	if err != nil {
		return err
	}
	depends, err := apt.Depends(ctx, "linux-image-"+arch)
	if err != nil {
		return err
	}
	var kernel string
	for _, name := range depends {
		if strings.HasPrefix(name, "linux-image-") {
			kernel = name
		}
	}
	if kernel == "" {
		return fmt.Errorf("linux-image-%s depends on no kernel but %v", arch, depends)
	}
	debs, err := apt.Download(ctx, kernel, "pci.ids")
	if err != nil {
		return err
	}
	return errors.Join(
		install(filepath.Join(dir, "kernel.deb"), debs[0]),
		install(filepath.Join(dir, "pci.ids.deb"), debs[1]),
	)
}

// downloadOne fetches one package of a suite, for this machine's archive.
func downloadOne(ctx context.Context, scratch, suite, arch, pkg string) (string, error) {
	host, err := debian.HostCodename()
	if err != nil {
		return "", err
	}
	sources, err := debian.HostSources(ctx, host, scratch)
	if err != nil {
		return "", err
	}
	if suite != host {
		sources = debian.Next(sources, host, suite)
	}
	apt, err := debian.Open(ctx, scratch, sources, arch)
	if err != nil {
		return "", err
	}
	debs, err := apt.Download(ctx, pkg)
	if err != nil {
		return "", err
	}
	return debs[0], nil
}

// packBase unpacks the packages, picks the modules and packs them.
func packBase(ctx context.Context, debs, dir, arch string, log *slog.Logger) error {
	scratch, err := os.MkdirTemp(dir, "scratch-") // below the entry: what a killed build leaves, the next one removes
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	full, picked := filepath.Join(scratch, "full"), filepath.Join(scratch, "picked")
	for _, deb := range []string{"kernel.deb", "pci.ids.deb"} {
		if err := debian.Unpack(ctx, filepath.Join(debs, deb), full); err != nil {
			return err
		}
	}
	kernels, err := filepath.Glob(filepath.Join(full, "boot/vmlinuz-*"))
	if err != nil || len(kernels) != 1 {
		return fmt.Errorf("the kernel package holds %d kernels: %w", len(kernels), err)
	}
	version := strings.TrimPrefix(filepath.Base(kernels[0]), "vmlinuz-")
	count, err := pickModules(ctx, full, picked, version, arch == "amd64")
	if err != nil {
		return err
	}
	plain, err := modulesArchive(filepath.Join(picked, "lib/modules", version), version, filepath.Join(full, "usr/share/misc/pci.ids"))
	if err != nil {
		return err
	}
	packed, err := compress(plain, zstd.SpeedBestCompression)
	if err != nil {
		return err
	}
	log.Info("kernel modules", "kernel", version, "modules", count, "bytes", len(plain), "packed", len(packed))
	manifest := fmt.Sprintf("kernel %s\nmodules %d\nsource Debian source package linux, GPL-2\n", version, count)
	return errors.Join(
		install(filepath.Join(dir, "vmlinuz"), kernels[0]),
		os.WriteFile(filepath.Join(dir, "modules.cpio.zst"), packed, 0o644),
		os.WriteFile(filepath.Join(dir, "MANIFEST"), []byte(manifest), 0o644),
	)
}

// pickModules copies the selected modules and indexes them. Debian's package has
// no modules.dep, so depmod runs on the whole tree first and on the picked one after.
func pickModules(ctx context.Context, full, picked, version string, strict bool) (int, error) {
	if err := depmod(ctx, full, version); err != nil {
		return 0, err
	}
	from, to := filepath.Join(full, "lib/modules", version), filepath.Join(picked, "lib/modules", version)
	modules, err := pick(from, strict)
	if err != nil {
		return 0, err
	}
	if err := copyTree(from, to, modules); err != nil {
		return 0, err
	}
	return len(modules), depmod(ctx, picked, version)
}

func depmod(ctx context.Context, base, version string) error {
	program, err := exec.LookPath("depmod")
	if err != nil {
		program = "/sbin/depmod" // not on the path of an ordinary user
	}
	if out, err := exec.CommandContext(ctx, program, "-b", base, version).CombinedOutput(); err != nil {
		return fmt.Errorf("depmod: %w: %s", err, out)
	}
	return nil
}

// install writes the files from, one after the other, to the file to, which
// appears whole or not at all.
func install(to string, from ...string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	var content []byte
	for _, name := range from {
		part, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		content = append(content, part...)
	}
	if err := os.WriteFile(to+".partial", content, 0o644); err != nil {
		return err
	}
	return os.Rename(to+".partial", to)
}

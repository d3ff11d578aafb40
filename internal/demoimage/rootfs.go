package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"berth/internal/buildcache"
	"berth/internal/debian"
)

// packages are what the image holds beside Debian's essential ones. Nothing that
// is only recommended comes along.
var packages = []string{
	"usr-is-merged",                                        // or usrmerge would bring 50 MB of Perl
	"linux-image-amd64", "initramfs-tools", "kmod", "zstd", // the generic kernel: any disk
	"systemd-sysv", "udev", "dbus", "systemd-resolved", "systemd-timesyncd", "iproute2",
	"openssh-server", "sudo", "ca-certificates", "curl",
	"cloud-init", "cloud-guest-utils", "e2fsprogs", "fdisk",
}

// excludes are paths that packages are unpacked without: texts nobody reads in a
// lab. dpkg lets the last match decide.
var excludes = []string{
	"path-exclude=/usr/share/man/*",
	"path-exclude=/usr/share/info/*",
	"path-exclude=/usr/share/locale/*",
	"path-exclude=/usr/share/i18n/locales/*",
	"path-exclude=/usr/share/doc/*",
	"path-include=/usr/share/doc/*/copyright",
}

// noModules are folders of the kernel's modules that a lab and a small server do without: what
// is not there is neither written nor probed at each boot.
var noModules = []string{
	"arch/x86/kvm", "drivers/accessibility", "drivers/atm", "drivers/bluetooth", "drivers/comedi",
	"drivers/crypto/ccp", "drivers/edac", "drivers/gpu", "drivers/hwmon", "drivers/iio", "drivers/infiniband",
	"drivers/input", "drivers/isdn", "drivers/leds", "drivers/media", "drivers/mfd", "drivers/mmc",
	"drivers/mtd", "drivers/net/can", "drivers/net/ethernet/3com", "drivers/net/ethernet/8390",
	"drivers/net/ethernet/adaptec", "drivers/net/ethernet/agere", "drivers/net/ethernet/alteon",
	"drivers/net/ethernet/atheros", "drivers/net/ethernet/brocade", "drivers/net/ethernet/cavium",
	"drivers/net/ethernet/chelsio", "drivers/net/ethernet/cisco", "drivers/net/ethernet/dec",
	"drivers/net/ethernet/dlink", "drivers/net/ethernet/emulex", "drivers/net/ethernet/huawei",
	"drivers/net/ethernet/marvell", "drivers/net/ethernet/mellanox", "drivers/net/ethernet/micrel",
	"drivers/net/ethernet/microchip", "drivers/net/ethernet/myricom", "drivers/net/ethernet/natsemi",
	"drivers/net/ethernet/neterion", "drivers/net/ethernet/netronome", "drivers/net/ethernet/nvidia",
	"drivers/net/ethernet/packetengines", "drivers/net/ethernet/qlogic", "drivers/net/ethernet/sfc",
	"drivers/net/ethernet/sis", "drivers/net/ethernet/smsc", "drivers/net/ethernet/stmicro",
	"drivers/net/ethernet/sun", "drivers/net/ethernet/ti", "drivers/net/ethernet/via",
	"drivers/net/ethernet/xircom", "drivers/net/usb", "drivers/net/wireless", "drivers/net/wwan", "drivers/nfc",
	"drivers/platform", "drivers/power", "drivers/scsi/aic7xxx", "drivers/scsi/bfa", "drivers/scsi/cxgbi",
	"drivers/scsi/lpfc", "drivers/scsi/qla2xxx", "drivers/scsi/qla4xxx", "drivers/soundwire", "drivers/staging",
	"drivers/target", "drivers/thunderbolt", "drivers/ufs", "drivers/usb/gadget", "drivers/usb/serial",
	"drivers/video", "drivers/watchdog", "fs/afs", "fs/ceph", "fs/dlm", "fs/f2fs", "fs/gfs2", "fs/jffs2",
	"fs/jfs", "fs/nilfs2", "fs/ocfs2", "fs/reiserfs", "fs/ubifs", "net/atm", "net/batman-adv", "net/bluetooth",
	"net/mac80211", "net/nfc", "net/rds", "net/rxrpc", "net/tipc", "net/wireless", "sound",
}

// dpkgOptions leave out the excludes and the modules.
func dpkgOptions() []string {
	options := slices.Clone(excludes)
	for _, folder := range noModules {
		options = append(options, "path-exclude=/lib/modules/*/kernel/"+folder+"/*")
	}
	options = append(options, "path-exclude=/lib/modules/*/kernel/lib/test_*")
	return options
}

func rootfsKey(codename string) string {
	return buildcache.Key(codename, strings.Join(packages, " "), strings.Join(dpkgOptions(), " "), strings.Join(bootstrapArgs(), " "))
}

func bootstrapArgs() []string {
	args := []string{
		"--variant=minbase", "--include=" + strings.Join(packages, ","),
		"--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
		`--aptopt=Apt::Install-Recommends "false"`, `--aptopt=Acquire::Retries "3"`,
	}
	for _, o := range dpkgOptions() {
		args = append(args, "--dpkgopt="+o)
	}
	return args
}

// bootstrap installs the packages into dir/root.tar.
func bootstrap(ctx context.Context, dir, codename string) error {
	scratch, err := os.MkdirTemp("", "demoimage-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	sources, err := debian.HostSources(ctx, codename, scratch)
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, s := range sources {
		list.WriteString(s.String() + "\n")
	}
	cmd := exec.CommandContext(ctx, "mmdebstrap", append(bootstrapArgs(), codename, filepath.Join(dir, "root.tar"), "-")...)
	cmd.Stdin = strings.NewReader(list.String())
	// Debian's hook makes no initramfs when told so: configure makes the one that stays.
	cmd.Env = append(os.Environ(), "INITRD=No")
	return finish(cmd)
}

// unpackRoot unpacks the bootstrapped packages to root and configures them.
func unpackRoot(ctx context.Context, rootfs, root string) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if err := command(ctx, "tar", "-C", root, "--numeric-owner", "--xattrs", "-xf", filepath.Join(rootfs, "root.tar")); err != nil {
		return err
	}
	if err := copyOverlay(root); err != nil {
		return err
	}
	script := filepath.Join(root, "configure")
	if err := os.WriteFile(script, []byte(configure), 0o755); err != nil {
		return err
	}
	return errors.Join(command(ctx, "chroot", root, "/configure"), os.Remove(script))
}

func copyOverlay(root string) error {
	return fs.WalkDir(overlay, "root", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := overlay.ReadFile(path)
		if err != nil {
			return err
		}
		dest := filepath.Join(root, strings.TrimPrefix(path, "root/"))
		if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
			return err
		}
		// The embedding keeps no modes.
		mode := fs.FileMode(0o644)
		if bytes.HasPrefix(content, []byte("#!")) {
			mode = 0o755
		}
		return os.WriteFile(dest, content, mode)
	})
}

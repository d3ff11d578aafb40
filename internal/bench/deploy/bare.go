package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"

	"berth/internal/lab"
	"berth/internal/lab/hardware"
)

// marksWithout are the phases of a machine that writes its disk without berth.
func marksWithout(name string) []mark {
	return []mark{
		{"Linux version", "firmware and loader"},
		{"bare: started", "kernel"},
		{"bare: has an address", "drivers and address"},
		{"bare: written", "write"},
		{"bare: restarting", "restart"},
		{name + " login:", lastPhase},
	}
}

const bareStarted = 2 // marks seen when the small system is up

// bareInit is the whole of what runs on the machine in berth's place.
//
//go:embed bare.sh
var bareInit []byte

// bare is a run without berth: dnsmasq, a file server, and a shell script with dd.
func (b *comparison) bare(ctx context.Context, dir string) (out outcome, err error) {
	spec, err := b.spec()
	if err != nil {
		return out, err
	}
	if err := b.bareFiles(ctx); err != nil {
		return out, err
	}
	rack, err := lab.Start(ctx, spec, dir)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, rack.Stop()) }()
	stop, err := b.bareServers(ctx, rack, dir)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	m := rack.Machines()[0]
	out.began = time.Now()
	console := watch(ctx, m, b.part(marksWithout(m.Name())))
	defer console.done()
	if err := m.PressPowerButton(ctx); err != nil {
		return out, err
	}
	if !b.lonely {
		if err := spareWait(ctx, rack, m, console); err != nil {
			return out, err
		}
	}
	if err := console.await(ctx, bareStarted); err != nil {
		return out, err
	}
	// With berth the BMC is told the same.
	m.SetOverride(hardware.Override{Device: hardware.HDD})
	err = console.await(ctx, len(console.marks))
	out.phases = console.phases
	return out, err
}

func (b *comparison) bareDir() string { return filepath.Join(b.dir, "bare") }

// bareFiles makes what the machine fetches: the kernel and the modules of berth's agent, and in the agent's place a script.
func (b *comparison) bareFiles(ctx context.Context) error {
	dir := b.bareDir()
	initramfs := filepath.Join(dir, "amd64", "initramfs")
	if _, err := os.Stat(initramfs); err == nil {
		return nil
	}
	if _, err := os.Stat(b.content); err != nil {
		return fmt.Errorf("a run with berth has to come first, to learn what it writes: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	script := filepath.Join(dir, "init")
	if err := os.WriteFile(script, bareInit, 0o700); err != nil {
		return err
	}
	if text, err := exec.CommandContext(ctx, "go", "run", "./internal/bootimage", "-arch", "amd64", "-agent", script, "-out", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("build the boot image: %w\n%s", err, text)
	}
	tools, err := busybox()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(initramfs, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(tools)
	return errors.Join(err, f.Close())
}

// busybox is an archive with the shell and its tools, as one more part of an initramfs.
func busybox() ([]byte, error) {
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return nil, fmt.Errorf("install the package busybox-static: %w", err)
	}
	var plain bytes.Buffer
	w := cpio.Newc.Writer(&plain)
	for _, r := range []cpio.Record{
		cpio.Directory("bin", 0o755),
		cpio.StaticFile("bin/busybox", string(program), 0o755),
		cpio.Symlink("bin/sh", "busybox"),
	} {
		if err := w.WriteRecord(cpio.MakeReproducible(r)); err != nil {
			return nil, err
		}
	}
	if err := cpio.WriteTrailer(w); err != nil {
		return nil, err
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, err
	}
	defer enc.Close()
	return enc.EncodeAll(plain.Bytes(), nil), nil
}

const barePort = "8080"

// bareServers start what answers the machine. The function they return ends them.
func (b *comparison) bareServers(ctx context.Context, rack *lab.Rack, dir string) (stop func() error, err error) {
	addr := rack.BootAddr().String()
	url := "http://" + addr + ":" + barePort
	tftp := filepath.Join(b.build, "boot", "loaders")
	dhcp := rack.Command(context.WithoutCancel(ctx), "dnsmasq", "--no-daemon", "--log-dhcp", "--conf-file=/dev/null", "--port=0", "--user=root",
		"--interface="+rack.Bridge(), "--bind-interfaces", "--dhcp-leasefile="+filepath.Join(dir, "leases"),
		"--dhcp-authoritative", "--no-ping", "--dhcp-range="+poolOf(rack), "--dhcp-userclass=set:ipxe,iPXE",
		"--dhcp-boot=tag:ipxe,"+url+"/boot.ipxe", "--dhcp-boot=tag:!ipxe,snponly.efi",
		// iPXE need not wait for a second server (its option no-pxedhcp, 176 within 175).
		"--dhcp-option-force=175,b0:01:01", "--enable-tftp", "--tftp-root="+tftp)
	log, err := os.Create(filepath.Join(dir, "dnsmasq.log"))
	if err != nil {
		return nil, err
	}
	dhcp.Stdout, dhcp.Stderr = log, log
	if err := dhcp.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("install the package dnsmasq-base: %w", err), log.Close())
	}
	listener, err := rack.Listen("tcp", addr+":"+barePort)
	if err != nil {
		return nil, errors.Join(err, dhcp.Process.Kill(), log.Close())
	}
	server := &http.Server{Handler: b.bareHandler(url), ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	return func() error {
		err := errors.Join(server.Close(), dhcp.Process.Kill())
		_ = dhcp.Wait() // it was killed
		return errors.Join(err, log.Close())
	}, nil
}

func poolOf(rack *lab.Rack) string {
	p := rack.Spec().BootNetwork.Masked().Addr().As4()
	return fmt.Sprintf("%d.%d.%d.100,%d.%d.%d.200,1h", p[0], p[1], p[2], p[0], p[1], p[2])
}

func (b *comparison) bareHandler(url string) http.Handler {
	disk := map[string]string{string(hardware.BIOS): "nvme0n1", string(hardware.UEFI): "sda"}[b.firmware]
	script := fmt.Sprintf("#!ipxe\nkernel %s/vmlinuz initrd=initrd.img random.trust_cpu=on panic=30 console=ttyS0,115200n8 bare_url=%s bare_disk=%s\n"+
		"initrd --name initrd.img %s/initramfs\nboot\n", url, url, disk, url)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /boot.ipxe", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, script) })
	for name, file := range map[string]string{
		"vmlinuz": filepath.Join(b.bareDir(), "amd64", "vmlinuz"), "initramfs": filepath.Join(b.bareDir(), "amd64", "initramfs"), "content": b.content,
	} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	}
	return mux
}

package boot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The lines are of Debian's kernel 6.1.
const (
	sampleDep = `kernel/drivers/net/virtio_net.ko: kernel/drivers/net/net_failover.ko kernel/net/core/failover.ko kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko
kernel/drivers/char/hw_random/virtio-rng.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/net/ethernet/intel/igb/igb.ko: kernel/drivers/i2c/algos/i2c-algo-bit.ko kernel/drivers/dca/dca.ko
kernel/drivers/acpi/apei/einj.ko.xz:
`
	sampleAlias = `# Aliases extracted from modules themselves.
alias pci:v00008086d00001521sv*sd*bc*sc*i* igb
alias pci:v00008086d000010FBsv*sd*bc*sc*i* ixgbe
alias pci:v*d*sv*sd*bc01sc08i02* nvme
alias virtio:d00000001v* virtio_net
alias virtio:d00000004v* virtio_rng
alias acpi*:IPI0001:* ipmi_si
alias scsi:t-0x00* sd_mod
alias dmi*:svn[A-C]?:pnQ[0-9]* odd
`
	sampleBuiltin = "kernel/drivers/acpi/ac.ko\n"
)

func TestCatalogMatch(t *testing.T) {
	c := ParseCatalog([]byte(sampleDep), []byte(sampleAlias), []byte(sampleBuiltin))
	for alias, want := range map[string][]string{
		"pci:v00008086d00001521sv00001028sd00001F60bc02sc00i00": {"igb"},
		"pci:v0000144Dd0000A808sv0000144Dsd0000A801bc01sc08i02": {"nvme"},
		"virtio:d00000001v00001AF4":                             {"virtio_net"},
		"virtio:d00000004v00001AF4":                             {"virtio_rng"},
		"acpi:IPI0001:PNP0C02:":                                 {"ipmi_si"},
		"scsi:t-0x00":                                           {"sd_mod"},
		"scsi:t-0x05":                                           nil,
		"dmi:bvn:svnBx:pnQ7:":                                   {"odd"},
		"dmi:bvn:svnDx:pnQ7:":                                   nil,
		"":                                                      nil,
	} {
		if got := c.Match(alias); !slices.Equal(got, want) {
			t.Errorf("Match(%q) = %q, want %q", alias, got, want)
		}
	}
}

func TestCatalogOrder(t *testing.T) {
	c := ParseCatalog([]byte(sampleDep), []byte(sampleAlias), []byte(sampleBuiltin))
	want := []string{"kernel/drivers/virtio/virtio_ring.ko", "kernel/drivers/virtio/virtio.ko", "kernel/drivers/char/hw_random/virtio-rng.ko"}
	if got := c.Order("virtio_rng"); !slices.Equal(got, want) {
		t.Errorf("Order(virtio_rng) = %q, want %q", got, want)
	}
	if got := c.Order("virtio-rng"); !slices.Equal(got, want) {
		t.Errorf("Order(virtio-rng) = %q, want %q", got, want)
	}
	if got := c.Order("einj"); len(got) != 1 {
		t.Errorf("Order(einj) = %q", got)
	}
	if got := c.Order("ac"); got != nil {
		t.Errorf("Order of a module that is built in = %q", got)
	}
}

func TestGlobAgainstPathMatch(t *testing.T) {
	// Names without separators mean the same to both; ours must also end on every input.
	for _, pattern := range []string{"*", "a*", "*a", "a*b*c", "?", "a?c", "[abc]x", "[a-c]*[0-9]", "", "**", "a*a*a*a*b"} {
		for _, name := range []string{"", "a", "b", "abc", "ax", "aXbYc", "c7", "cx7", "aaaaaaaaaaaaaaaa", "aaab"} {
			want, err := filepath.Match(pattern, name)
			if err != nil {
				t.Fatal(err)
			}
			if got := glob(pattern, name); got != want {
				t.Errorf("glob(%q, %q) = %t", pattern, name, got)
			}
		}
	}
}

func FuzzCatalog(f *testing.F) {
	f.Add([]byte(sampleDep), []byte(sampleAlias), "virtio:d00000001v00001AF4")
	f.Add([]byte("a.ko: b.ko\nb.ko: a.ko\n:\n"), []byte("alias [ x\nalias * y\nalias"), "[")
	f.Fuzz(func(t *testing.T, dep, aliases []byte, alias string) {
		c := ParseCatalog(dep, aliases, nil)
		for _, module := range c.Match(alias) {
			c.Order(module)
		}
	})
}

func TestLoadLeavesOutWhatIsNotThere(t *testing.T) {
	m := &Modules{Catalog: ParseCatalog([]byte(sampleDep), []byte(sampleAlias), nil), Dir: t.TempDir()}
	if err := m.Load("no_such_module"); err != nil {
		t.Errorf("Load of an unknown module: %v", err)
	}
	if err := m.Load("virtio_rng"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of a module whose file is missing: %v", err)
	}
	if faults := m.drive("virtio:d00000004v00001AF4"); faults != nil {
		t.Errorf("drive = %v: a driver that the image lacks is no fault", faults)
	}
}

func TestDevices(t *testing.T) {
	root := t.TempDir()
	for path, alias := range map[string]string{
		"sys/bus/pci/devices/0000:00:02.0/modalias":  "pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00\n",
		"sys/bus/pci/devices/0000:00:03.0/modalias":  "pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00\n",
		"sys/bus/virtio/devices/virtio0/modalias":    "virtio:d00000001v00001AF4\n",
		"sys/bus/acpi/devices/PNP0C14:00/modalias":   "acpi:PNP0C14:\n",
		"sys/bus/platform/devices/nothing/modalias":  "\n",
		"sys/bus/platform/devices/nothing/otherfile": "x\n",
	} {
		file := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(alias), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := Devices(root)
	slices.Sort(got)
	want := []string{"acpi:PNP0C14:", "pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00", "virtio:d00000001v00001AF4"}
	if !slices.Equal(got, want) {
		t.Errorf("Devices = %q, want %q", got, want)
	}
	if first := slices.DeleteFunc(slices.Clone(got), func(a string) bool { return !isNetwork(a) }); !slices.Equal(first, want[1:]) {
		t.Errorf("network devices are %q", first)
	}
}

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
)

// selection is one line of what the agent's kernel carries and for what. A
// pattern is a folder below lib/modules/VERSION/kernel, taken whole, or a module's
// name without its suffix. What a module depends on comes along by itself.
type selection struct {
	why      string
	patterns []string
}

// selections is the hardware berth can enrol. A pattern that matches nothing is an
// error on amd64, so that a module renamed by a newer kernel is noticed here and
// not in a data centre; other architectures lack many of these.
var selections = []selection{
	{"randomness early, or key generation waits for minutes on an idle machine", []string{"virtio-rng", "amd-rng", "intel-rng"}},
	{"virtual machines: disks, network, console", []string{
		"drivers/virtio", "virtio_net", "virtio_blk", "virtio_scsi", "virtio_console",
		"drivers/net/vmxnet3", "vmw_pvscsi", "hv_vmbus", "hv_netvsc", "hv_storvsc", "qemu_fw_cfg",
	}},
	{"network cards of servers, old and new", []string{
		"drivers/net/ethernet/amazon", "drivers/net/ethernet/amd/xgbe", "drivers/net/ethernet/aquantia",
		"drivers/net/ethernet/atheros", "drivers/net/ethernet/broadcom", "drivers/net/ethernet/brocade",
		"drivers/net/ethernet/chelsio", "drivers/net/ethernet/cisco", "drivers/net/ethernet/emulex",
		"drivers/net/ethernet/google", "drivers/net/ethernet/huawei", "drivers/net/ethernet/intel",
		"drivers/net/ethernet/marvell", "drivers/net/ethernet/mellanox", "drivers/net/ethernet/microsoft",
		"drivers/net/ethernet/myricom", "drivers/net/ethernet/netronome", "drivers/net/ethernet/nvidia",
		"drivers/net/ethernet/qlogic", "drivers/net/ethernet/realtek", "drivers/net/ethernet/sfc",
		"drivers/net/ethernet/via", "8139cp", "8139too",
	}},
	{"the chips behind the network ports", []string{"drivers/net/phy", "drivers/net/mdio"}},
	{"USB network adapters, and the one a BMC shows to its host", []string{
		"r8152", "ax88179_178a", "asix", "cdc_ether", "cdc_ncm", "cdc_eem", "rndis_host",
	}},
	{"links: bonds and VLANs", []string{"bonding", "8021q"}},
	{"NVMe disks", []string{"nvme"}},
	{"SATA and IDE controllers", []string{
		"ahci", "ata_piix", "ata_generic", "acard-ahci", "sata_mv", "sata_nv", "sata_sil", "sata_sil24",
		"sata_svw", "sata_sis", "sata_uli", "sata_via", "sata_promise", "pata_amd", "pata_atiixp", "pata_marvell",
		"pata_jmicron", "pata_serverworks",
	}},
	{"SAS adapters and RAID controllers", []string{
		"mpt3sas", "mpi3mr", "mptsas", "mptspi", "megaraid_sas", "megaraid_mbox", "hpsa", "smartpqi",
		"aacraid", "arcmsr", "3w-9xxx", "3w-sas", "isci", "mvsas", "pm80xx", "ipr", "aic94xx", "aic79xx", "hptiop",
		"stex", "esas2r", "qla2xxx", "lpfc", "pmcraid",
	}},
	{"what a disk is on top of its controller", []string{"sd_mod", "sr_mod", "sg", "ses", "enclosure", "st"}},
	{"USB: keyboards of a BMC's console, sticks", []string{
		"xhci-pci", "ehci-pci", "ohci-pci", "uhci-hcd", "usbhid", "hid-generic", "usb-storage", "uas",
	}},
	{"the BMC as seen from inside", []string{"ipmi_si", "ipmi_ssif", "ipmi_devintf", "ipmi_msghandler", "ipmi_poweroff"}},
	{"memory module EEPROMs and the buses they hang on", []string{
		"i2c-i801", "i2c-piix4", "i2c-ismt", "i2c-dev", "ee1004", "at24", "jc42",
	}},
	{"temperatures", []string{"coretemp", "k10temp", "drivetemp"}},
	{"firmware variables", []string{"efivarfs"}},
	{"the agent's own tests on loop disks", []string{"loop"}},
	{"checksums that drivers ask for by alias, which depmod does not record", []string{
		"crc32c_generic", "crc32c-intel", "crct10dif_generic", "crct10dif-pclmul", "crc64_rocksoft_generic", "crc-t10dif",
	}},
}

// pick resolves the selections against a module tree with a modules.dep and
// returns the paths below it, dependencies included, sorted.
func pick(tree string, strict bool) ([]string, error) {
	deps, err := readDeps(filepath.Join(tree, "modules.dep"))
	if err != nil {
		return nil, err
	}
	chosen := map[string]bool{}
	var missing []string
	for _, s := range selections {
		for _, pattern := range s.patterns {
			matches := deps.match(pattern)
			if len(matches) == 0 {
				missing = append(missing, pattern)
			}
			for _, module := range matches {
				deps.add(module, chosen)
			}
		}
	}
	if strict && len(missing) > 0 {
		return nil, fmt.Errorf("the kernel has no module for: %s", strings.Join(missing, ", "))
	}
	paths := make([]string, 0, len(chosen))
	for p := range chosen {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	return paths, nil
}

// dependencies is modules.dep: each module's path with those it needs, all of them
// and not only the next, as depmod writes it.
type dependencies map[string][]string

func readDeps(file string) (dependencies, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	deps := dependencies{}
	for scan := bufio.NewScanner(bytes.NewReader(raw)); scan.Scan(); {
		module, needs, ok := strings.Cut(scan.Text(), ":")
		if !ok {
			return nil, fmt.Errorf("%s: line %q names no module", file, scan.Text())
		}
		deps[module] = strings.Fields(needs)
	}
	return deps, nil
}

func (d dependencies) match(pattern string) []string {
	var found []string
	for module := range d {
		if strings.Contains(pattern, "/") {
			if strings.HasPrefix(module, "kernel/"+pattern+"/") {
				found = append(found, module)
			}
		} else if moduleName(module) == strings.ReplaceAll(pattern, "-", "_") {
			found = append(found, module)
		}
	}
	return found
}

func (d dependencies) add(module string, chosen map[string]bool) {
	chosen[module] = true
	for _, need := range d[module] {
		chosen[need] = true
	}
}

// moduleName is the name the kernel knows a module by: the file may be spelt with
// dashes where the kernel says underscores.
func moduleName(file string) string {
	name := strings.TrimSuffix(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// copyTree copies the picked modules, and the lists of what is built in that
// depmod needs, to a tree of the same shape.
func copyTree(from, to string, modules []string) error {
	lists := []string{"modules.order", "modules.builtin", "modules.builtin.modinfo"}
	for _, name := range append(lists, modules...) {
		content, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) && !strings.HasSuffix(name, ".ko") {
			continue
		}
		if err != nil {
			return err
		}
		dest := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(dest, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

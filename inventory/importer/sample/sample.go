// Package sample writes made-up sources to import, as large as one likes and the same for the same seed: for tests, for measurements and
// for a first look. Nothing in it is an export of a real installation.
package sample

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

type maker struct {
	name   string
	models []string
}

var makers = []maker{
	{"Dell", []string{"PowerEdge R630", "PowerEdge R640", "PowerEdge R740xd", "PowerEdge R750"}},
	{"Supermicro", []string{"SYS-1029P-WTR", "SSG-6049P-E1CR36H", "SYS-6018R-MTR", "AS-1114S-WTRT"}},
	{"HPE", []string{"ProLiant DL360 Gen10", "ProLiant DL380 Gen10", "ProLiant DL380 Gen9", "Apollo 4200 Gen9"}},
	{"Lenovo", []string{"ThinkSystem SR630", "ThinkSystem SR650", "ThinkSystem SR645"}},
	{"Fujitsu", []string{"PRIMERGY RX2530 M4", "PRIMERGY RX2540 M5"}},
}

// Assets writes a plain table of so many assets, as `berth import csv --noun asset` takes it. Makers and sites are referred to and must
// exist, or come from Parties.
func Assets(w io.Writer, rows int, seed uint64) error {
	b, rng := bufio.NewWriter(w), rand.New(rand.NewPCG(seed, 1))
	fmt.Fprintln(b, "asset_tag,kind,name,serial,part_number,custody,condition,acquired_at,warranty_end,notes")
	for i := range rows {
		m := makers[rng.IntN(len(makers))]
		fmt.Fprintf(b, "A%06d,device,\"%s, no. %d\",%s,PN-%04d,%s,%s,20%02d-%02d-%02d,20%02d-06-30,\"Row %d of the made-up list; bought as a lot\"\n", i+1,
			m.models[rng.IntN(len(m.models))], i+1, serial(rng, i), rng.IntN(10000), pick(rng, "storage", "installed", "received"), pick(rng, "used_good", "new", "unknown"),
			rng.IntN(9)+16, rng.IntN(12)+1, rng.IntN(28)+1, rng.IntN(5)+25, i+1)
	}
	return b.Flush()
}

// Devices writes a table of so many devices in racks of 42 units, as NetBox's form for importing devices has it; makers, types, sites and
// racks come with it.
func Devices(w io.Writer, rows int, seed uint64) error {
	b, rng := bufio.NewWriter(w), rand.New(rand.NewPCG(seed, 2))
	fmt.Fprintln(b, "name,role,manufacturer,device_type,serial,asset_tag,status,site,rack,position,face,comments,tags")
	for i := range rows {
		m := makers[rng.IntN(len(makers))]
		rack, position := i/42, i%42+1
		fmt.Fprintf(b, "node-%05d,%s,%s,%s,%s,N%06d,%s,%s,r%03d,%d,front,\"made-up, row %d\",\"%s\"\n", i+1, pick(rng, "k8s-node", "ceph-host", "libvirt"),
			m.name, m.models[rng.IntN(len(m.models))], serial(rng, i), i+1, pick(rng, "active", "active", "offline", "staged"), []string{"fra1", "ams2"}[rack%2], rack+1, position, i+1, pick(rng, "", "donated", "spare,donated"))
	}
	return b.Flush()
}

func pick(rng *rand.Rand, words ...string) string { return words[rng.IntN(len(words))] }

// serial makes one that is unique and looks like those of servers.
func serial(rng *rand.Rand, i int) string {
	const letters = "BCDFGHJKLMNPQRSTVWXYZ"
	return fmt.Sprintf("%c%c%05d%c%d", letters[rng.IntN(len(letters))], letters[rng.IntN(len(letters))], i, letters[rng.IntN(len(letters))], rng.IntN(10))
}

// Library writes so many files of device types below dir, in the layout and of about the size that the device-type library has.
func Library(dir string, files int, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 3))
	for i := range files {
		name, text := DeviceType(rng, i)
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("make the directory of a device type: %w", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return fmt.Errorf("write a device type: %w", err)
		}
	}
	return nil
}

// DeviceType makes the i-th file of a library: its name and its text.
func DeviceType(rng *rand.Rand, i int) (name, text string) {
	maker := fmt.Sprintf("Maker %02d", i%60)
	model := fmt.Sprintf("Model %04d%s", i, pick(rng, "", "X", "-A"))
	slug := strings.ToLower(strings.ReplaceAll(maker+"-"+model, " ", "-"))
	var b strings.Builder
	fmt.Fprintf(&b, "---\nmanufacturer: %s\nmodel: %s\nslug: %s\npart_number: PN-%05d\nu_height: %s\nis_full_depth: %v\nairflow: front-to-rear\nweight: %d.%d\nweight_unit: kg\n",
		maker, model, slug, i, pick(rng, "1", "2", "4", "0.5"), rng.IntN(2) == 0, rng.IntN(30)+1, rng.IntN(10))
	fmt.Fprintf(&b, "comments: '[Datasheet](https://example.org/%s.pdf)'\nconsole-ports:\n  - name: Console\n    type: rj-45\npower-ports:\n", slug)
	for p := range 2 {
		fmt.Fprintf(&b, "  - name: PSU%d\n    type: iec-60320-c14\n    maximum_draw: %d\n    allocated_draw: %d\n", p+1, 750, 400)
	}
	b.WriteString("interfaces:\n  - name: iDRAC\n    type: 1000base-t\n    mgmt_only: true\n")
	for p := range 4 + rng.IntN(30) {
		fmt.Fprintf(&b, "  - name: Ethernet%d\n    type: 10gbase-x-sfpp\n", p+1)
	}
	b.WriteString("module-bays:\n")
	for p := range 2 + rng.IntN(4) {
		fmt.Fprintf(&b, "  - name: PCIe Slot %d\n    position: '%d'\n", p+1, p+1)
	}
	return "device-types/" + maker + "/" + strings.ReplaceAll(model, " ", "-") + ".yaml", b.String()
}

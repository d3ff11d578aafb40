package importer

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"berth/inventory"
	"berth/inventory/store"

	"github.com/xuri/excelize/v2"
)

// packed is a directory of fixtures as a zip, or one of them as it is.
func fixture(t testing.TB, name string) Source {
	t.Helper()
	root := filepath.Join("testdata", name)
	if info, err := os.Stat(root); err != nil || !info.IsDir() {
		data, err := os.ReadFile(root)
		if err != nil {
			t.Fatal(err)
		}
		return Bytes(name, data)
	}
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	if err := w.AddFS(os.DirFS(root)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return Bytes(name+".zip", buf.Bytes())
}

// all lists everything of a noun.
func all[T any](t testing.TB, s *store.Store) []*T {
	t.Helper()
	list, err := inventory.List[T](t.Context(), s, inventory.Query{Limit: inventory.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// tell writes the objects of some nouns as lines: the fields named, references by what people call them.
func tell(t testing.TB, s *store.Store, noun string, fields ...string) []string {
	t.Helper()
	n := mustNoun(noun)
	page, err := s.List(t.Context(), n, inventory.Query{Limit: inventory.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, obj := range page.Items {
		var words []string
		for _, name := range fields {
			f := mustField(n, name)
			text := fmt.Sprint(f.Value(obj))
			switch v := f.Value(obj).(type) {
			case inventory.UID:
				text = page.Names[v]
			case *float64:
				if text = ""; v != nil {
					text = fmt.Sprint(*v)
				}
			}
			words = append(words, text)
		}
		lines = append(lines, strings.Join(words, "|"))
	}
	slices.Sort(lines)
	return lines
}

// expectation is what a fixture makes of a noun.
type expectation struct {
	noun   string
	fields []string
	lines  []string
}

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		fixture, format string
		opt             Options
		want            []expectation
	}{
		{"netbox", "netbox", Options{}, []expectation{
			{"site", []string{"slug", "name", "status", "facility", "time_zone"}, []string{"fra1|Frankfurt|active|FRA-14|Europe/Berlin"}},
			{"location", []string{"slug", "site", "parent"}, []string{"cage-3|fra1|hall-2", "hall-2|fra1|"}},
			{"rack", []string{"name", "site", "location", "u_height", "facility_id", "outer_width_mm", "mounting_depth_mm", "weight_grams", "max_weight_grams"}, []string{"r12|fra1|cage-3|24|FRA-14-0312|600|740|125500|900000"}},
			{"device-type", []string{"slug", "manufacturer", "part_number", "weight_grams"}, []string{"dell-poweredge-r640|dell|210-AKWU|21900", "dell-powerswitch-s5248f|dell||9979"}},
			{"device", []string{"name", "role", "status", "site", "rack", "position", "face", "device_type"}, []string{
				"node-1|compute|active|fra1|r12|3|front|dell-poweredge-r640", "node-2|compute|offline|fra1||||dell-poweredge-r640", "node-3|compute|planned|fra1||||dell-poweredge-r640",
				"node-4|compute|decommissioning|fra1|r12|5|front|dell-poweredge-r640", "switch-a-top|switch|active|fra1|r12|24|rear|dell-powerswitch-s5248f"}},
			{"asset", []string{"asset_tag", "serial", "custody", "manufacturer", "location"}, []string{"A-17|79OH8D2|installed|dell|cage-3", "A-18|SW0001|installed|dell|cage-3", "A-19|B7K1QX2|storage|dell|cage-3", "A-20||expected|dell|", "A-21|C7K1QX2|installed|dell|cage-3"}},
			{"component", []string{"device", "slot", "kind", "serial", "manufacturer", "module_type"}, []string{"node-1|DIMM A1|memory|03C7A1F2||unknown-m393a4k40cb2-ctd", "node-1|Disk 0|disk|S3Z8NB0KA04011|Samsung|"}},
			{"interface", []string{"device", "name", "kind", "type", "mtu", "vlan", "parent", "description"}, []string{"node-1|bond0|bond|lag|9000|77||", "node-1|eno1|physical|10gbase-x-sfpp|0|0|bond0|to the switch", "node-1|iDRAC|bmc|1000base-t|0|0||", "switch-a-top|Ethernet12|physical|25gbase-x-sfp28|0|0||"}},
			{"power-feed", []string{"name", "power_panel", "rack", "voltage_v", "amperage_a"}, []string{"A|PDB-7|r12|230|16"}},
			{"cable", []string{"label", "type", "length_mm", "a_interface", "b_interface", "a_power_port", "b_power_feed"}, []string{"C-001|dac-passive|2500|eno1|Ethernet12||", "|power|1800|||PSU1|A"}},
			{"address", []string{"address", "interface", "dns_name"}, []string{"10.77.0.11|bond0|node-1.example.org"}},
			{"vlan", []string{"vid", "name", "site"}, []string{"77|servers|fra1"}},
			{"tag", []string{"name"}, []string{"colo", "donated", "leased"}},
		}},
		{"netbox-export", "netbox", Options{}, []expectation{
			{"device", []string{"name", "role", "rack", "position", "face", "device_type"}, []string{"node-1|Compute|r12|3|front|dell-poweredge-r640"}},
			{"rack", []string{"name", "u_height", "width", "outer_width_mm", "serial"}, []string{"r12|24|19|600|RK-1"}},
			{"asset", []string{"asset_tag", "serial"}, []string{"A-17|79OH8D2"}},
		}},
		{"netbox-inventory.csv", "netbox-inventory", Options{}, []expectation{
			{"asset", []string{"asset_tag", "kind", "custody", "site", "location", "owner", "acquisition", "warranty_end"}, []string{"A-30|device|storage|frankfurt|shelf-4|render-farm|PO-2021-7|2024-03-19", "A-31|component|installed||||PO-2021-7|"}},
			{"acquisition", []string{"reference", "kind", "organization", "ordered_on"}, []string{"PO-2021-7|purchase|bytemine|2021-03-04"}},
		}},
		{"snipeit.csv", "snipeit", Options{Currency: "EUR", KeepUnknown: KeepNotes}, []expectation{
			{"asset", []string{"asset_tag", "custody", "condition", "cost_amount", "currency", "warranty_end", "eol_date", "device_type"}, []string{
				"S-001|on_loan|unknown|144900|EUR|2024-05-06|2026-05-06|lenovo-thinkpad-t14", "S-002|gone|unknown|0||||dell-poweredge-r630",
				"S-003|storage|damaged|0||||dell-poweredge-r630", "S-004|missing|unknown|0||||dell-poweredge-r630"}},
		}},
		{"ralph.csv", "ralph", Options{}, []expectation{
			{"device", []string{"name", "status", "site", "rack", "position", "device_type"}, []string{"ralph-1.dc|active|dc1|Rack 5|7|dell-poweredge-r640", "ralph-2.dc|offline|dc1|||dell-poweredge-r640", "ralph-3.dc|offline|dc1|||dell-poweredge-r640"}},
			{"asset", []string{"asset_tag", "serial", "custody", "cost_amount", "currency", "owner"}, []string{"R-100|R7K1QX2|installed|512050|EUR|example-e-v", "R-101|R7K1QX3|missing|0||", "R-102|R7K1QX4|on_loan|0||"}},
		}},
		{"opendcim.csv", "opendcim", Options{}, []expectation{
			{"device", []string{"name", "site", "rack", "position", "face", "device_type"}, []string{"db1.example.org|dc-east|C01|10|front|hpe-proliant-dl380-gen10", "patch-panel|dc-east|C01|1|rear|"}},
			{"device-type", []string{"slug", "u_height", "is_full_depth"}, []string{"hpe-proliant-dl380-gen10|2|true"}},
			{"asset", []string{"serial", "custody", "owner"}, []string{"CZ1234ABCD|installed|example-e-v", "|installed|"}},
		}},
		{"homebox.csv", "homebox", Options{Currency: "EUR"}, []expectation{
			{"asset", []string{"asset_tag", "name", "parent", "site", "location", "custody", "disposition", "cost_amount", "serial", "import_ref"}, []string{
				"000-001|Crate of disks||house|shelf-2|storage||0||homebox:box-1", "000-002|Disk|000-001|house|shelf-2|storage||8990|ZC1ABCDE|homebox:disk-1", "000-003|Old router||house||gone|sold|2000||homebox:sold-1"}},
			{"location", []string{"slug", "parent"}, []string{"cellar|", "shelf-2|cellar"}},
		}},
		{"racktables.sql", "racktables", Options{}, []expectation{
			{"rack", []string{"name", "site", "location", "u_height", "asset_tag"}, []string{"A1|frankfurt|row-a|24|RT-3"}},
			{"device", []string{"name", "rack", "position", "face", "role", "device_type"}, []string{"pdu-left|A1|||pdu|", "srv1|A1|5|front|server|dell-poweredge-r730", "srv2||||server|", "sw1|A1|24|rear|network switch|arista-dcs-7050"}},
			{"device-type", []string{"slug", "u_height", "is_full_depth"}, []string{"arista-dcs-7050|1|true", "dell-poweredge-r730|2|true"}},
			{"asset", []string{"name", "serial", "kind", "custody", "warranty_end"}, []string{"label 1|79OH8D2|device|installed|2025-12-31", "pdu-left||pdu|installed|", "spare||device|storage|", "srv2||device|storage|", "sw1||device|installed|"}},
			{"interface", []string{"device", "name", "mac"}, []string{"srv1|eth0|ac:1f:6b:8d:11:01", "sw1|Et1|"}},
			{"cable", []string{"label", "a_interface", "b_interface"}, []string{"C-77|eth0|Et1"}},
			{"address", []string{"address", "interface"}, []string{"10.77.0.11|eth0"}},
			{"prefix", []string{"prefix", "description"}, []string{"10.77.0.0/24|servers"}},
		}},
		{"library", "devicetypes", Options{}, []expectation{
			{"device-type", []string{"slug", "manufacturer", "u_height", "weight_grams", "airflow"}, []string{"dell-poweredge-r640|dell|1|21900|front-to-rear"}},
			{"module-type", []string{"model", "kind", "attributes"}, []string{"M393A4K40CB2-CTD|memory|map[class:DDR4 data_rate:2666 ecc:true size:32]"}},
			{"rack-type", []string{"slug", "u_height", "outer_depth_mm", "max_weight_grams", "form_factor"}, []string{"apc-ar3100|42|1070|1700000|4-post-cabinet"}},
		}},
		{"german.csv", "csv", Options{Noun: "asset", Currency: "EUR", Map: map[string]string{"Inventarnummer": "asset_tag", "Seriennummer": "serial", "Bezeichnung": "name", "Preis": "cost_amount", "Gekauft": "acquired_at"}}, []expectation{
			{"asset", []string{"asset_tag", "serial", "name", "cost_amount", "currency"}, []string{"I-1|ZZ1|Gerät im Käfig|123450|EUR", "I-2|ZZ2|Ersatzteil|0|"}},
		}},
	} {
		t.Run(c.fixture, func(t *testing.T) {
			s, src := sqlite(t), fixture(t, c.fixture)
			if r := apply(t, s, src, c.opt); r.Format != c.format {
				t.Errorf("it was read as %s, not %s", r.Format, c.format)
			}
			for _, want := range c.want {
				if got := tell(t, s, want.noun, want.fields...); !slices.Equal(got, want.lines) {
					t.Errorf("%s %v:\n got  %q\n want %q", want.noun, want.fields, got, want.lines)
				}
			}
			again(t, s, src, c.opt)
		})
	}
}

// TestNothingIsLost looks for the words of a fixture that have no field of their own.
func TestNothingIsLost(t *testing.T) {
	for _, c := range []struct {
		fixture string
		opt     Options
		words   []string
	}{
		{"netbox", Options{}, []string{"Tenant: render-farm", "region: Europe", "Came with the lot", "On the shelf", "Name before berth: Switch A (top)", "platform: debian"}},
		{"snipeit.csv", Options{Currency: "EUR", KeepUnknown: KeepNotes}, []string{"Dent in the lid", "Locker: 12", "Checked Out To: Username: anna", "Category: Laptops"}},
		{"ralph.csv", Options{}, []string{"service_env: web - prod", "management_ip: 10.0.0.7", "niw: N-1"}},
		{"homebox.csv", Options{Currency: "EUR"}, []string{"Blue crate", "colour: black", "HB.purchase_from: Bytemine", "HB.sold_to: a neighbour"}},
		{"racktables.sql", Options{}, []string{"second; with (brackets), and \"quotes\"", "Contact person: Anna", "RackTables: has problems", "it's by the door"}},
	} {
		t.Run(c.fixture, func(t *testing.T) {
			s := sqlite(t)
			apply(t, s, fixture(t, c.fixture), c.opt)
			var text strings.Builder
			for _, noun := range []string{"asset", "device", "site", "rack"} {
				f, _ := notesField(mustNoun(noun))
				fmt.Fprintln(&text, strings.Join(tell(t, s, noun, f.Name), "\n"))
			}
			for _, word := range c.words {
				if !strings.Contains(strings.ToLower(text.String()), strings.ToLower(word)) {
					t.Errorf("%q is nowhere in\n%s", word, text.String())
				}
			}
		})
	}
}

func TestKeepFields(t *testing.T) {
	s := sqlite(t)
	opt := Options{Currency: "EUR", KeepUnknown: KeepFields}
	apply(t, s, fixture(t, "snipeit.csv"), opt)
	if got, want := tell(t, s, "custom-field", "name", "label", "noun"), []string{"asset_locker|Locker|asset"}; !slices.Equal(got, want) {
		t.Errorf("custom fields %q", got)
	}
	if got, want := tell(t, s, "custom-value", "custom_field", "value"), []string{"asset_locker|12"}; !slices.Equal(got, want) {
		t.Errorf("custom values %q", got)
	}
	again(t, s, fixture(t, "snipeit.csv"), opt)
}

// TestWorkbook reads the same rows from an xlsx as from a CSV.
func TestWorkbook(t *testing.T) {
	text, err := os.ReadFile("testdata/opendcim.csv")
	if err != nil {
		t.Fatal(err)
	}
	book := excelize.NewFile()
	report := &Report{}
	table, err := readText("opendcim.csv", string(text), nil, report)
	if err != nil {
		t.Fatal(err)
	}
	for y, cells := range append([][]string{table.header}, rowsOf(table)...) {
		for x, c := range cells {
			name, err := excelize.CoordinatesToCellName(x+1, y+1)
			if err != nil {
				t.Fatal(err)
			}
			if err := book.SetCellStr("Sheet1", name, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	data, err := book.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	s := sqlite(t)
	apply(t, s, Bytes("dcim.xlsx", data.Bytes()), Options{})
	again(t, s, fixture(t, "opendcim.csv"), Options{})
}

func rowsOf(t *table) [][]string {
	var out [][]string
	for _, r := range t.rows {
		out = append(out, r.cells)
	}
	return out
}

// TestParts gives devices the parts of their types: at an import that asks for it, and one by one.
func TestParts(t *testing.T) {
	s := sqlite(t)
	apply(t, s, fixture(t, "library"), Options{})
	devices := Bytes("devices.csv", []byte("name,role,manufacturer,device_type,site,status\nnode-1,compute,Dell,PowerEdge R640,fra1,active\n"))
	apply(t, s, devices, Options{Parts: true})
	want := []string{"node-1|eno1|physical|true", "node-1|eno2|physical|false", "node-1|iDRAC|bmc|true"}
	if got := tell(t, s, "interface", "device", "name", "kind", "enabled"); !slices.Equal(got, want) {
		t.Errorf("interfaces %q", got)
	}
	if got := tell(t, s, "power-port", "name", "maximum_draw_w", "allocated_draw_w"); !slices.Equal(got, []string{"PSU1|750|400", "PSU2|750|0"}) {
		t.Errorf("power ports %q", got)
	}
	again(t, s, devices, Options{Parts: true})
	eno2 := all[inventory.Interface](t, s)[1]
	err := s.Edit(t.Context(), inventory.NewRequest(anna, ""), func(tx inventory.Tx) error {
		if err := tx.Delete(eno2); err != nil {
			return err
		}
		n, err := Equip(tx, "node-1")
		if err == nil && n != 1 {
			t.Errorf("%d parts were made, not the one that was missing", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestKnownFixtures sees that every fixture is used.
func TestKnownFixtures(t *testing.T) {
	known := []string{"README.md", "fuzz", "netbox", "netbox-export", "netbox-inventory.csv", "snipeit.csv", "ralph.csv", "opendcim.csv", "homebox.csv", "racktables.sql", "library", "german.csv"}
	entries, err := fs.ReadDir(os.DirFS("testdata"), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(known, e.Name()) {
			t.Errorf("testdata/%s is used by no test", e.Name())
		}
	}
}

package inventory

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// invalid returns what is wrong with an object, by field; nil when it is accepted.
func invalid(t testing.TB, obj Object) map[string]string {
	t.Helper()
	err := Describe(obj).Accept(obj)
	var bad *Invalid
	if err != nil && !errors.As(err, &bad) {
		t.Fatalf("%T: %v is no *Invalid", obj, err)
	}
	if bad == nil {
		return nil
	}
	return bad.Fields
}

func at(position float64) *float64 { return &position }

var someUID = UID(strings.Repeat("ab", 16))

// TestRules is a table of objects, and of the fields for which each is refused.
func TestRules(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	key := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 anna"
	for _, test := range []struct {
		obj  Object
		want string // fields, separated by blanks
	}{
		{&Site{}, "name slug"},
		{&Site{Name: "Berlin"}, ""},
		{&Site{Name: "Berlin", Status: "open"}, "status"},
		{&Site{Name: "Berlin", Slug: "Köln"}, "slug"},
		{&Site{Name: "漢字"}, "slug"},
		{&Site{Name: "Berlin", TimeZone: "../../etc/passwd"}, "time_zone"},
		{&Site{Name: "Berlin", SupplyVoltageV: -1}, "supply_voltage_v"},
		{&Site{Name: "Berlin\x07"}, "name"},
		{&Site{Name: "Ber\nlin"}, "name"},
		{&Site{Name: "invoice\u202Efdp.exe"}, "name"},
		{&Site{Name: "Berlin", Description: "two\nlines"}, ""},
		{&Site{Name: "Berlin", Description: strings.Repeat("x", maxLong+1)}, "description"},
		{&Site{Name: long}, "name slug"},
		{&Site{Name: "\xff", Slug: "a"}, "name"},
		{&Site{Name: "a", Slug: string(someUID)}, "slug"},
		{&Site{Name: "a", DefaultProfile: "web"}, "default_profile"},
		{&Rack{Name: "R1", Site: someUID}, ""},
		{&Rack{Name: "R1"}, "site"},
		{&Rack{Name: "R1", Site: someUID, UHeight: 101, StartingUnit: -1, Width: 20}, "u_height starting_unit width"},
		{&DeviceType{Manufacturer: someUID, Model: "R740", UHeight: 2.5}, ""},
		{&DeviceType{Manufacturer: someUID, Model: "R740", UHeight: 2.25}, "u_height"},
		{&DeviceType{Manufacturer: someUID, Model: "R740", UHeight: math.NaN()}, "u_height"},
		{&DeviceType{Manufacturer: someUID, Model: "R740", WeightGrams: -1}, "weight_grams"},
		{&Asset{}, "asset_tag"},
		{&Asset{Meta: Meta{UID: someUID}}, ""},
		{&Component{Kind: "disk", DiskRole: "root"}, ""},
		{&Component{Kind: "memory", DiskRole: "root"}, "disk_role"},
		{&Component{SizeBytes: -1}, "size_bytes"},
		{&Component{Attributes: map[string]string{"a": "b\x00"}}, "attributes"},
		{&Device{}, "name"},
		{&Device{Name: "node-1.example.org"}, ""},
		{&Device{Name: "1"}, ""},
		{&Device{Name: "10.0.0.1"}, "name"},
		{&Device{Name: "-a"}, "name"},
		{&Device{Name: "a-"}, "name"},
		{&Device{Name: "a..b"}, "name"},
		{&Device{Name: "a_b"}, "name"},
		{&Device{Name: "a b"}, "name"},
		{&Device{Name: strings.Repeat("a", 64)}, "name"},
		{&Device{Name: strings.Repeat("a.", 127) + "a"}, "name"},
		{&Device{Name: "a", Position: at(3)}, "position"},
		{&Device{Name: "a", Rack: someUID, Position: at(3.5)}, ""},
		{&Device{Name: "a", Rack: someUID, Position: at(3.3)}, "position"},
		{&Device{Name: "a", Rack: someUID, Position: at(0)}, "position"},
		{&Device{Name: "a", Rack: someUID, Position: at(math.Inf(1))}, "position"},
		{&Device{Name: "a", ProvisionState: "broken"}, "provision_state"},
		{&Device{Name: "a", Serial: "machine's own \x00 word"}, ""},
		{&Interface{Device: someUID, Name: "eno1", MAC: "AA-BB-CC-DD-EE-0F", MTU: 9000, VLAN: 4094}, ""},
		{&Interface{Device: someUID, Name: "ib0", MAC: "80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:00:01"}, ""},
		{&Interface{Device: someUID, Name: "eno1", MAC: "AA-BB-CC", MTU: 67, VLAN: 4095}, "mac mtu vlan"},
		{&Interface{Meta: Meta{UID: someUID}, Device: someUID, Name: "eno1", Parent: someUID}, "parent"},
		{&BMC{Device: someUID, Kind: "redfish", Address: "[fd00::1]:443"}, ""},
		{&BMC{Device: someUID, Kind: "redfish", Address: "https://bmc/"}, "address"},
		{&BMC{Device: someUID, Kind: "redfish", Address: "user@bmc"}, "address"},
		{&BMC{Device: someUID, Kind: "wol", Address: "bmc"}, "address"},
		{&BMC{Device: someUID}, "kind"},
		{&BMC{Device: someUID, Kind: "none", Pin: "abc"}, "pin"},
		{&BMC{Device: someUID, Kind: "none", Password: PlainSecret(long)}, "password"},
		{&Subnet{Name: "a", Prefix: "10.0.0.0/24", Gateway: "10.0.0.1", Pools: []string{"10.0.0.10 - 10.0.0.20", "10.0.0.21-10.0.0.254"}, DNS: []string{"10.0.0.1"}, NTP: []string{"pool.ntp.org"}}, ""},
		{&Subnet{Name: "a", Prefix: "fd00::/64", Gateway: "fe80::1", Pools: []string{"fd00::10-fd00::20"}}, ""},
		{&Subnet{Name: "a", Prefix: "10.0.0.0/31", Pools: []string{"10.0.0.0-10.0.0.1"}}, ""},
		{&Subnet{Name: "a"}, "prefix"},
		{&Subnet{Name: "a", Prefix: "10.0.0.1/24"}, "prefix"},
		{&Subnet{Name: "a", Prefix: "10.0.0.0"}, "prefix"},
		{&Subnet{Name: "a", Prefix: "10.0.0.0/24", Pools: []string{"10.0.1.1-10.0.1.9"}}, "pools"},
		{&Subnet{Name: "a", Prefix: "10.0.0.0/24", Pools: []string{"10.0.0.9-10.0.0.1"}}, "pools"},
		{&Subnet{Name: "a", Prefix: "10.0.0.0/24", Pools: []string{"10.0.0.0-10.0.0.9"}}, "pools"},
		{&Subnet{Name: "a", Prefix: "10.0.0.0/24", Pools: []string{"10.0.0.250-10.0.0.255"}}, "pools"},
		{&Subnet{Name: "a", Prefix: "10.0.0.0/24", Pools: []string{"10.0.0.1-10.0.0.9", "10.0.0.9"}}, "pools"},
		{&Subnet{Name: "a", Prefix: "10.0.0.0/24", Pools: []string{"10.0.0.1-fd00::1"}}, "pools"},
		{&Subnet{Name: "a", Prefix: "10.0.0.0/24", Pools: []string{"all"}}, "pools"},
		{&Subnet{Name: "a", Prefix: "10.0.0.0/24", Gateway: "10.0.1.1", DNS: []string{"dns.example.org"}, Domain: "a_b", LeaseSeconds: 5, BootURL: "ftp://a", VLAN: -1}, "gateway dns domain lease_seconds boot_url vlan"},
		{&Address{Address: "10.0.0.5", DNSName: "node.example.org"}, ""},
		{&Address{Address: "10.0.0.5/24"}, "address"},
		{&Address{Address: "fe80::1%eth0"}, "address"},
		{&Image{Name: "debian-12"}, ""},
		{&Image{Name: "debian 12"}, "name"},
		{&Image{Name: "../etc"}, "name"},
		{&Image{Name: "a", Digest: "md5:0", BootModes: []string{"floppy"}, SizeBytes: -1}, "digest boot_modes size_bytes"},
		{&Profile{Name: "Node", HostnameTemplate: "{name}.example.org", SSHKeys: []string{key}, User: "debian", UserData: "#cloud-config\n"}, ""},
		{&Profile{Name: "Node", HostnameTemplate: "{name}_x", User: "Root", UserData: "#!/bin/sh"}, "hostname_template user user_data"},
		{&Profile{Name: "Node", SSHKeys: []string{"-----BEGIN OPENSSH PRIVATE KEY-----"}}, "ssh_keys"},
		{&Profile{Name: "Node", SSHKeys: []string{key + "\n" + key}}, "ssh_keys"},
		{&Profile{Name: "Node", SSHKeys: make([]string, maxList+1)}, ""}, // empty lines are no entries
		{&Account{Name: "Anna", Level: LevelAdmin, Email: "anna@example.org"}, ""},
		{&Account{Name: "Anna Bell", Level: "god", Email: "anna"}, "name level email"},
		{&Operation{Kind: "deploy", Args: []byte(`{"a":`)}, "args"},
		{&Operation{Kind: "deploy", Problem: "it said:\n\x1b[31mno\x1b[0m" + long}, ""},
	} {
		got := invalid(t, test.obj)
		var want []string
		if test.want != "" {
			want = strings.Fields(test.want)
		}
		missing := false
		for _, field := range want {
			missing = missing || got[field] == ""
		}
		if missing || len(got) != len(want) {
			t.Errorf("%.200s: refused for %v, want %v", fmt.Sprintf("%+v", test.obj), got, want)
		}
	}
}

// TestNormalForms: what people write in different ways is stored in one.
func TestNormalForms(t *testing.T) {
	position := 3.0
	zone := time.FixedZone("somewhere", 3600)
	when := time.Date(2026, 11, 22, 10, 0, 0, 123456789, zone)
	for _, test := range []struct{ obj, want Object }{
		{&Site{Name: "  Haus 3, Keller "}, &Site{Name: "Haus 3, Keller", Slug: "haus-3-keller", Status: "active"}},
		{&Rack{Name: "R1", Site: someUID}, &Rack{Name: "R1", Site: someUID, Status: "active", UHeight: 42, StartingUnit: 1, Width: 19}},
		{&Asset{Meta: Meta{UID: someUID}, AcquiredAt: &when}, &Asset{Meta: Meta{UID: someUID}, AssetTag: "B-ABABABAB", Kind: "device", Custody: "expected", Condition: "unknown", AcquiredAt: timePointer(time.Date(2026, 11, 22, 9, 0, 0, 123456000, time.UTC))}},
		{&Device{Name: "Node-1.Example.ORG", Rack: someUID, Position: &position, SystemUUID: "4C4C4544-0031"}, &Device{Name: "node-1.example.org", Status: "active", Rack: someUID, Position: &position, Face: "front", SystemUUID: "4c4c4544-0031", HostKeys: []string{}, Addresses: []string{}}},
		{&Interface{Device: someUID, Name: "eno1", MAC: "AABB.CCDD.EEFF"}, &Interface{Device: someUID, Name: "eno1", MAC: "aa:bb:cc:dd:ee:ff", Kind: "physical"}},
		{&BMC{Device: someUID, Kind: "wol", Address: "AABBCCDDEEFF"}, &BMC{Device: someUID, Kind: "wol", Address: "aa:bb:cc:dd:ee:ff"}},
		{&Subnet{Name: "a", Prefix: "fd00:0::/64", Pools: []string{" fd00::0010-fd00::20", ""}, Gateway: "fd00::0001"}, &Subnet{Name: "a", Prefix: "fd00::/64", Pools: []string{"fd00::10-fd00::20"}, Gateway: "fd00::1", Mode: "listen", DNS: []string{}, NTP: []string{}}},
		{&Address{Address: "::ffff:10.0.0.5"}, &Address{Address: "10.0.0.5"}},
		{&Event{Text: " a\x1b[31m\x00b\xff "}, &Event{Text: "a [31m b\uFFFD", Source: "system", Level: "info"}},
	} {
		if bad := invalid(t, test.obj); bad != nil {
			t.Errorf("%+v: %v", test.obj, bad)
		} else if !reflect.DeepEqual(test.obj, test.want) {
			t.Errorf("\n got %+v\nwant %+v", test.obj, test.want)
		}
	}
}

func timePointer(t time.Time) *time.Time { return &t }

// TestMachineWordsAreNeverRefused: whatever bytes a machine says, in any field that machines fill, can be stored: valid UTF-8, without
// controls, of bounded length. Refusing would stop the work on it.
func TestMachineWordsAreNeverRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := string(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "words"))
		if rapid.Bool().Draw(t, "long") {
			words = strings.Repeat(words, 60)
		}
		step := &Step{Operation: someUID, Sentence: words, Problem: words, Task: words}
		device := &Device{Name: "a", Serial: words, Product: words, Addresses: []string{words}}
		for _, obj := range []Object{step, device, &Event{Text: words}, &Deviation{Device: someUID, Part: words, Observed: words}} {
			if err := Describe(obj).Accept(obj); err != nil {
				t.Fatalf("%q: %v", words, err)
			}
		}
		for _, s := range []string{step.Problem, device.Serial} {
			if !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxText || strings.ContainsAny(s, "\x00\n\x1b\x7f") {
				t.Fatalf("%q became %q", words, s)
			}
		}
	})
}

// TestAcceptIsStable: what was accepted is accepted again, and not changed again.
func TestAcceptIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		subnet := &Subnet{Name: rapid.String().Draw(t, "name"), Prefix: "10.0.0.0/8", Pools: rapid.SliceOf(rapid.StringMatching(`10\.0\.0\.[1-9]?[0-9](-10\.0\.0\.[1-9][0-9])?`)).Draw(t, "pools"), Domain: rapid.String().Draw(t, "domain")}
		if Describe(subnet).Accept(subnet) != nil {
			return
		}
		again := *subnet
		again.Pools = append([]string{}, subnet.Pools...)
		if err := Describe(&again).Accept(&again); err != nil || !reflect.DeepEqual(&again, subnet) {
			t.Fatalf("%+v became %+v: %v", subnet, again, err)
		}
	})
}

// TestInvalidNamesEverything: the sentence of a refusal holds each field and why.
func TestInvalidNamesEverything(t *testing.T) {
	err := NounFor[Rack]().Accept(&Rack{UHeight: 101})
	for _, want := range []string{"rack", "name: is required", "site: is required", "u_height: is from 1 to 100 U"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

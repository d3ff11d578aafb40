package hardware

import (
	"reflect"
	"strings"
	"testing"
)

func TestFillIsDeterministicAndValid(t *testing.T) {
	a := Server{Name: "one"}.Fill()
	b := Server{Name: "one"}.Fill()
	if !reflect.DeepEqual(a, b) {
		t.Fatalf("the same name gave two machines:\n%+v\n%+v", a, b)
	}
	if err := a.Check(); err != nil {
		t.Fatal(err)
	}
	if again := a.Fill(); !reflect.DeepEqual(a, again) {
		t.Fatalf("filling twice changed something:\n%+v\n%+v", a, again)
	}
	c := Server{Name: "two"}.Fill()
	if a.System.Serial == c.System.Serial || a.UUID == c.UUID || a.NICs[0].MAC.String() == c.NICs[0].MAC.String() {
		t.Fatalf("two names share identifiers: %+v, %+v", a, c)
	}
	if got := a.MemoryMiB(); got != 1024 {
		t.Errorf("memory is %d MiB, want 1024: an empty slot adds none", got)
	}
}

func TestFillKeepsWhatIsSaid(t *testing.T) {
	s := Server{Name: "junk", System: Identity{Serial: "To Be Filled By O.E.M."}, NICs: []NIC{}, Disks: []Disk{}}.Fill()
	if s.System.Serial != "To Be Filled By O.E.M." {
		t.Errorf("system serial is %q", s.System.Serial)
	}
	if len(s.NICs) != 0 || len(s.Disks) != 0 {
		t.Errorf("empty lists were filled: %v %v", s.NICs, s.Disks)
	}
	if b := (Server{Name: "blank", Blank: true}).Fill(); b.System != (Identity{}) || b.BIOS != (BIOSInfo{}) {
		t.Errorf("a blank server was labelled: %+v %+v", b.System, b.BIOS)
	}
}

func TestCloneSharesNothing(t *testing.T) {
	a := Server{Name: "one"}.Fill()
	b := a.Clone()
	b.Disks[0].Serial, b.NICs[0].MAC[5], b.DIMMs[0].Serial, b.PSUs[0].Name = "x", 0xff, "x", "x"
	if reflect.DeepEqual(a.Disks, b.Disks) || reflect.DeepEqual(a.DIMMs, b.DIMMs) || reflect.DeepEqual(a.PSUs, b.PSUs) {
		t.Error("a slice is shared")
	}
}

func TestCheckRefuses(t *testing.T) {
	cases := []struct {
		name  string
		spoil func(*Server)
		want  string
	}{
		{"name", func(s *Server) { s.Name = "../x" }, "the name needs"},
		{"firmware", func(s *Server) { s.Firmware = "coreboot" }, "firmware"},
		{"http on bios", func(s *Server) { s.HTTP = true }, "needs UEFI"},
		{"uuid", func(s *Server) { s.UUID = "123" }, "UUID"},
		{"order", func(s *Server) { s.Order = "random" }, "boot order"},
		{"memory", func(s *Server) { s.DIMMs = nil }, "too few"},
		{"mac", func(s *Server) { s.NICs[0].MAC = s.NICs[0].MAC[:3] }, "six-byte"},
		{"nic model", func(s *Server) { s.NICs[0].Model = "ne2000" }, "ne2000"},
		{"nic twice", func(s *Server) { s.NICs = append(s.NICs, s.NICs[0]) }, "two ports"},
		{"disk twice", func(s *Server) { s.Disks = append(s.Disks, s.Disks[0]) }, "two disks"},
		{"disk slot", func(s *Server) { s.Disks[0].Slot = "a/b" }, "slot"},
		{"disk kind", func(s *Server) { s.Disks[0].Kind = "tape" }, "tape"},
		{"disk size", func(s *Server) { s.Disks[0].Size = 511 }, "multiple of 512"},
		{"disk serial", func(s *Server) { s.Disks[0].Serial = strings.Repeat("x", 21) }, "longer than 20"},
		{"disk model", func(s *Server) { s.Disks[0].Model = strings.Repeat("x", 17) }, "longer than 16"},
		{"disk wwn", func(s *Server) { s.Disks[0].WWN = "5" }, "16 hex digits"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := Server{Name: "one"}.Fill()
			c.spoil(&s)
			if err := s.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("Check says %v, want something with %q", err, c.want)
			}
		})
	}
}

func TestOverrideString(t *testing.T) {
	cases := map[string]Override{
		"none":                {},
		"pxe once":            {Device: PXE},
		"disk always (uefi)":  {Device: HDD, Mode: ModeUEFI, Persistent: true},
		"setup once (legacy)": {Device: Setup, Mode: ModeLegacy},
	}
	for want, o := range cases {
		if got := o.String(); got != want {
			t.Errorf("%+v prints %q, want %q", o, got, want)
		}
	}
}

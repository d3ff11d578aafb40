package storage

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestClosedSets(t *testing.T) {
	for _, r := range Roles() {
		if got, err := ParseRole(r.String()); err != nil || got != r {
			t.Errorf("ParseRole(%q) = %q, %v", r, got, err)
		}
	}
	for _, k := range Kinds() {
		if got, err := ParseKind(k.String()); err != nil || got != k {
			t.Errorf("ParseKind(%q) = %q, %v", k, got, err)
		}
	}
	for _, tr := range append(Transports(), "") {
		if got, err := ParseTransport(tr.String()); err != nil || got != tr {
			t.Errorf("ParseTransport(%q) = %q, %v", tr, got, err)
		}
	}
	for _, r := range Reasons() {
		if got, err := ParseReason(r.String()); err != nil || got != r {
			t.Errorf("ParseReason(%q) = %q, %v", r, got, err)
		}
	}
	var d struct {
		Role      Role
		Kind      Kind
		Transport Transport
	}
	for _, bad := range []string{`{"Role":"boot"}`, `{"Kind":"zip"}`, `{"Transport":"pigeon"}`} {
		if json.Unmarshal([]byte(bad), &d) == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func TestNormalize(t *testing.T) {
	for in, want := range map[string]string{
		"  WD-1234 ": "WD-1234", "": "", "   ": "", "0000000000": "", "Default string": "", "NONE": "", "S3\x00Z": "S3Z",
		"\x1b[31mX1": "[31mX1", "----": "",
	} {
		if got := NormalizeSerial(in); got != want {
			t.Errorf("NormalizeSerial(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"0x5000C500A1B2C3D4": "naa.5000c500a1b2c3d4", "naa.5000c500a1b2c3d4": "naa.5000c500a1b2c3d4",
		"eui.0025385B71B00A3C": "eui.0025385b71b00a3c", "0025385b71b00a3c": "eui.0025385b71b00a3c",
		"eui.0000000000000000": "", "": "", "0x0": "", "uuid.8B4D6A0E-1": "uuid.8b4d6a0e-1",
	} {
		if got := NormalizeWWN(in); got != want {
			t.Errorf("NormalizeWWN(%q) = %q, want %q", in, got, want)
		}
	}
}

// disk makes a disk of 100 GB with this serial.
func disk(serial string, change ...func(*Observed)) Observed {
	d := Observed{Disk: Disk{Serial: serial, Size: 100e9, Path: "/dev/sd" + strings.ToLower(serial)}}
	for _, c := range change {
		c(&d)
	}
	return d
}

func with(findings ...Finding) func(*Observed) {
	return func(d *Observed) { d.Content.Findings = findings }
}
func wwn(w string) func(*Observed)    { return func(d *Observed) { d.WWN = w } }
func size(n int64) func(*Observed)    { return func(d *Observed) { d.Size = n } }
func readOnly(d *Observed)            { d.ReadOnly = true }
func removable(d *Observed)           { d.Removable = true }
func unread(d *Observed)              { d.Content.Incomplete = "read error at 4096" }
func bind(r Role, s string) Binding   { return Binding{Role: r, Serial: s} }
func bindings(b ...Binding) []Binding { return b }

var (
	ext4  = Finding{Kind: KindFilesystem, Type: "ext4", Label: "home", UUID: "u-1", Partition: 1}
	ceph  = Finding{Kind: KindCeph, OSD: &OSD{FSID: "f-1"}}
	gpt   = Finding{Kind: KindTable, Type: "gpt", UUID: "t-1", Partitions: 2}
	blank = Finding{Kind: KindTable, Type: "gpt", UUID: "t-2"}
)

func TestNewPlan(t *testing.T) {
	tests := []struct {
		name     string
		disks    []Observed
		bindings []Binding
		written  []Written
		seed     bool

		target  string
		reason  Reason // refused with
		consent bool   // needed
	}{
		{name: "no disk", reason: NoDisk},
		{name: "one blank disk is proposed", disks: []Observed{disk("A")}, target: "A"},
		{name: "an empty table is nobody's data", disks: []Observed{disk("A", with(blank))}, target: "A"},
		{name: "a table with unknown partitions is somebody's", disks: []Observed{disk("A", with(gpt))}, target: "A", consent: true},
		{name: "two blank disks are a question", disks: []Observed{disk("A"), disk("B")}, reason: Ambiguous},
		{name: "a blank disk beside a foreign one", disks: []Observed{disk("A", with(ext4)), disk("B")}, target: "B"},
		{name: "two foreign disks are a question", disks: []Observed{disk("A", with(ext4)), disk("B", with(ext4))}, reason: Ambiguous},
		{name: "one foreign disk needs consent", disks: []Observed{disk("A", with(ext4))}, target: "A", consent: true},
		{name: "an unread disk counts as foreign", disks: []Observed{disk("A", unread)}, target: "A", consent: true},
		{name: "an unbound OSD is never proposed", disks: []Observed{disk("A", with(ceph))}, reason: NoDisk},
		{name: "an OSD bound as root needs consent", disks: []Observed{disk("A", with(ceph))}, bindings: bindings(bind(RoleRoot, "A")), target: "A", consent: true},
		{name: "an OSD on a disk of ours needs consent", disks: []Observed{disk("A", with(ceph))}, bindings: bindings(bind(RoleRoot, "A")),
			written: []Written{{Serial: "A"}}, target: "A", consent: true},
		{name: "a binding decides", disks: []Observed{disk("A"), disk("B")}, bindings: bindings(bind(RoleRoot, "B")), target: "B"},
		{name: "a binding is no consent", disks: []Observed{disk("A"), disk("B", with(ext4))}, bindings: bindings(bind(RoleRoot, "B")), target: "B", consent: true},
		{name: "what berth wrote is ours", disks: []Observed{disk("A", with(gpt, ext4))}, written: []Written{{Serial: "A", TableUUID: "T-1"}}, target: "A"},
		{name: "another table means another owner", disks: []Observed{disk("A", with(gpt, ext4))}, written: []Written{{Serial: "A", TableUUID: "t-9"}}, target: "A", consent: true},
		{name: "bound disk gone", disks: []Observed{disk("A")}, bindings: bindings(bind(RoleRoot, "Z")), reason: BoundMissing},
		{name: "serial and WWN disagree", disks: []Observed{disk("A", wwn("naa.5000000000000001"))},
			bindings: bindings(Binding{Role: RoleRoot, Serial: "A", WWN: "0x5000000000000002"}), reason: BindingConflict},
		{name: "two disks say the bound serial", disks: []Observed{disk("A"), disk("A")}, bindings: bindings(bind(RoleRoot, "A")), reason: Ambiguous},
		{name: "two roots", disks: []Observed{disk("A"), disk("B")}, bindings: bindings(bind(RoleRoot, "A"), bind(RoleRoot, "B")), reason: BindingConflict},
		{name: "root and keep on one disk", disks: []Observed{disk("A")}, bindings: bindings(bind(RoleRoot, "A"), bind(RoleKeep, "A")), reason: Protected},
		{name: "kept by WWN alone", disks: []Observed{disk("A", wwn("0x5000000000000001")), disk("B")},
			bindings: bindings(Binding{Role: RoleCephOSD, Serial: "other", WWN: "naa.5000000000000001"}), target: "B"},
		{name: "kept by the fsid of its OSD", disks: []Observed{disk("", with(ceph)), disk("B")},
			bindings: bindings(Binding{Role: RoleCephOSD, Serial: "other", OSD: &OSD{FSID: "F-1"}}), target: "B"},
		{name: "scratch is not root", disks: []Observed{disk("A"), disk("B")}, bindings: bindings(bind(RoleScratch, "A")), target: "B"},
		{name: "only kept disks", disks: []Observed{disk("A")}, bindings: bindings(bind(RoleKeep, "A")), reason: NoDisk},
		{name: "too small", disks: []Observed{disk("A", size(9e9))}, reason: TooSmall},
		{name: "fits exactly", disks: []Observed{disk("A", size(10e9))}, target: "A"},
		{name: "no room for the seed", disks: []Observed{disk("A", size(10e9))}, seed: true, reason: TooSmall},
		{name: "bound but too small", disks: []Observed{disk("A", size(9e9)), disk("B")}, bindings: bindings(bind(RoleRoot, "A")), reason: TooSmall},
		{name: "bound but read-only", disks: []Observed{disk("A", readOnly)}, bindings: bindings(bind(RoleRoot, "A")), reason: Unusable},
		{name: "a stick is not proposed", disks: []Observed{disk("A", removable)}, reason: NoDisk},
		{name: "no serial, only disk", disks: []Observed{disk("")}, target: "(no serial)", consent: true},
		{name: "no serial, two disks", disks: []Observed{disk(""), disk("B", with(ext4))}, reason: Unidentified},
		{name: "shared serial, own WWN", disks: []Observed{disk("A", wwn("naa.5000000000000001")), disk("A", wwn("naa.5000000000000002"), with(ext4))}, target: "A"},
		{name: "shared serial, no WWN", disks: []Observed{disk("A"), disk("A", with(ext4))}, reason: Unidentified},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := NewPlan(Request{Machine: "m1", Image: Image{Digest: "sha256:aa", Size: 10e9}, Seed: tt.seed,
				Disks: tt.disks, Bindings: tt.bindings, Written: tt.written})
			if tt.reason != "" {
				var r *Refusal
				if !errors.Is(err, tt.reason) || !errors.As(err, &r) || r.Sentence == "" {
					t.Fatalf("got %v, plan %+v; want refusal %q", err, p.Target, tt.reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.Target.Name() != tt.target || p.NeedsConsent() != tt.consent || len(p.Kept) != len(tt.disks)-1 {
				t.Fatalf("target %s, consent %q, kept %d", p.Target.Name(), p.ConsentReasons, len(p.Kept))
			}
			if len(p.Target.Content.Sentences()) != len(p.Destroyed) {
				t.Errorf("destroyed %q says less than %q", p.Destroyed, p.Target.Content.Sentences())
			}
		})
	}
}

func TestConsent(t *testing.T) {
	r := Request{Machine: "m1", Image: Image{Digest: "sha256:aa", Size: 10e9}, Disks: []Observed{disk("A", with(ext4))}}
	p, err := NewPlan(r)
	if err != nil {
		t.Fatal(err)
	}
	good := Consent{Machine: "m1", Serials: []string{"A"}, PlanDigest: p.Digest()}
	if err := p.Authorize(&good); err != nil {
		t.Errorf("the right consent: %v", err)
	}
	if err := p.Authorize(nil); !errors.Is(err, NeedsConsent) {
		t.Errorf("no consent: %v", err)
	}
	for name, c := range map[string]Consent{
		"machine": {Machine: "m2", Serials: good.Serials, PlanDigest: good.PlanDigest},
		"serials": {Machine: "m1", Serials: []string{"B"}, PlanDigest: good.PlanDigest},
		"more":    {Machine: "m1", Serials: []string{"A", "B"}, PlanDigest: good.PlanDigest},
		"none":    {Machine: "m1", PlanDigest: good.PlanDigest},
		"digest":  {Machine: "m1", Serials: good.Serials, PlanDigest: "sha256:00"},
		"empty":   {},
	} {
		if err := p.Authorize(&c); !errors.Is(err, WrongConsent) {
			t.Errorf("wrong %s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*Request){
		"content": func(r *Request) { r.Disks = []Observed{disk("A", with(ext4, gpt))} },
		"image":   func(r *Request) { r.Image.Digest = "sha256:bb" },
		"disks":   func(r *Request) { r.Disks = append(slices.Clone(r.Disks), disk("C", with(ceph))) },
	} {
		q := r
		change(&q)
		changed, err := NewPlan(q)
		if err != nil {
			t.Fatal(err)
		}
		if err := changed.Authorize(&good); !errors.Is(err, WrongConsent) {
			t.Errorf("a consent survived a change of %s: %v", name, err)
		}
	}
}

func TestSentences(t *testing.T) {
	id := 3
	c := Content{Findings: []Finding{gpt, ext4, {Kind: KindCeph, OSD: &OSD{ID: &id, FSID: "f", Cluster: "c"}}}, Incomplete: "unreadable"}
	want := []string{
		"a GPT partition table with 2 partitions",
		`a filesystem of type ext4 labelled "home" (u-1) in partition 1`,
		"Ceph: osd.3 with fsid f of cluster c",
		"possibly more: unreadable",
	}
	if got := c.Sentences(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	if !(Content{}).Empty() || (Content{}).Foreign() || c.Empty() || !c.Foreign() {
		t.Error("Empty and Foreign disagree with the findings")
	}
}

// drawRequest makes machines with few distinct serials, WWNs and sizes, so that clashes are common.
func drawRequest(t *rapid.T) Request {
	serial := rapid.SampledFrom([]string{"", "A", "B", "C", "D", "0000"})
	name := rapid.SampledFrom([]string{"", "", "naa.5000000000000001", "0x5000000000000002", "eui.0000000000000003"})
	finding := rapid.SampledFrom([]Finding{ext4, ceph, gpt, blank, {Kind: KindUnknown}, {Kind: KindLVM}})
	observed := rapid.Custom(func(t *rapid.T) Observed {
		return Observed{
			Disk: Disk{Serial: serial.Draw(t, "serial"), WWN: name.Draw(t, "wwn"), Size: rapid.SampledFrom([]int64{0, 5e9, 10e9, 100e9}).Draw(t, "size"),
				Path: rapid.StringMatching(`/dev/sd[a-z]`).Draw(t, "path")},
			Content:   Content{Findings: rapid.SliceOfN(finding, 0, 2).Draw(t, "findings")},
			ReadOnly:  rapid.IntRange(0, 9).Draw(t, "ro") == 0,
			Removable: rapid.IntRange(0, 9).Draw(t, "rm") == 0,
		}
	})
	binding := rapid.Custom(func(t *rapid.T) Binding {
		return Binding{Role: rapid.SampledFrom(Roles()).Draw(t, "role"), Serial: serial.Draw(t, "serial"), WWN: name.Draw(t, "wwn")}
	})
	written := rapid.Custom(func(t *rapid.T) Written {
		return Written{Serial: serial.Draw(t, "serial"), WWN: name.Draw(t, "wwn"), TableUUID: rapid.SampledFrom([]string{"", "t-1", "t-9"}).Draw(t, "table")}
	})
	return Request{
		Machine: "m", Image: Image{Digest: "sha256:aa", Size: 10e9},
		Disks:    rapid.SliceOfN(observed, 0, 5).Draw(t, "disks"),
		Bindings: rapid.SliceOfN(binding, 0, 3).Draw(t, "bindings"),
		Written:  rapid.SliceOfN(written, 0, 2).Draw(t, "written"),
	}
}

// TestPlanNeverPicksAProtectedDisk states the promise in its own words, not in those of the implementation.
func TestPlanNeverPicksAProtectedDisk(t *testing.T) {
	planned := 0
	rapid.Check(t, func(t *rapid.T) {
		r := drawRequest(t)
		p, err := NewPlan(r)
		if err != nil {
			var refusal *Refusal
			if !errors.As(err, &refusal) {
				t.Fatalf("an error that is no refusal: %v", err)
			}
			return
		}
		planned++
		d := p.Target
		for _, b := range r.Bindings {
			bs, bw := NormalizeSerial(b.Serial), NormalizeWWN(b.WWN)
			hit := bs != "" && bs == NormalizeSerial(d.Serial) || bw != "" && bw == NormalizeWWN(d.WWN)
			if b.Role != RoleRoot && hit {
				t.Fatalf("picked %v, bound as %s", d, b.Role)
			}
			if b.Role == RoleRoot && !hit {
				t.Fatalf("picked %v although %v is bound as root", d, b)
			}
		}
		if d.Size < r.Image.Size || d.ReadOnly {
			t.Fatalf("picked a disk that cannot be written: %+v", d)
		}
		if d.Content.Foreign() && len(r.Written) == 0 && !p.NeedsConsent() {
			t.Fatalf("foreign data without consent: %+v", d)
		}
		if len(d.Content.OSDs()) > 0 && !p.NeedsConsent() {
			t.Fatalf("an OSD without consent: %+v", d)
		}
		if NormalizeSerial(d.Serial) == "" && NormalizeWWN(d.WWN) == "" && (len(r.Disks) > 1 || !p.NeedsConsent()) {
			t.Fatalf("a disk without a name among %d", len(r.Disks))
		}
		if len(p.Kept) != len(r.Disks)-1 {
			t.Fatalf("%d kept of %d", len(p.Kept), len(r.Disks))
		}
	})
	if planned == 0 {
		t.Fatal("no random machine led to a plan: the test proves nothing")
	}
}

func TestPlanDoesNotDependOnNamesOrOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRequest(t)
		q := r
		q.Disks = rapid.Permutation(r.Disks).Draw(t, "order")
		q.Disks = slices.Clone(q.Disks)
		for i := range q.Disks {
			q.Disks[i].Path = rapid.StringMatching(`/dev/nvme[0-9]n1`).Draw(t, "renamed")
		}
		p1, err1 := NewPlan(r)
		p2, err2 := NewPlan(q)
		if (err1 == nil) != (err2 == nil) {
			t.Fatalf("%v, then %v", err1, err2)
		}
		if err1 != nil {
			var a, b *Refusal
			if !errors.As(err1, &a) || !errors.As(err2, &b) || a.Reason != b.Reason {
				t.Fatalf("%v, then %v", err1, err2)
			}
			return
		}
		if p1.Digest() != p2.Digest() || p1.Target.Name() != p2.Target.Name() {
			t.Fatalf("%+v, then %+v", p1, p2)
		}
	})
}

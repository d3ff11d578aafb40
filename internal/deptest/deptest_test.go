package deptest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

func TestImports(t *testing.T) {
	packages, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 5 {
		t.Fatalf("found %d packages only", len(packages))
	}
	for _, fault := range check(packages) {
		t.Error(fault)
	}
}

func TestTopLevelFolders(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || skip(root, filepath.Join(root, e.Name()), e.Name()) != nil {
			continue
		}
		if topLevel[e.Name()] == "" {
			t.Errorf("%s is no known folder: a new noun of the product is decided in docs/decisions and named here", e.Name())
		}
	}
}

// The rules themselves must bite: each row breaks one.
func TestRulesBite(t *testing.T) {
	for _, c := range []struct{ from, imports, says string }{
		{"inventory", "berth/storage", "imports nothing of ours"},
		{"inventory", "os", "touches no socket"},
		{"storage", "github.com/google/uuid", "standard library only"},
		{"storage", "berth/storage/disk", "may not import berth/storage/disk"},
		{"pxe/tftp", "berth/pxe/dhcp", "never heard of a rack"},
		{"pxe/tftp", "berth/inventory", "never heard of a rack"},
		{"bmc/redfish", "berth/bmc/ipmi", "one protocol"},
		{"provision", "gorm.io/gorm", "one package speaks SQL"},
		{"web", "berth/inventory/store", "no SQL"},
		{"web", "os/exec", "nowhere near a request"},
		{"agent", "berth/provision", "obeys the server"},
		{"agent/look", "berth/web", "parts of the agent"},
		{"agent", "k8s.io/client-go/kubernetes", "translated at the door"},
		{"internal/lab", "berth/bmc/redfish", "can disagree"},
		{"internal/lab/vbmc", "github.com/stmcginnis/gofish/redfish", "must not share code"},
		{"web", "berth/internal/lab", "may not import"},
		{"internal/bench/deploy", "berth/provision", "measurements of the built binaries"},
		{"cmd/berth", "berth/agent", "runs elsewhere"},
		{"cmd/berth-agent", "berth/storage/disk", "few lines"},
		{"api", "github.com/danielgtaylor/huma/v2", "server's business"},
		{"storage/disk", "C", "static"},
		{"provision", "testing", "test helpers"},
		{"newcomer", "fmt", "in no rule"},
	} {
		faults := check([]source{{path: c.from, imports: map[string]string{c.imports: "x.go"}}})
		if len(faults) != 1 || !strings.Contains(faults[0], c.says) {
			t.Errorf("%s importing %s: got %q, want one that says %q", c.from, c.imports, faults, c.says)
		}
	}
}

func TestRulesAllow(t *testing.T) {
	for _, c := range [][2]string{
		{"inventory", "net"},
		{"inventory", "net/netip"},
		{"inventory/store", "gorm.io/driver/postgres"},
		{"inventory/store", "berth/migrations"},
		{"storage/disk", "berth/storage/image"},
		{"storage/disk", "os/exec"},
		{"pxe/dhcp", "berth/pxe"},
		{"bmc/redfish", "github.com/bmc-toolbox/bmclib/v2"},
		{"provision", "berth/bmc"},
		{"agent", "berth/storage/disk"},
		{"web/page", "berth/inventory"},
		{"internal/lab/vbmc", "github.com/bougou/go-ipmi/pkg/server"},
		{"cmd/berth", "berth/bmc/redfish"},
		{"cmd/berth", "berth/internal/lab"},
		{"cmd/berth-agent", "berth/agent"},
		{"provision", "os"},
	} {
		if faults := check([]source{{path: c[0], imports: map[string]string{c[1]: "x.go"}}}); len(faults) != 0 {
			t.Errorf("%s importing %s: %q", c[0], c[1], faults)
		}
	}
}

func TestEveryRuleHasAReason(t *testing.T) {
	for _, r := range ownRules {
		if r.why == "" {
			t.Errorf("%s: why?", r.pattern)
		}
	}
	for _, r := range theirRules {
		if r.why == "" {
			t.Errorf("%s: why?", r.path)
		}
	}
}

// foreign is text that ties the tree to one machine or to one archive. The
// build takes addresses from the configuration of the machine it runs on. The words are put
// together here so that this file passes its own test.
var foreign = map[string]*regexp.Regexp{
	"a path of one machine": regexp.MustCompile(`(?m)(^|[\s"'` + "`" + `(=:])/(wo` + `rk|ro` + `ot/go|ho` + `me/[a-z]+/go)/`),
	"an archive's address":  regexp.MustCompile(`(deb|security|snapshot|ftp)\.debi` + `an\.org|proxy\.gol` + `ang\.org|registry\.npm` + `js|pypi\.o` + `rg|(gh` + `cr|qu` + `ay|doc` + `ker)\.io/`),
}

func TestTreeNamesNoMachineAndNoArchive(t *testing.T) {
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "testdata" {
				return nil
			}
			return skip(root, file, d.Name())
		}
		if !d.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for what, pattern := range foreign {
			if found := pattern.Find(content); found != nil {
				t.Errorf("%s names %s: %q", file, what, found)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

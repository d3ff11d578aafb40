// Package deptest holds the rules of import as a test, with the reason beside
// each, so that the plan of the house is kept by `go test ./...` and by nobody's memory.
//
// A folder's root is the contract: types and rules, and no socket, disk or
// database. Its sub-folders carry it out. Below imports above and never the other way,
// siblings do not import each other, and only cmd sees both sides. The rules
// bind the files of the product; tests may import what they test with.
//
// Change a rule and its reason in the same change as the code that needs it.
package deptest

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// module is what our own import paths begin with.
const module = "berth"

// topLevel are the folders of the tree. A new one is a new noun of the product, and is
// decided in docs/decisions first.
var topLevel = map[string]string{
	".ci":        "what continuous integration runs",
	"agent":      "what runs in RAM on a machine",
	"api":        "the promise to programs, and the Go client",
	"bmc":        "management controllers",
	"changelog":  "one file per change that users notice",
	"cmd":        "the binaries",
	"docs":       "what people read",
	"internal":   "the lab, the builds of boot files and images, and tests across packages",
	"inventory":  "the record",
	"migrations": "the record's SQL",
	"provision":  "operations on machines",
	"pxe":        "booting machines",
	"storage":    "disks, images and storage clusters",
	"web":        "the HTTP server",
}

// rule says which of our own packages those matching a pattern may import. A pattern
// is an import path without the module; one that ends in /... stands for the packages
// below it, without the folder itself. The first rule that matches is taken.
type rule struct {
	pattern string
	may     []string
	why     string
}

// roots are the pure contracts; provision is one too, but runs an engine.
var roots = []string{"inventory", "pxe", "bmc", "storage"}

// services are what can be done to the record beside editing it: functions over its transactions, without sockets or databases.
var services = []string{"inventory/logistics", "inventory/carrier", "inventory/claims", "inventory/finance", "inventory/paper", "inventory/blob",
	"inventory/elevation", "inventory/label", "inventory/importer", "inventory/text", "inventory/notify", "inventory/placement", "inventory/stocktake"}

var ownRules = []rule{
	{"inventory", nil, "the record is pure: it is checked, stored and sent by others"},
	{"pxe", nil, "what a machine should boot is decided from facts handed in"},
	{"bmc", nil, "the contract of a management controller knows no machine but its own"},
	{"storage", []string{"inventory"}, "a disk plan is made from recorded disks"},
	{"migrations", nil, "SQL and the embedding of it"},
	{"inventory/store", []string{"inventory", "migrations"}, "keeps the record in SQL"},
	{"inventory/paper", []string{"inventory"}, "sets a page as PDF; papers of every kind are printed with it"},
	{"inventory/notify/...", []string{"inventory", "inventory/notify"}, "carries messages out for notify: one speaks HTTP, one SMTP"},
	{"inventory/...", []string{"inventory", "inventory/paper"}, "carries the record out; siblings meet in web and cmd"},
	{"pxe/...", []string{"pxe"}, "moves bytes on the wire and asks the contract what to send; it has never heard of a rack"},
	{"bmc/...", []string{"bmc"}, "a driver speaks one protocol behind the contract"},
	{"storage/image", []string{"storage"}, "the image format, used by the server and by the agent"},
	{"storage/disk", []string{"storage", "inventory", "storage/image"}, "writes images to disks that a plan names"},
	{"storage/osd", []string{"storage", "inventory", "storage/image"}, "the local side of an OSD, linked by the agent"},
	{"storage/ceph", []string{"storage", "inventory"}, "a storage cluster behind the contract; cgo stays in here"},
	{"provision", append([]string{"api", "inventory/logistics", "inventory/finance", "inventory/placement"}, roots...), "joins the four roots and declares the interfaces it needs in their types; requests and the agent's assignments come in the words of the API, of which there is one set; a first boot verifies a line of a packing list and ends a move, and an accepted machine is what a donation announced"},
	{"provision/kube", []string{"inventory", "provision"}, "the nodes of a Kubernetes cluster, for reimage plans"},
	{"api", []string{"inventory", "storage"}, "nouns are their own wire types; only actions have types of their own"},
	{"web", slices.Concat([]string{"provision", "api", "web/..."}, services, roots), "answers people and agents from the contracts; no SQL, no sockets of machines"},
	{"web/...", append([]string{"provision", "api"}, roots...), "parts of the HTTP server"},
	{"agent", []string{"api", "inventory", "storage", "storage/disk", "storage/image", "storage/osd", "agent/..."}, "obeys the server through its API and writes disks; it is small, static, and knows no database"},
	{"agent/...", []string{"agent", "api", "inventory", "storage", "storage/disk", "storage/image", "storage/osd"}, "parts of the agent"},
	{"internal/lab", []string{"api", "internal/lab/..."}, "a virtual rack that shares no code with the drivers it proves, so that the two can disagree"},
	{"internal/lab/...", []string{"api", "internal/lab", "internal/lab/..."}, "parts of the lab"},
	{"internal/e2e", []string{"api", "internal/lab"}, "stories on the built binaries"},
	{"internal/bench", []string{"api", "inventory", "internal/lab"}, "loads on the built binaries, in the words of the API"},
	{"internal/bench/...", []string{"api", "inventory", "internal/bench", "internal/lab", "internal/lab/...", "internal/pgtest"}, "measurements of the built binaries, in the words of the API, on a database of their own"},
	{"internal/devseed", []string{"inventory"}, "plausible machines for a trial, made by the record's own rules"},
	{"internal/newtable", []string{"inventory"}, "prints the tables of nouns, for who writes a migration"},
	{"internal/...", []string{"internal/debian", "internal/buildcache"}, "programs of the build stand beside the product"},
	{"cmd/berth-agent", []string{"agent", "agent/...", "api", "inventory"}, "a few lines around the agent, which hands it the kernel in the words of the API"},
	{"cmd/berth", append([]string{
		"provision", "api", "web", "migrations", "internal/lab", "internal/lab/...", "internal/devseed",
		"inventory/...", "pxe/...", "bmc/...", "storage/...", "provision/...",
	}, roots...), "constructs everything; the agent runs elsewhere"},
}

// theirRule says where a package of others may be imported: below which of our folders.
type theirRule struct {
	path  string // the import path, or what it begins with up to a slash or a dot
	where []string
	why   string
}

var theirRules = []theirRule{
	{"gorm.io", []string{"inventory/store"}, "one package speaks SQL"},
	{"github.com/jackc/pgx", []string{"inventory/store"}, "one package speaks SQL"},
	{"github.com/pressly/goose", []string{"inventory/store"}, "one package speaks SQL"},
	{"github.com/glebarez", []string{"inventory/store"}, "one package speaks SQL"},
	{"database/sql", []string{"inventory/store"}, "one package speaks SQL"},
	{"github.com/danielgtaylor/huma", []string{"web"}, "the shape of REST is the server's business"},
	{"github.com/bmc-toolbox", []string{"bmc"}, "its faults are corrected in one place"},
	{"github.com/stmcginnis/gofish", []string{"bmc"}, "the lab must not share code with the drivers"},
	{"github.com/bougou/go-ipmi", []string{"bmc", "internal/lab"}, "the driver's client, and the lab's server of another package of it"},
	{"k8s.io", []string{"provision/kube"}, "a foreign schema is translated at the door"},
	{"github.com/ceph", []string{"storage/ceph"}, "cgo stays behind one build tag"},
	{"C", []string{"storage/ceph"}, "the other packages are static"},
	{"os/exec", []string{"storage/disk", "storage/osd", "pxe/media", "internal"}, "programs are run where there is no library, and nowhere near a request"},
	{"github.com/pin/tftp", []string{"pxe/tftp", "internal"}, "the engine stays behind a small interface"},
	{"github.com/insomniacslk/dhcp", []string{"pxe/dhcp", "agent", "internal"}, "packets are read at the wire"},
	{"github.com/spf13/cobra", []string{"cmd"}, "flags are read in cmd and nowhere else"},
	{"github.com/knadh/koanf", []string{"cmd"}, "settings are read in cmd and nowhere else"},
	{"github.com/xuri", []string{"inventory/importer"}, "a workbook is read at the door"},
	{"github.com/go-pdf", []string{"inventory/paper", "inventory/label"}, "what is printed is set in two places: papers, and labels to the millimetre"},
	{"github.com/skip2", []string{"inventory/label"}, "codes are for labels"},
	{"github.com/chromedp", []string{"internal"}, "a browser belongs to tests"},
	{"testing", []string{"bmc/bmctest", "agent/agenttest", "internal"}, "test helpers do not belong in the product"},
}

// impure are standard packages that a pure root has no use for. The package net is not
// among them for the sake of its address types.
var impure = []string{"os", "os/exec", "net/http", "database/sql", "syscall", "net/rpc", "log"}

// source is one of our packages: its path below the module and what its files
// import, with one file to name for each import.
type source struct {
	path    string
	imports map[string]string
}

// load reads the imports of every package below root, test files left out. All
// files count, whatever their build tags.
func load(root string) ([]source, error) {
	packages := map[string]source{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(root, file, d.Name())
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return fmt.Errorf("read the imports of %s: %w", rel, err)
		}
		dir := filepath.ToSlash(filepath.Dir(rel))
		if _, ok := packages[dir]; !ok {
			packages[dir] = source{path: dir, imports: map[string]string{}}
		}
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			packages[dir].imports[name] = rel
		}
		return nil
	})
	var list []source
	for _, p := range packages {
		list = append(list, p)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].path < list[j].path })
	return list, err
}

// skip leaves out what is no source of ours: version control, what was built,
// and the state of a server tried in the tree.
func skip(root, dir, name string) error {
	if dir == root {
		return nil
	}
	switch {
	case name == "testdata", name == "vendor", name == "node_modules":
		return filepath.SkipDir
	case filepath.Dir(dir) == root && (name == "build" || name == "var"):
		return filepath.SkipDir
	case strings.HasPrefix(name, ".") && name != ".ci":
		return filepath.SkipDir
	}
	return nil
}

// check returns a sentence for each import that a rule forbids.
func check(packages []source) []string {
	var faults []string
	for _, p := range packages {
		own, ok := find(p.path)
		if !ok {
			faults = append(faults, fmt.Sprintf("%s is in no rule of internal/deptest: say there what it may import, and why", p.path))
			continue
		}
		for _, name := range sortedKeys(p.imports) {
			if fault := judge(p.path, name, own); fault != "" {
				faults = append(faults, p.imports[name]+": "+fault)
			}
		}
	}
	return faults
}

// judge returns why the package from may not import name, or nothing.
func judge(from, name string, own rule) string {
	if below, ours := strings.CutPrefix(name, module+"/"); ours {
		for _, pattern := range own.may {
			if matches(pattern, below) {
				return ""
			}
		}
		return fmt.Sprintf("%s may not import %s; it %s", from, name, may(own))
	}
	if isPure(from) {
		if contains(impure, name) {
			return fmt.Sprintf("%s may not import %s: a root holds types and rules and touches no socket, disk or database", from, name)
		}
		if strings.Contains(strings.Split(name, "/")[0], ".") {
			return fmt.Sprintf("%s may not import %s: a root imports the standard library only", from, name)
		}
	}
	for _, r := range theirRules {
		if begins(name, r.path) && !below(from, r.where) {
			return fmt.Sprintf("%s may not import %s, which is for %s: %s", from, name, strings.Join(r.where, ", "), r.why)
		}
	}
	return ""
}

func may(r rule) string {
	if len(r.may) == 0 {
		return "imports nothing of ours: " + r.why
	}
	return "may import " + strings.Join(r.may, ", ") + ": " + r.why
}

func find(pkg string) (rule, bool) {
	for _, r := range ownRules {
		if matches(r.pattern, pkg) {
			return r, true
		}
	}
	return rule{}, false
}

// matches reports whether a pattern stands for a package. "a/..." stands for what is
// below a.
func matches(pattern, pkg string) bool {
	if folder, ok := strings.CutSuffix(pattern, "/..."); ok {
		return strings.HasPrefix(pkg, folder+"/")
	}
	return pkg == pattern
}

// isPure reports whether a package is one of the four roots.
func isPure(pkg string) bool { return contains(roots, pkg) }

// begins reports whether an import path is the given one or, for the module of
// others, below it: gorm.io covers gorm.io/gorm. A standard package stands for itself alone:
// database/sql/driver is an interface that a value may satisfy.
func begins(name, prefix string) bool {
	return name == prefix || strings.Contains(prefix, ".") && strings.HasPrefix(name, prefix+"/")
}

func below(pkg string, folders []string) bool {
	for _, f := range folders {
		if pkg == f || strings.HasPrefix(pkg, path.Clean(f)+"/") {
			return true
		}
	}
	return false
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

package boot

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Catalog is what depmod wrote about the modules of a kernel: which there are, what each needs, and what hardware each drives.
type Catalog struct {
	// needs maps the name of a module to itself and what it needs, in the order of modules.dep: itself first.
	needs map[string][]string
	// aliases are patterns by the start of their literal part, so that few of the 20,000 are compared with any one device.
	aliases map[string][]alias
	builtin map[string]bool
}

type alias struct{ pattern, module string }

// aliasKey is how much of the literal start of a pattern is looked up: "pci:v00008086" distinguishes vendors.
const aliasKey = 13

// ParseCatalog reads the contents of modules.dep, modules.alias and modules.builtin.
func ParseCatalog(dep, aliases, builtin []byte) *Catalog {
	c := &Catalog{needs: map[string][]string{}, aliases: map[string][]alias{}, builtin: map[string]bool{}}
	for line := range bytes.Lines(dep) {
		file, needs, ok := strings.Cut(strings.TrimSpace(string(line)), ":")
		if ok {
			c.needs[moduleName(file)] = append([]string{file}, strings.Fields(needs)...)
		}
	}
	for line := range bytes.Lines(aliases) {
		fields := strings.Fields(string(line))
		if len(fields) == 3 && fields[0] == "alias" {
			key := literal(fields[1])
			c.aliases[key] = append(c.aliases[key], alias{pattern: fields[1], module: normal(fields[2])})
		}
	}
	for line := range bytes.Lines(builtin) {
		c.builtin[moduleName(strings.TrimSpace(string(line)))] = true
	}
	return c
}

// moduleName is how the kernel calls the module in a file: no folder, no ending, underscores.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return normal(name)
}

func normal(name string) string { return strings.ReplaceAll(name, "-", "_") }

// literal is the start of a pattern up to its first wildcard, no longer than aliasKey.
func literal(pattern string) string {
	if end := strings.IndexAny(pattern, "*?["); end >= 0 {
		pattern = pattern[:end]
	}
	return pattern[:min(len(pattern), aliasKey)]
}

// Match returns the modules that drive the device with this modalias, each once.
func (c *Catalog) Match(modalias string) []string {
	var names []string
	for size := min(len(modalias), aliasKey); size >= 0; size-- {
		for _, a := range c.aliases[modalias[:size]] {
			if glob(a.pattern, modalias) && !slices.Contains(names, a.module) {
				names = append(names, a.module)
			}
		}
	}
	return names
}

// Order returns the files to load for a module, what it needs first, or nil when it is built in or not there.
func (c *Catalog) Order(name string) []string {
	files := slices.Clone(c.needs[normal(name)])
	slices.Reverse(files)
	return files
}

// glob is fnmatch(3) with no flags: *, ? and [sets]. Patterns come from the kernel's own files, names from the hardware.
func glob(pattern, name string) bool {
	star, from := -1, 0
	p, n := 0, 0
	for n < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			star, from = p, n
			p++
			continue
		}
		if width := matchOne(pattern[p:], name[n]); width > 0 {
			p += width
			n++
			continue
		}
		if star < 0 {
			return false
		}
		from++
		p, n = star+1, from
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne returns how much of the pattern's start matches the one byte, 0 if it does not.
func matchOne(pattern string, b byte) int {
	if pattern == "" {
		return 0
	}
	switch pattern[0] {
	case '?':
		return 1
	case '[':
		end := strings.IndexByte(pattern, ']')
		if end < 0 || !inSet(pattern[1:end], b) {
			return 0
		}
		return end + 1
	}
	if pattern[0] == b {
		return 1
	}
	return 0
}

func inSet(set string, b byte) bool {
	for i := 0; i < len(set); i++ {
		if i+2 < len(set) && set[i+1] == '-' {
			if set[i] <= b && b <= set[i+2] {
				return true
			}
			i += 2
			continue
		}
		if set[i] == b {
			return true
		}
	}
	return false
}

// Modules loads modules of the running kernel, each once. It may be used by several goroutines: a driver that waits for its device
// holds up only those that need it.
type Modules struct {
	Catalog *Catalog
	// Dir is where the files of modules.dep are, /lib/modules/<release>.
	Dir string

	mu    sync.Mutex
	files map[string]func() error // by file; the function loads it at its first call
}

// OpenModules reads the catalog of the running kernel below root.
func OpenModules(root string) (*Modules, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return nil, fmt.Errorf("ask for the kernel's release: %w", err)
	}
	dir := filepath.Join(root, "lib/modules", unix.ByteSliceToString(name.Release[:]))
	dep, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, fmt.Errorf("read what drivers there are: %w", err)
	}
	aliases, err := os.ReadFile(filepath.Join(dir, "modules.alias"))
	if err != nil {
		return nil, fmt.Errorf("read what drivers drive: %w", err)
	}
	builtin, _ := os.ReadFile(filepath.Join(dir, "modules.builtin")) // only saves attempts
	return &Modules{Catalog: ParseCatalog(dep, aliases, builtin), Dir: dir}, nil
}

// Load loads a module and what it needs. A module that is built in or not in the catalog is no error: a kernel without a driver is
// seen by the device that is missing.
func (m *Modules) Load(name string) error {
	for _, file := range m.Catalog.Order(name) {
		// A dependency that refuses may not be needed (crc32c_intel on a processor without it): the module itself tells.
		if err := m.once(file)(); err != nil && moduleName(file) == normal(name) {
			return fmt.Errorf("load %s: %w", name, err)
		}
	}
	return nil
}

func (m *Modules) once(file string) func() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files == nil {
		m.files = map[string]func() error{}
	}
	if m.files[file] == nil {
		m.files[file] = sync.OnceValue(func() error { return insertModule(filepath.Join(m.Dir, file)) })
	}
	return m.files[file]
}

// insertModule hands a module to the kernel, which unpacks those that depmod's distribution compressed if it was built to.
func insertModule(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := 0
	if !strings.HasSuffix(file, ".ko") {
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}
	switch err := unix.FinitModule(int(f.Fd()), "", flags); err {
	case nil, unix.EEXIST:
		return nil
	default:
		return err
	}
}

// Package debian fetches packages from the Debian archive that this machine is
// already set up to use, without installing them: a kernel of another
// architecture, boot loaders of a newer suite.
//
// It drives apt-get with lists, cache and status of its own, so the machine's
// packages are neither looked at nor changed, and takes the archive's address and
// apt's proxy settings from the machine's configuration. Signatures are
// checked by apt against Debian's keyring.
package debian

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// Source is one line of apt's configuration: a suite at an address.
type Source struct {
	URI   string
	Suite string // as configured: bookworm, bookworm-security
}

// String is the source in the one-line format of sources.list(5).
func (s Source) String() string {
	return fmt.Sprintf("deb [signed-by=%s] %s %s main", keyring, s.URI, s.Suite)
}

// HostCodename is the code name of the Debian release that runs here.
func HostCodename() (string, error) {
	raw, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(raw)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return strings.Trim(name, `"`), nil
		}
	}
	return "", errors.New("/etc/os-release names no release; this build needs Debian")
}

// HostSources are the Debian suites that this machine's apt is configured for:
// the release itself, its updates and its security fixes. Other vendors' archives
// are left out. scratch is a directory apt may write to when the machine
// has no package lists, as in a fresh container.
func HostSources(ctx context.Context, codename, scratch string) ([]Source, error) {
	sources, err := indexTargets(ctx, codename)
	if err != nil || len(sources) > 0 {
		return sources, err
	}
	lists := filepath.Join(scratch, "host-lists")
	if err := os.MkdirAll(filepath.Join(lists, "partial"), 0o755); err != nil {
		return nil, err
	}
	// A third party's archive that is down must not stop us, so the error of the
	// update is shown only when Debian's own lists are missing afterwards.
	_, updateErr := run(ctx, "apt-get", "update", "-qq", "-o", "Dir::State::lists="+lists, "-o", "APT::Sandbox::User=root")
	sources, err = indexTargets(ctx, codename, "-o", "Dir::State::lists="+lists)
	if err == nil && len(sources) == 0 {
		err = errors.Join(fmt.Errorf("apt here is configured for no Debian suite %q", codename), updateErr)
	}
	return sources, err
}

func indexTargets(ctx context.Context, codename string, options ...string) ([]Source, error) {
	args := append([]string{"indextargets", "--format", "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(CODENAME)|$(COMPONENT)"}, options...)
	out, err := run(ctx, "apt-get", args...)
	if err != nil {
		return nil, err
	}
	return parseTargets(out, codename), nil
}

// parseTargets reads lines of origin, address, suite, code name and component,
// which apt repeats for each kind of index.
func parseTargets(out []byte, codename string) []Source {
	seen := map[Source]bool{}
	var sources []Source
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "|")
		if len(f) != 5 || f[0] != "Debian" || f[4] != "main" {
			continue
		}
		if f[3] != codename && f[3] != codename+"-updates" && f[3] != codename+"-security" {
			continue
		}
		s := Source{URI: f[1], Suite: f[2]}
		if !seen[s] {
			seen[s] = true
			sources = append(sources, s)
		}
	}
	return sources
}

// Next rewrites the sources of one release to those of another, for the main
// suite alone: what is taken from a newer release is a file or two.
func Next(sources []Source, codename, next string) []Source {
	for _, s := range sources {
		if s.Suite == codename {
			return []Source{{URI: s.URI, Suite: next}}
		}
	}
	return nil
}

// Archive is apt-get with a state of its own for some sources and one architecture.
type Archive struct {
	dir  string
	opts []string
}

// Open prepares an archive in dir and fetches its package lists. arch is
// Debian's name: amd64, arm64.
func Open(ctx context.Context, dir string, sources []Source, arch string) (*Archive, error) {
	if len(sources) == 0 {
		return nil, errors.New("no Debian archive to fetch from")
	}
	for _, sub := range []string{"lists/partial", "cache/archives/partial", "deb"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	var list bytes.Buffer
	for _, s := range sources {
		fmt.Fprintln(&list, s)
	}
	sourceList, status := filepath.Join(dir, "sources.list"), filepath.Join(dir, "status")
	if err := errors.Join(os.WriteFile(sourceList, list.Bytes(), 0o644), os.WriteFile(status, nil, 0o644)); err != nil {
		return nil, err
	}
	a := &Archive{dir: dir}
	for _, o := range []string{
		"Dir::Etc::sourcelist=" + sourceList,
		"Dir::Etc::sourceparts=/dev/null",
		"Dir::Etc::preferences=/dev/null",
		"Dir::Etc::preferencesparts=/dev/null",
		"Dir::State::lists=" + filepath.Join(dir, "lists"),
		"Dir::State::status=" + status,
		"Dir::Cache=" + filepath.Join(dir, "cache"),
		"APT::Architecture=" + arch,
		"APT::Architectures=" + arch,
		"APT::Sandbox::User=root", // the private directories belong to who builds
		"Acquire::Languages=none",
		"Acquire::Retries=3",
		"Acquire::http::Timeout=60",
	} {
		a.opts = append(a.opts, "-o", o)
	}
	if _, err := a.apt(ctx, "apt-get", "update", "-qq"); err != nil {
		return nil, fmt.Errorf("fetch package lists of %s for %s: %w", sources[0].Suite, arch, err)
	}
	return a, nil
}

// Depends lists the packages that pkg names in its Depends field, first
// alternatives only. A metapackage such as linux-image-amd64 is resolved by it.
func (a *Archive) Depends(ctx context.Context, pkg string) ([]string, error) {
	out, err := a.apt(ctx, "apt-cache", "show", "--no-all-versions", pkg)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", pkg, err)
	}
	return parseDepends(out), nil
}

func parseDepends(stanza []byte) []string {
	var names []string
	for scan := bufio.NewScanner(bytes.NewReader(stanza)); scan.Scan(); {
		value, ok := strings.CutPrefix(scan.Text(), "Depends: ")
		if !ok {
			continue
		}
		for _, dep := range strings.Split(value, ",") {
			if name := strings.FieldsFunc(dep, func(r rune) bool { return strings.ContainsRune(" (|:", r) }); len(name) > 0 {
				names = append(names, name[0])
			}
		}
	}
	return names
}

// Download fetches packages and returns their files, sorted by name. They stay in
// the archive's directory.
func (a *Archive) Download(ctx context.Context, pkgs ...string) ([]string, error) {
	dir, err := os.MkdirTemp(filepath.Join(a.dir, "deb"), "")
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "apt-get", append(append([]string{"download", "-qq"}, a.opts...), pkgs...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("download %s: %w: %s", strings.Join(pkgs, " "), err, tail(out))
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err == nil && len(files) != len(pkgs) {
		err = fmt.Errorf("download %s: got %d files", strings.Join(pkgs, " "), len(files))
	}
	sort.Strings(files)
	return files, err
}

// Unpack extracts a package's files below dir. No script of it is run.
func Unpack(ctx context.Context, deb, dir string) error {
	_, err := run(ctx, "dpkg-deb", "--extract", deb, dir)
	return err
}

// Version is the version in the name of a package file.
func Version(deb string) string {
	parts := strings.Split(strings.TrimSuffix(filepath.Base(deb), ".deb"), "_")
	if len(parts) < 2 {
		return "unknown"
	}
	return strings.ReplaceAll(parts[1], "%3a", ":")
}

func (a *Archive) apt(ctx context.Context, program string, args ...string) ([]byte, error) {
	return run(ctx, program, append(args, a.opts...)...)
}

func run(ctx context.Context, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s %s: %w: %s", program, args[0], err, tail(stderr.Bytes()))
	}
	return out, nil
}

// tail keeps the end of a program's output, where it says what went wrong.
func tail(out []byte) string {
	const limit = 2000
	if len(out) > limit {
		out = out[len(out)-limit:]
	}
	return strings.TrimSpace(string(out))
}

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// sparseFile counts what is written, as a file system allocates it.
type sparseFile struct {
	*os.File
	written int
}

func (s *sparseFile) WriteAt(b []byte, off int64) (int, error) {
	s.written += len(b)
	return s.File.WriteAt(b, off)
}

func TestCopySparse(t *testing.T) {
	content := make([]byte, 1<<20)
	copy(content[100:], "begin")
	copy(content[700<<10:], "middle")
	content = append(content, "an end off the grid"...)
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const offset = 4096
	if err := f.Truncate(int64(offset + len(content))); err != nil {
		t.Fatal(err)
	}
	dst := &sparseFile{File: f}
	if err := copySparse(dst, offset, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[offset:], content) {
		t.Error("the copy differs")
	}
	if dst.written > 256<<10 {
		t.Errorf("wrote %d bytes for three blocks of data", dst.written)
	}
}

func TestRootSizeLeavesRoom(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(root, name), make([]byte, 10<<20), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	size, err := rootSize(root)
	if err != nil {
		t.Fatal(err)
	}
	if size%(1<<20) != 0 || size < 130<<20 || size > 300<<20 {
		t.Errorf("30 MiB of files get a file system of %d bytes", size)
	}
}

func TestOverlay(t *testing.T) {
	root := t.TempDir()
	if err := copyOverlay(root); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(root, "etc/cloud/cloud.cfg.d/90_berth.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	var cfg struct {
		Sources []string `yaml:"datasource_list"`
		Init    []string `yaml:"cloud_init_modules"`
		Config  []string `yaml:"cloud_config_modules"`
		Final   []string `yaml:"cloud_final_modules"`
	}
	if err := yaml.Unmarshal(raw, &cfg); err != nil {
		t.Fatal(err)
	}
	if len(cfg.Sources) == 0 || cfg.Sources[0] != "NoCloud" {
		t.Errorf("looks for its seed in %q", cfg.Sources)
	}
	// The stage in the middle is masked, so a module in its list would never run.
	if len(cfg.Config) != 0 || !strings.Contains(configure, "cloud-config.service") {
		t.Errorf("the masked stage is to run %q", cfg.Config)
	}
	for module, list := range map[string][]string{
		"write-files": cfg.Init, "set_hostname": cfg.Init, "users-groups": cfg.Init, "ssh": cfg.Init,
		"runcmd": cfg.Final, "scripts-user": cfg.Final, "ntp": cfg.Final,
	} {
		if !strings.Contains(" "+strings.Join(list, " ")+" ", " "+module+" ") {
			t.Errorf("a seed with %s would be ignored", module)
		}
	}
	info, err := os.Stat(filepath.Join(root, "usr/local/lib/berth/wait-online"))
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("wait-online: %v, %v", info, err)
	}
}

// GRUB's language is not the shell's, and a machine that stops at its prompt says
// little.
func TestBootScript(t *testing.T) {
	const checker = "grub-script-check" // of the package that the build needs anyway
	if _, err := exec.LookPath(checker); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("CI never skips: %v", err)
		}
		t.Skipf("SKIPPED: GRUB's script is NOT checked: %v", err)
	}
	if out, err := exec.Command(checker, "root/boot/grub/grub.cfg").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

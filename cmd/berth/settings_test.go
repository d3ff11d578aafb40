package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"
)

// The sample configuration names every setting, and no other, and loads.
func TestTheSampleConfigurationIsWhole(t *testing.T) {
	text, err := os.ReadFile("../../docs/berth.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var sample map[string]any
	if err := yaml.Unmarshal(text, &sample); err != nil {
		t.Fatal(err)
	}
	c := serveCommand()
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if _, ok := sample[f.Name]; !ok && f.Name != "config" && f.Name != "help" {
			t.Errorf("the sample lacks %s", f.Name)
		}
	})
	if err := applySettings(c, "../../docs/berth.yaml"); err != nil {
		t.Errorf("the sample does not load: %v", err)
	}
}

func TestSettingsGoByCommandLineThenEnvironmentThenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "berth.yaml")
	if err := os.WriteFile(file, []byte("http: file:1\nboot: file:2\ndata: file\ninterface: [a, b]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BERTH_HTTP", "environment:1")
	t.Setenv("BERTH_BOOT", "environment:2")
	c := serveCommand()
	if err := c.ParseFlags([]string{"--http", "line:1"}); err != nil {
		t.Fatal(err)
	}
	if err := applySettings(c, file); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"http": "line:1", "boot": "environment:2", "data": "file", "interface": "[a,b]", "dhcp": "listen"} {
		if got := c.Flags().Lookup(name).Value.String(); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestAMistypedSettingIsAnError(t *testing.T) {
	for text, want := range map[string]string{
		"htpp: :1\n":          "there is no setting htpp",
		"enrol: perhaps\n":    "enrol",
		"[1, 2]\n":            "read the configuration",
		"http: [1\n":          "read the configuration",
		"config: other.yml\n": "",
	} {
		file := filepath.Join(t.TempDir(), "berth.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := applySettings(serveCommand(), file)
		if want == "" {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What the server cannot do, it refuses with a sentence and the right exit code.
func TestServeRefusesWhatItCannotDo(t *testing.T) {
	dir := t.TempDir()
	for name, args := range map[string][]string{
		"no such network interface": {"--interface", "nonesuch0", "--dhcp", "listen"},
		"want server, proxy":        {"--dhcp", "loud"},
		"parse pool":                {"--pool", "10.0.0.9-10.0.0.1"},
		"go together":               {"--tls-cert", "x.pem"},
		"needs an --interface":      {"--dhcp", "server"},
		"--http 127.0.0.1:1:1":      {"--http", "127.0.0.1:1:1"},
	} {
		err := execute(append([]string{"serve", "--data", filepath.Join(dir, "data")}, args...))
		if err == nil {
			t.Errorf("%s: it started", name)
			continue
		}
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func execute(args []string) error {
	c := command()
	c.SetArgs(args)
	return c.Execute()
}

// Secrets never stand on a command line.
func TestSecretsAreReadFromFilesOnly(t *testing.T) {
	if _, err := readSecret("hunter2"); err == nil {
		t.Error("a secret on the command line was taken")
	}
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readSecret("@" + file); err != nil || got != "hunter2" {
		t.Errorf("%q, %v", got, err)
	}
}

// What a machine says of itself does not speak to the terminal.
func TestTablesAreSafeForTerminals(t *testing.T) {
	var b strings.Builder
	if err := table(&b, []string{"serial"}, [][]string{{"\x1b]0;owned\x07SN\u009b1m"}}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\x07\u009b") {
		t.Errorf("%q", b.String())
	}
}

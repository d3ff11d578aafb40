package debian

import (
	"reflect"
	"testing"
)

func TestParseTargets(t *testing.T) {
	// As apt-get prints them on a machine with other vendors' archives: each
	// suite once per kind of index.
	out := []byte(`Debian|http://mirror.example/debian/|bookworm|bookworm|main
Debian|http://mirror.example/debian/|bookworm|bookworm|main
Debian|http://mirror.example/debian/|bookworm|bookworm|contrib
Debian|http://mirror.example/debian/|bookworm-updates|bookworm-updates|main
Debian|http://mirror.example/debian-security/|bookworm-security|bookworm-security|main
Debian Backports|http://mirror.example/debian/|bookworm-backports|bookworm-backports|main
HashiCorp|http://vendor.example/|bookworm|bookworm|main
Debian|http://mirror.example/debian/|trixie|trixie|main

`)
	want := []Source{
		{"http://mirror.example/debian/", "bookworm"},
		{"http://mirror.example/debian/", "bookworm-updates"},
		{"http://mirror.example/debian-security/", "bookworm-security"},
	}
	if got := parseTargets(out, "bookworm"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	// A source may name the suite and not the release.
	stable := []byte("Debian|http://mirror.example/debian/|oldstable|bookworm|main\n")
	if got := parseTargets(stable, "bookworm"); len(got) != 1 || got[0].Suite != "oldstable" {
		t.Errorf("a source by suite: got %v", got)
	}
}

func TestNext(t *testing.T) {
	sources := []Source{
		{"http://mirror.example/debian-security/", "bookworm-security"},
		{"http://mirror.example/debian/", "bookworm"},
	}
	want := []Source{{"http://mirror.example/debian/", "trixie"}}
	if got := Next(sources, "bookworm", "trixie"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestParseDepends(t *testing.T) {
	stanza := []byte(`Package: linux-image-amd64
Depends: linux-image-6.1.0-56-amd64 (= 6.1.192-2), initramfs-tools (>= 0.120) | linux-initramfs-tool, python3:any
Description: Linux for 64-bit PCs
`)
	want := []string{"linux-image-6.1.0-56-amd64", "initramfs-tools", "python3"}
	if got := parseDepends(stanza); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestVersion(t *testing.T) {
	for file, want := range map[string]string{
		"/x/ipxe_1.21.1+git20250501-1_all.deb": "1.21.1+git20250501-1",
		"dbus_1%3a1.14-2_amd64.deb":            "1:1.14-2",
		"odd.deb":                              "unknown",
	} {
		if got := Version(file); got != want {
			t.Errorf("%s: got %s, want %s", file, got, want)
		}
	}
}

package inventory

import "strings"

// Image is an entry of the catalogue. Its bytes are kept by digest under the state directory (storage/image).
type Image struct {
	Meta
	Name        string `json:"name" berth:"list,filter,search,required" help:"Name and version, for example debian-12-20261101."`
	OS          string `json:"os" berth:"list,filter,search"`
	Version     string `json:"version" berth:"list,filter,search"`
	Arch        string `json:"arch" berth:"list,filter,enum=|amd64|arm64"`
	Format      string `json:"format" berth:"readonly,enum=raw|qcow2" help:"What was imported; a stored fact, never guessed again."`
	Digest      string `json:"digest" berth:"list,filter,search,readonly" help:"sha256:… of the raw image"`
	TreeHash    string `json:"tree_hash" berth:"readonly"`
	SizeBytes   int64  `json:"size_bytes" berth:"list,readonly,unit=B"`
	StoredBytes int64  `json:"stored_bytes" berth:"readonly,unit=B"`
	State       string `json:"state" berth:"list,filter,readonly,enum=importing|ready|failed|missing"`
	Problem     string `json:"problem" berth:"readonly"`
	// Verified is false for an import from a URL without a digest: only an admin may deploy it.
	Verified    bool     `json:"verified" berth:"list,filter,readonly"`
	Source      string   `json:"source" berth:"readonly"`
	BootModes   []string `json:"boot_modes" gorm:"serializer:json" help:"bios, uefi; empty is both"`
	Description string   `json:"description" berth:"long"`
}

// Profile says what a machine is for.
type Profile struct {
	Meta
	Name string `json:"name" berth:"list,filter,search,required"`
	Slug string `json:"slug" berth:"list,filter,search,required"`
	Role string `json:"role" berth:"list,filter" help:"The device role it gives."`
	// Image is what is deployed when nobody chooses.
	Image            UID      `json:"image" berth:"list,filter,ref=image"`
	HostnameTemplate string   `json:"hostname_template" help:"{name} is the machine's name; {name}.example.org is typical."`
	User             string   `json:"user" help:"The account that gets the SSH keys; the image's default user when empty."`
	SSHKeys          []string `json:"ssh_keys" gorm:"serializer:json" berth:"long"`
	DNS              []string `json:"dns" gorm:"serializer:json"`
	NTP              []string `json:"ntp" gorm:"serializer:json"`
	// Network says how links get addresses: dhcp on the boot port, dhcp on all, or static from the record's addresses.
	Network string `json:"network" berth:"enum=dhcp-boot|dhcp-all|static"`
	// UserData is merged under what berth writes itself: a #cloud-config document.
	UserData    string `json:"user_data" berth:"long" help:"A #cloud-config document, merged below what berth sets."`
	Description string `json:"description" berth:"long"`
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (i *Image) Check() error {
	bad := &findings{noun: "image"}
	if i.Name != "" && (len(i.Name) > 200 || !imageForm.MatchString(i.Name)) {
		bad.add("name", "may hold letters, digits and . _ + - only, at most 200, and begins with a letter or digit")
	}
	setDefault(&i.Format, "raw")
	setDefault(&i.State, "importing")
	if i.Digest != "" && !digestForm.MatchString(i.Digest) {
		bad.add("digest", "is sha256: and 64 hexadecimal digits in lower case")
	}
	if i.SizeBytes < 0 || i.StoredBytes < 0 {
		bad.add("size_bytes", "cannot be negative")
	}
	for _, mode := range i.BootModes {
		if mode != "bios" && mode != "uefi" {
			bad.add("boot_modes", "are bios and uefi")
		}
	}
	return bad.err()
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (p *Profile) Check() error {
	bad := &findings{noun: "profile"}
	settleSlug(&p.Slug, p.Name, bad)
	setDefault(&p.Network, "dhcp-boot")
	if p.HostnameTemplate != "" {
		if why := hostProblem(strings.ToLower(strings.ReplaceAll(p.HostnameTemplate, "{name}", "name"))); why != "" {
			bad.add("hostname_template", "%s", why)
		}
	}
	if p.User != "" && !userForm.MatchString(p.User) {
		bad.add("user", "is a login of at most 32 lower-case letters, digits, - and _")
	}
	for _, key := range p.SSHKeys {
		if !sshKey(key) {
			bad.add("ssh_keys", "%q is not a public key in the form of authorized_keys", abbreviate(key, 40))
		}
	}
	judgeServers("dns", p.DNS, false, bad)
	judgeServers("ntp", p.NTP, true, bad)
	if p.UserData != "" && !strings.HasPrefix(p.UserData, "#cloud-config") {
		bad.add("user_data", "must begin with #cloud-config")
	}
	return bad.err()
}

// sshKey tells whether a line looks like a public key: its type, its base64, a comment. A private key is never one.
func sshKey(line string) bool {
	words := strings.Fields(line)
	if len(words) < 2 || strings.ContainsAny(line, "\n\r") {
		return false
	}
	for _, kind := range []string{"ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"} {
		if strings.HasPrefix(words[0], kind) {
			return strings.HasPrefix(words[1], "AAAA")
		}
	}
	return false
}

package inventory

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

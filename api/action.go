package api

import (
	"time"

	"berth/inventory"
	"berth/storage"
)

// AcceptRequest says that a discovered machine is ours. Name and Asset left empty take what berth proposes.
type AcceptRequest struct {
	Name string `json:"name,omitempty"`
	// Asset is the tag or uid of the asset that the machine is; empty takes the proposed, or makes a new one; "-" makes a new one.
	Asset string `json:"asset,omitempty"`
	// Acquisition is the reference or uid of the donation or purchase that the machine came by. Of what that announced, the asset with the
	// machine's serial or model is taken.
	Acquisition string `json:"acquisition,omitempty"`
	// Profile, Rack are slugs, names or uids.
	Profile  string   `json:"profile,omitempty"`
	Rack     string   `json:"rack,omitempty"`
	Position *float64 `json:"position,omitempty"` // the lowest unit it takes, in steps of 0.5
	Face     string   `json:"face,omitempty"`     // front or rear
	Why      string   `json:"why,omitempty"`
}

// AdoptRequest takes in a machine that already runs, without a boot. It becomes foreign: berth only ever offers it its local disk.
type AdoptRequest struct {
	Name string `json:"name"`
	// Facts, when known, are what the running system says of itself (berth-agent --report writes them).
	Facts      *inventory.Facts `json:"facts,omitempty"`
	MACs       []string         `json:"macs,omitempty"`
	SystemUUID string           `json:"system_uuid,omitempty"`
	BMC        *AdoptBMC        `json:"bmc,omitempty"`
	Why        string           `json:"why,omitempty"`
}

// AdoptBMC is how to reach the management controller of an adopted machine.
type AdoptBMC struct {
	Kind     string           `json:"kind"` // redfish, ipmi, wol, none
	Address  string           `json:"address"`
	Username string           `json:"username,omitempty"`
	Password inventory.Secret `json:"password,omitzero"`
}

// DeployRequest is what deploy, reimage and their plan are told.
type DeployRequest struct {
	// Image is a name or uid; empty takes the profile's.
	Image string `json:"image,omitempty"`
	// Profile is a slug or uid; empty keeps the machine's.
	Profile string `json:"profile,omitempty"`
	// Disk is the serial or WWN of the disk to write, where several could be meant.
	Disk string `json:"disk,omitempty"`
	// Consent repeats what the plan showed. It is needed where the plan says so, and checked wherever it is given.
	Consent *storage.Consent `json:"consent,omitempty"`
	// NoReport is for images without cloud-init: the operation is done when the machine was sent to its disk.
	NoReport bool   `json:"no_report,omitempty"`
	Why      string `json:"why,omitempty"`
}

// ReleaseRequest takes a machine out of service.
type ReleaseRequest struct {
	// Consent is needed as for a deploy, where what is cleared is not all berth's.
	Consent *storage.Consent `json:"consent,omitempty"`
	// KeepDisks leaves the disks as they are: the machine only becomes ready in the record.
	KeepDisks bool   `json:"keep_disks,omitempty"`
	Why       string `json:"why,omitempty"`
}

// DeployPlan says what a deploy or reimage would do, before anything is done.
type DeployPlan struct {
	Machine      string        `json:"machine"`
	MachineUID   inventory.UID `json:"machine_uid"`
	Image        string        `json:"image"`
	ImageUID     inventory.UID `json:"image_uid"`
	ImageDigest  string        `json:"image_digest"`
	Profile      string        `json:"profile,omitempty"`
	Disk         *storage.Disk `json:"disk,omitempty"` // the one that would be written; absent when the plan is refused
	Kept         []KeptDisk    `json:"kept"`
	Destroyed    []string      `json:"destroyed"`       // what is lost, in sentences
	NeedsConsent []string      `json:"needs_consent"`   // why a person must consent; empty when nobody must
	Refusals     []string      `json:"refusals"`        // why it cannot be done; empty when it can
	Notes        []string      `json:"notes,omitempty"` // what else a person should know
	// Digest names the plan; a consent repeats it.
	Digest string `json:"digest"`
	// Serials are the disks a consent must name.
	Serials []string `json:"serials"`
}

// KeptDisk is a disk the plan leaves alone.
type KeptDisk struct {
	Disk     storage.Disk `json:"disk"`
	Role     storage.Role `json:"role,omitempty"`
	Contents []string     `json:"contents,omitempty"`
}

// WhyRequest is an action that needs nothing but a reason.
type WhyRequest struct {
	Why string `json:"why,omitempty"`
}

// PowerRequest is what to do with the power: on, off, cycle, reset or soft (ask the operating system to shut down).
type PowerRequest struct {
	Action string `json:"action"`
	Why    string `json:"why,omitempty"`
}

// ClearRequest leads a machine out of quarantine, into the state a person found it in.
type ClearRequest struct {
	To  inventory.State `json:"to"` // ready, deployed, foreign
	Why string          `json:"why"`
}

// TaskDone says that a person did what a step asked for.
type TaskDone struct {
	Note string `json:"note,omitempty"`
}

// VerdictRequest decides a deviation: take_observed, keep_intended, task or ignore.
type VerdictRequest struct {
	Verdict string `json:"verdict"`
	Note    string `json:"note,omitempty"`
}

// ImportRequest describes an image to import: as the query of an upload whose body is the image, or as the body of an import from a URL.
type ImportRequest struct {
	Name    string `json:"name"`
	Format  string `json:"format,omitempty"` // raw or qcow2; empty looks at the first bytes, once
	OS      string `json:"os,omitempty"`
	Version string `json:"version,omitempty"`
	Arch    string `json:"arch,omitempty"`
	// Digest is the sha256:… that what is fetched or sent must have. Without it an import from a URL is marked unverified.
	Digest string `json:"digest,omitempty"`
	URL    string `json:"url,omitempty"` // http or https; only for an import by the server
	Why    string `json:"why,omitempty"`
}

// UndoRequest undoes one change, or with Request everything that the same request changed.
type UndoRequest struct {
	Request bool   `json:"request,omitempty"`
	Why     string `json:"why,omitempty"`
}

// TokenRequest asks for an API token.
type TokenRequest struct {
	Name string `json:"name"`
	// Level is at most the account's own; empty is the account's own.
	Level inventory.Level `json:"level,omitempty"`
	// Account is whose it is; empty is the asker's own. Another's needs an admin.
	Account string `json:"account,omitempty"`
	// ExpiresAt ends it; nil takes 90 days from now. At most two years.
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// TokenCreated shows the token, this once.
type TokenCreated struct {
	Token  string          `json:"token"`
	Record inventory.Token `json:"record"`
}

// PasswordRequest sets a password. Current is needed for one's own.
type PasswordRequest struct {
	Current string `json:"current,omitempty"`
	New     string `json:"new"`
}

// WhoAmI is who the server takes the asker for.
type WhoAmI struct {
	Name    string          `json:"name"`
	Account inventory.UID   `json:"account,omitempty"`
	Level   inventory.Level `json:"level"`
	// Money says whether amounts of money are shown to the asker.
	Money bool `json:"money"`
	// Via is session, token or socket.
	Via string `json:"via"`
	// MustChangePassword is true while only the password can be changed.
	MustChangePassword bool `json:"must_change_password,omitempty"`
}

// SearchHit is one object that the global search found.
type SearchHit struct {
	Noun    string        `json:"noun"`
	UID     inventory.UID `json:"uid"`
	Display string        `json:"display"`
	Detail  string        `json:"detail,omitempty"`
	// Field is where it was found, Text the value of that field, and Text[From:To], in bytes, what matches.
	Field string `json:"field,omitempty"`
	Text  string `json:"text,omitempty"`
	From  int    `json:"from"`
	To    int    `json:"to"`
	// Match is exact, prefix or part.
	Match string `json:"match,omitempty"`
}

// SearchResult is what a search found, best first.
type SearchResult struct {
	Hits []SearchHit `json:"hits"`
	// More names the nouns of the hits, when there are others than these.
	More []string `json:"more,omitempty"`
}

// OperationStatus is an operation with its steps, as Watch delivers it.
type OperationStatus struct {
	Operation inventory.Operation `json:"operation"`
	Steps     []inventory.Step    `json:"steps"`
}

// MachineStatus is a machine with what a page about it needs.
type MachineStatus struct {
	Machine inventory.Device `json:"machine"`
	// Facts is the newest observation of each source.
	Facts      []inventory.Facts     `json:"facts"`
	Components []inventory.Component `json:"components"`
	Interfaces []inventory.Interface `json:"interfaces"`
	BMC        *inventory.BMC        `json:"bmc,omitempty"`
	Deviations []inventory.Deviation `json:"deviations"` // open ones
	Operation  *OperationStatus      `json:"operation,omitempty"`
	// Names is what to call the objects referred to, by uid.
	Names map[inventory.UID]string `json:"names,omitempty"`
}

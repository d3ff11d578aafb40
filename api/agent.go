package api

import (
	"time"

	"berth/inventory"
)

// The agent protocol, version 1: plain JSON over TLS on the --http listener, under /agent/v1.
//
// The agent trusts one thing: the SHA-256 of the server's public key (SPKI), which its kernel command line carries. The server
// trusts the one-time token from the same command line, once: Register burns it and binds the session to the public key of the
// client certificate that the agent made for this boot. Every later request is told apart by that certificate, so a recorded
// request is worth nothing to anybody else. A second registration with the same token stops the operation and alarms.
//
//	POST /agent/v1/register          Registration -> Session
//	POST /agent/v1/report            inventory.Facts -> 204
//	POST /agent/v1/next              NextRequest -> Assignment (long poll; Verb "wait" when there is nothing to do)
//	POST /agent/v1/assignments/{id}/progress   Progress -> ProgressAnswer
//	POST /agent/v1/assignments/{id}/result     Result -> 204
//	POST /agent/v1/log               LogLines -> 204
//
// The agent presents ServerName AgentServerName, at which the server asks for a client certificate; browsers never see that request.
const (
	AgentServerName = "agent.berth.internal"
	// AgentBodyLimit bounds each request body, in bytes.
	AgentBodyLimit = 4 << 20
)

// Registration is the agent's first word. Token is the one-time token of this boot.
type Registration struct {
	Token string `json:"token"`
	// Version is the agent's build, for the record.
	Version string   `json:"version"`
	UUID    string   `json:"uuid,omitempty"` // SMBIOS system UUID, if it could be read
	MACs    []string `json:"macs"`           // permanent addresses of every port
	BootMAC string   `json:"boot_mac,omitempty"`
	// UptimeSeconds is the age of the agent's kernel.
	UptimeSeconds float64 `json:"uptime_seconds"`
}

// Session is the server's answer: who it takes the agent for, and what time it is.
type Session struct {
	Machine string    `json:"machine"` // uid
	Name    string    `json:"name"`    // for the console
	Now     time.Time `json:"now"`     // the agent sets its clock by it
	// Accepted is false while no person or rule has accepted the machine: then the agent will be told only to report and wait.
	Accepted bool `json:"accepted"`
	// GiveUpAfter is how long an agent without work waits before it reboots to the local disk.
	GiveUpAfterSeconds int `json:"give_up_after_seconds"`
}

// NextRequest asks for work. Done is the id of the last assignment whose result was delivered, so that a lost answer is seen.
type NextRequest struct {
	Done string `json:"done,omitempty"`
	// WaitSeconds is how long the server may hold the request (0..60).
	WaitSeconds int `json:"wait_seconds"`
}

// Verb is a thing an agent in RAM can be told to do. The list is closed; an agent refuses a verb it does not know.
type Verb string

// The verbs.
const (
	VerbWait     Verb = "wait"     // nothing to do: ask again
	VerbInspect  Verb = "inspect"  // look again and report
	VerbWrite    Verb = "write"    // write an image to a disk (WriteArgs)
	VerbClear    Verb = "clear"    // clear what makes disks boot or look used (ClearArgs)
	VerbReboot   Verb = "reboot"   // reboot, the result having been delivered first
	VerbPowerOff Verb = "poweroff" // power off, the result having been delivered first
)

// Assignment is one step handed to one agent under one live operation. Its id is the fence: progress and result for an
// assignment that is no longer outstanding are refused with 409, and the agent stops at the next chunk.
type Assignment struct {
	ID       string    `json:"id"`
	Verb     Verb      `json:"verb"`
	Deadline time.Time `json:"deadline"`

	Write *WriteArgs `json:"write,omitempty"`
	Clear *ClearArgs `json:"clear,omitempty"`
}

// DiskRef names a disk by what is bound to it, never by its kernel name. Both fields that are set must match.
type DiskRef struct {
	Serial    string `json:"serial,omitempty"`
	WWN       string `json:"wwn,omitempty"`
	SizeBytes int64  `json:"size_bytes,omitempty"`
}

// WriteArgs is an image and the one disk it goes to.
type WriteArgs struct {
	Disk DiskRef `json:"disk"`
	// Protect lists disks the machine holds that must not be written whatever else is true.
	Protect []DiskRef `json:"protect,omitempty"`
	// Consent is set when a person consented to the loss of the contents listed; other contents than these stop the write.
	Consent []inventory.ContentFact `json:"consent,omitempty"`
	// Ours is true when the record says that berth wrote this disk before, so that its contents are not foreign data.
	Ours bool `json:"ours,omitempty"`

	ImageURL  string `json:"image_url"`  // plain HTTP on the boot listener; what is fetched is checked against TreeHash
	TreeHash  string `json:"tree_hash"`  // root of the frame hashes (storage/image)
	Digest    string `json:"digest"`     // sha256:… of the whole raw image
	SizeBytes int64  `json:"size_bytes"` // raw

	Seed *Seed `json:"seed,omitempty"`
}

// Seed is a NoCloud seed for cloud-init, byte for byte as it is written to the CIDATA file system.
type Seed struct {
	MetaData      string `json:"meta_data"`
	UserData      string `json:"user_data"`
	NetworkConfig string `json:"network_config,omitempty"`
}

// ClearArgs names the disks to clear: first and last MiB and the signatures between.
type ClearArgs struct {
	Disks   []DiskRef `json:"disks"`
	Protect []DiskRef `json:"protect,omitempty"`
}

// Progress says how far an assignment is. The server's answer may tell the agent to stop.
type Progress struct {
	Phase string `json:"phase"` // a word: "write", "read back", "seed"
	Done  int64  `json:"done"`  // bytes
	Total int64  `json:"total"` // bytes
	// Begins says that everything was checked and the first byte of a disk is about to change. No byte changes before the server has
	// answered that: whatever happens then, the record knows that what is on the disk is neither the old contents nor an image.
	Begins bool `json:"begins,omitempty"`
}

// ProgressAnswer tells the agent whether the assignment is still its own.
type ProgressAnswer struct {
	Stop   bool   `json:"stop"`
	Reason string `json:"reason,omitempty"`
}

// Result ends an assignment. An empty Error is success.
type Result struct {
	Error string `json:"error,omitempty"`
	// Permanent says that trying the same again cannot help (wrong disk, digest mismatch, unknown verb).
	Permanent bool `json:"permanent,omitempty"`
	// Touched says that at least one byte of a disk may have been written.
	Touched bool `json:"touched,omitempty"`

	Write *WriteResult `json:"write,omitempty"`
}

// WriteResult is the proof of a write.
type WriteResult struct {
	Disk DiskRef `json:"disk"`
	// Digest is the sha256:… by which the catalogue knows the image. That it stands here says: every frame had the hash that the tree hash
	// vouches for when it was written, and the disk gave every frame back as it was written. Only the partition table may differ, where a
	// seed was added to it.
	Digest       string  `json:"digest"`
	WrittenBytes int64   `json:"written_bytes"`
	FetchedBytes int64   `json:"fetched_bytes"`
	Seconds      float64 `json:"seconds"`
	// TableUUID is the identifier of the partition table as it is on the disk now, by which berth knows its own again.
	TableUUID string `json:"table_uuid,omitempty"`
	// Seeded is the number of the partition that carries the seed; 0 is none.
	Seeded int `json:"seeded,omitempty"`
}

// LogLines is what the agent wants on the timeline. At most 200 lines of 2,000 bytes are kept of each request.
type LogLines struct {
	Lines []LogLine `json:"lines"`
}

// LogLine is one line of the agent's or the kernel's log.
type LogLine struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// BootReport is what an installed system sends once, from the NoCloud seed, to say that it is up:
// POST /agent/v1/booted/{token}. The token is good for one report.
type BootReport struct {
	Hostname  string   `json:"hostname"`
	MachineID string   `json:"machine_id"`
	BootID    string   `json:"boot_id"`
	Kernel    string   `json:"kernel"`
	OS        string   `json:"os"`
	UUID      string   `json:"uuid"`      // SMBIOS, readable by root
	Addresses []string `json:"addresses"` // with prefix length
	HostKeys  []string `json:"host_keys"` // SSH, public
}

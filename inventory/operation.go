package inventory

import (
	"encoding/json"
	"time"
)

// OperationState is where an operation stands.
type OperationState string

// The states of an operation.
const (
	OpQueued    OperationState = "queued"
	OpRunning   OperationState = "running"
	OpWaiting   OperationState = "waiting" // for a machine, a time or a person
	OpDone      OperationState = "done"
	OpFailed    OperationState = "failed"
	OpCancelled OperationState = "cancelled"
)

// Ended tells whether nothing more will happen.
func (s OperationState) Ended() bool { return s == OpDone || s == OpFailed || s == OpCancelled }

// Operation is work on a machine, or of the server itself (a poll, an import), as a list of steps. provision runs it.
type Operation struct {
	Meta
	Kind   string         `json:"kind" berth:"list,filter" help:"enrol, inspect, deploy, reimage, release, power, import, …"`
	Device UID            `json:"device" berth:"list,filter,ref=device"`
	State  OperationState `json:"state" berth:"list,filter,enum=queued|running|waiting|done|failed|cancelled"`
	// Sentence says what is happening or awaited, and how long it usually takes.
	Sentence string `json:"sentence" berth:"list"`
	// Owner is who asked for it; Why is their reason.
	Owner      string          `json:"owner" berth:"list,filter"`
	OwnerLevel Level           `json:"owner_level"`
	Why        string          `json:"why"`
	Args       json.RawMessage `json:"args" gorm:"serializer:json"`
	StepName   string          `json:"step_name" berth:"list"`
	StepIndex  int             `json:"step_index"`
	StepCount  int             `json:"step_count"`
	Deadline   time.Time       `json:"deadline" berth:"filter"`
	NextTryAt  time.Time       `json:"next_try_at" berth:"filter"`
	StartedAt  *time.Time      `json:"started_at"`
	EndedAt    *time.Time      `json:"ended_at" berth:"list,filter"`
	Problem    string          `json:"problem" help:"Why it failed, in a sentence."`
	CancelBy   string          `json:"cancel_by" help:"Who asked to cancel."`

	// The lease. Fence grows by one at each claim; a commit with an older fence is refused.
	LeaseHolder string    `json:"-" column:"lease_holder" berth:"filter"`
	LeaseUntil  time.Time `json:"-" column:"lease_until"`
	Fence       int64     `json:"-" column:"fence"`
}

// StepState is where a step stands.
type StepState string

// The states of a step.
const (
	StepPending   StepState = "pending"
	StepRunning   StepState = "running"
	StepWaiting   StepState = "waiting"
	StepDone      StepState = "done"
	StepSkipped   StepState = "skipped" // it looked, and there was nothing to do
	StepFailed    StepState = "failed"
	StepCancelled StepState = "cancelled"
)

// Step is one step of an operation, stored by name. Names are never reused for another meaning.
type Step struct {
	Meta
	Operation UID       `json:"operation" berth:"list,filter,required,ref=operation"`
	Position  int       `json:"position" berth:"filter"`
	Name      string    `json:"name" berth:"list,filter"`
	State     StepState `json:"state" berth:"list,filter,enum=pending|running|waiting|done|skipped|failed|cancelled"`
	Attempt   int       `json:"attempt" berth:"list"`
	// Sentence says what is awaited, and how long it usually takes.
	Sentence  string     `json:"sentence" berth:"list"`
	Phase     string     `json:"phase"`
	Done      int64      `json:"done"`
	Total     int64      `json:"total"`
	StartedAt *time.Time `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"`
	Deadline  *time.Time `json:"deadline"`
	Problem   string     `json:"problem"`
	// Task is what a person is asked to do, when the step waits for one.
	Task string `json:"task"`
	// Assignment is the id under which an agent holds the step; empty when none does. Clearing it ends the agent's right to write.
	Assignment string `json:"-" column:"assignment" berth:"filter"`
	// Data is what the step remembers between attempts, and the agent's result. It stays inside: an assignment carries the machine's seed,
	// with the one-time token of the installed system and whatever a profile's user data holds.
	Data json.RawMessage `json:"-" column:"data" gorm:"serializer:json"`
}

// Ended tells whether nothing more will happen in it.
func (s StepState) Ended() bool {
	return s == StepDone || s == StepSkipped || s == StepFailed || s == StepCancelled
}

// BootAttempt is one time a machine came up and asked the network.
type BootAttempt struct {
	Meta
	Device    UID        `json:"device" berth:"list,filter,ref=device"`
	MAC       string     `json:"mac" berth:"list,filter,search"`
	Arch      string     `json:"arch" berth:"list"`
	Offered   string     `json:"offered" berth:"list,enum=|agent|local|none"`
	Outcome   string     `json:"outcome" berth:"list,filter,enum=|agent|local|silent|failed"`
	Sentence  string     `json:"sentence" berth:"list" help:"What happened, and what went wrong."`
	EndedAt   *time.Time `json:"ended_at"`
	TokenHash string     `json:"-" column:"token_hash" berth:"filter"`
	// TokenUsedAt is when the one-time token was burnt.
	TokenUsedAt *time.Time `json:"token_used_at"`
	// AgentKey is the SHA-256 of the key that the agent of this boot registered.
	AgentKey  string `json:"-" column:"agent_key" berth:"filter"`
	Operation UID    `json:"operation" berth:"filter,ref=operation"`
}

// TableName spells the table of boot attempts.
func (BootAttempt) TableName() string { return "boot_attempts" }

// Event is a line of a machine's timeline.
type Event struct {
	Meta
	At        time.Time `json:"at" berth:"list,filter"`
	Device    UID       `json:"device" berth:"list,filter,ref=device"`
	Attempt   UID       `json:"attempt" berth:"filter,ref=boot-attempt"`
	Operation UID       `json:"operation" berth:"filter,ref=operation"`
	Source    string    `json:"source" berth:"list,filter,enum=dhcp|tftp|http|agent|kernel|bmc|engine|person|system"`
	Level     string    `json:"level" berth:"list,filter,enum=info|warn|error"`
	Text      string    `json:"text" berth:"list,search"`
}

// Check fills in the first state.
func (o *Operation) Check() error {
	setDefault(&o.State, OpQueued)
	return nil
}

// Check fills in the first state.
func (s *Step) Check() error {
	setDefault(&s.State, StepPending)
	return nil
}

// Check fills in what is left empty.
func (e *Event) Check() error {
	setDefault(&e.Source, "system")
	setDefault(&e.Level, "info")
	return nil
}

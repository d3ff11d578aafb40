package web

import (
	"context"
	"io"
	"net/netip"

	"berth/api"
	"berth/inventory"
	"berth/provision"
)

// Machines is what can be done with machines; *provision.Service satisfies it.
type Machines interface {
	Accept(ctx context.Context, req inventory.Request, machine string, o api.AcceptRequest) (*inventory.Device, error)
	Adopt(ctx context.Context, req inventory.Request, o api.AdoptRequest) (*inventory.Device, error)
	Plan(ctx context.Context, machine string, o api.DeployRequest) (*api.DeployPlan, error)
	Deploy(ctx context.Context, req inventory.Request, machine string, o api.DeployRequest) (*inventory.Operation, error)
	Reimage(ctx context.Context, req inventory.Request, machine string, o api.DeployRequest) (*inventory.Operation, error)
	Release(ctx context.Context, req inventory.Request, machine string, o api.ReleaseRequest) (*inventory.Operation, error)
	Inspect(ctx context.Context, req inventory.Request, machine string) (*inventory.Operation, error)
	Retire(ctx context.Context, req inventory.Request, machine string) (*inventory.Device, error)
	Power(ctx context.Context, req inventory.Request, machine, action string) (*inventory.Operation, error)
	Clear(ctx context.Context, req inventory.Request, machine string, to inventory.State, why string) (*inventory.Device, error)
	Cancel(ctx context.Context, req inventory.Request, operation string) (*inventory.Operation, error)
	TaskDone(ctx context.Context, req inventory.Request, operation, step, note string) error
	Verdict(ctx context.Context, req inventory.Request, deviation, verdict, note string) error
	ImportImage(ctx context.Context, req inventory.Request, o api.ImportRequest, r io.Reader) (*inventory.Image, error)
	ImportURL(ctx context.Context, req inventory.Request, o api.ImportRequest) (*inventory.Operation, error)
}

// Agents is the other end of the agent protocol; *provision.Service satisfies it. key is the SHA-256 of the public key of the
// certificate the agent presented, in hexadecimal.
type Agents interface {
	Register(ctx context.Context, r api.Registration, key string, remote netip.Addr) (api.Session, error)
	Report(ctx context.Context, key string, facts inventory.Facts) error
	Next(ctx context.Context, key string, r api.NextRequest) (api.Assignment, error)
	Progress(ctx context.Context, key, assignment string, p api.Progress) (api.ProgressAnswer, error)
	Result(ctx context.Context, key, assignment string, r api.Result) error
	Log(ctx context.Context, key string, lines api.LogLines) error
	Booted(ctx context.Context, token string, r api.BootReport) error
}

var (
	_ Machines = (*provision.Service)(nil)
	_ Agents   = (*provision.Service)(nil)
)

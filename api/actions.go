package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"berth/inventory"
)

func newReader(text []byte) io.Reader { return bytes.NewReader(text) }

var machines = mustNoun("machine")

func mustNoun(name string) *inventory.Noun {
	n, ok := inventory.NounOf(name)
	if !ok {
		panic("api: no noun " + name)
	}
	return n
}

// post is Call for an action that answers with a T.
func post[T any](ctx context.Context, c *Client, path string, in any) (*T, error) {
	out := new(T)
	if err := c.Call(ctx, http.MethodPost, path, in, out); err != nil {
		return nil, err
	}
	return out, nil
}

func machinePath(machine, action string) string { return nounPath(machines, machine) + "/" + action }

// Machines lists machines: the devices that berth can boot.
func (c *Client) Machines(ctx context.Context, q Query) (Page[inventory.Device], error) {
	var page Page[inventory.Device]
	return page, c.Call(ctx, http.MethodGet, withQuery(nounPath(machines, ""), q.values()), nil, &page)
}

// Machine returns a machine with its facts, parts, deviations and current operation.
func (c *Client) Machine(ctx context.Context, machine string) (*MachineStatus, error) {
	out := new(MachineStatus)
	return out, c.Call(ctx, http.MethodGet, machinePath(machine, "status"), nil, out)
}

// Timeline returns a page of what happened to a machine, newest first.
func (c *Client) Timeline(ctx context.Context, machine string, q Query) (Page[inventory.Event], error) {
	var page Page[inventory.Event]
	return page, c.Call(ctx, http.MethodGet, withQuery(machinePath(machine, "timeline"), q.values()), nil, &page)
}

// Accept says that a discovered machine is ours.
func (c *Client) Accept(ctx context.Context, machine string, in AcceptRequest) (*inventory.Device, error) {
	return post[inventory.Device](ctx, c, machinePath(machine, "accept"), in)
}

// Adopt takes in a machine that already runs.
func (c *Client) Adopt(ctx context.Context, in AdoptRequest) (*inventory.Device, error) {
	// A Secret writes itself as stars; here, and only here, the server is to have the password itself.
	type bmc struct {
		AdoptBMC
		Password string `json:"password,omitempty"`
	}
	body := struct {
		AdoptRequest
		BMC *bmc `json:"bmc,omitempty"`
	}{AdoptRequest: in}
	if in.BMC != nil {
		body.BMC = &bmc{AdoptBMC: *in.BMC, Password: in.BMC.Password.Reveal()}
	}
	return post[inventory.Device](ctx, c, "/api/v1/machines/adopt", body)
}

// Plan says what a deploy or reimage would do.
func (c *Client) Plan(ctx context.Context, machine string, in DeployRequest) (*DeployPlan, error) {
	return post[DeployPlan](ctx, c, machinePath(machine, "plan"), in)
}

// Deploy writes an image to a ready machine.
func (c *Client) Deploy(ctx context.Context, machine string, in DeployRequest) (*inventory.Operation, error) {
	return post[inventory.Operation](ctx, c, machinePath(machine, "deploy"), in)
}

// Reimage writes an image to a machine that has one.
func (c *Client) Reimage(ctx context.Context, machine string, in DeployRequest) (*inventory.Operation, error) {
	return post[inventory.Operation](ctx, c, machinePath(machine, "reimage"), in)
}

// Release takes a machine out of use: back to ready.
func (c *Client) Release(ctx context.Context, machine string, in ReleaseRequest) (*inventory.Operation, error) {
	return post[inventory.Operation](ctx, c, machinePath(machine, "release"), in)
}

// Inspect looks at a machine again.
func (c *Client) Inspect(ctx context.Context, machine, why string) (*inventory.Operation, error) {
	return post[inventory.Operation](ctx, c, machinePath(machine, "inspect"), WhyRequest{Why: why})
}

// Retire ends a machine's life.
func (c *Client) Retire(ctx context.Context, machine, why string) (*inventory.Device, error) {
	return post[inventory.Device](ctx, c, machinePath(machine, "retire"), WhyRequest{Why: why})
}

// Power switches a machine: on, off, cycle, reset, soft.
func (c *Client) Power(ctx context.Context, machine, action, why string) (*inventory.Operation, error) {
	return post[inventory.Operation](ctx, c, machinePath(machine, "power"), PowerRequest{Action: action, Why: why})
}

// Clear leads a machine out of quarantine.
func (c *Client) Clear(ctx context.Context, machine string, in ClearRequest) (*inventory.Device, error) {
	return post[inventory.Device](ctx, c, machinePath(machine, "clear"), in)
}

// Operation returns an operation with its steps.
func (c *Client) Operation(ctx context.Context, uid inventory.UID) (*OperationStatus, error) {
	out := new(OperationStatus)
	return out, c.Call(ctx, http.MethodGet, operationPath(uid, "status"), nil, out)
}

func operationPath(uid inventory.UID, action string) string {
	return "/api/v1/operations/" + url.PathEscape(string(uid)) + "/" + action
}

// Cancel asks an operation to stop.
func (c *Client) Cancel(ctx context.Context, uid inventory.UID, why string) (*inventory.Operation, error) {
	return post[inventory.Operation](ctx, c, operationPath(uid, "cancel"), WhyRequest{Why: why})
}

// TaskDone says that a person did what the step asked for.
func (c *Client) TaskDone(ctx context.Context, uid inventory.UID, step, note string) error {
	return c.Call(ctx, http.MethodPost, operationPath(uid, "steps/"+url.PathEscape(step)+"/done"), TaskDone{Note: note}, nil)
}

// Verdict decides a deviation.
func (c *Client) Verdict(ctx context.Context, deviation inventory.UID, in VerdictRequest) error {
	return c.Call(ctx, http.MethodPost, "/api/v1/deviations/"+url.PathEscape(string(deviation))+"/verdict", in, nil)
}

// Undo makes the opposite edits of a change, or of the whole request it belonged to.
func (c *Client) Undo(ctx context.Context, change inventory.UID, in UndoRequest) error {
	return c.Call(ctx, http.MethodPost, "/api/v1/changes/"+url.PathEscape(string(change))+"/undo", in, nil)
}

// ImportImage uploads an image. It is streamed: r is read once, and never held in memory.
func (c *Client) ImportImage(ctx context.Context, in ImportRequest, r io.Reader) (*inventory.Image, error) {
	v := url.Values{}
	for name, value := range map[string]string{"name": in.Name, "format": in.Format, "os": in.OS, "version": in.Version, "arch": in.Arch, "digest": in.Digest, "why": in.Why} {
		if value != "" {
			v.Set(name, value)
		}
	}
	out := new(inventory.Image)
	return out, c.send(ctx, http.MethodPut, withQuery("/api/v1/images/import", v), nil, "application/octet-stream", r, out)
}

// ImportURL lets the server fetch an image.
func (c *Client) ImportURL(ctx context.Context, in ImportRequest) (*inventory.Operation, error) {
	return post[inventory.Operation](ctx, c, "/api/v1/images/import", in)
}

// CreateToken makes an API token; the answer shows it, this once.
func (c *Client) CreateToken(ctx context.Context, in TokenRequest) (*TokenCreated, error) {
	return post[TokenCreated](ctx, c, "/api/v1/tokens", in)
}

// RevokeToken ends a token.
func (c *Client) RevokeToken(ctx context.Context, uid inventory.UID) error {
	return c.Call(ctx, http.MethodDelete, "/api/v1/tokens/"+url.PathEscape(string(uid)), nil, nil)
}

// SetPassword sets the password of an account.
func (c *Client) SetPassword(ctx context.Context, account string, in PasswordRequest) error {
	return c.Call(ctx, http.MethodPost, "/api/v1/accounts/"+url.PathEscape(account)+"/password", in, nil)
}

// WhoAmI says who the server takes us for.
func (c *Client) WhoAmI(ctx context.Context) (*WhoAmI, error) {
	out := new(WhoAmI)
	return out, c.Call(ctx, http.MethodGet, "/api/v1/whoami", nil, out)
}

// Search looks for a text in every noun.
func (c *Client) Search(ctx context.Context, text string) (*SearchResult, error) {
	out := new(SearchResult)
	return out, c.Call(ctx, http.MethodGet, withQuery("/api/v1/search", url.Values{"q": {text}}), nil, out)
}

// Watch calls fn with an operation's status now and after each change, until it has ended, fn returns an error, or ctx ends. A broken
// connection is taken up again for as long as ctx lasts; an answer that is a *Problem ends it.
func (c *Client) Watch(ctx context.Context, uid inventory.UID, fn func(OperationStatus) error) error {
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		ended, err := c.watchOnce(ctx, uid, func(s OperationStatus) error {
			pause = 250 * time.Millisecond
			return fn(s)
		})
		var problem *Problem
		var own *watcherError
		switch {
		case ended:
			return nil
		case errors.As(err, &own):
			return own.err
		case errors.As(err, &problem) && problem.Status != http.StatusServiceUnavailable:
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// watcherError is the error of the caller's own function.
type watcherError struct{ err error }

func (e *watcherError) Error() string { return e.err.Error() }

func (c *Client) watchOnce(ctx context.Context, uid inventory.UID, fn func(OperationStatus) error) (ended bool, err error) {
	err = c.events(ctx, operationPath(uid, "events"), func(event string, data []byte) error {
		if event != "operation" {
			return nil
		}
		var status OperationStatus
		if err := json.Unmarshal(data, &status); err != nil {
			return fmt.Errorf("an event about operation %s cannot be read: %w", uid, err)
		}
		ended = status.Operation.State.Ended()
		if err := fn(status); err != nil {
			return &watcherError{err}
		}
		return nil
	})
	return ended, err
}

// Changes calls fn with the plural of each noun that was touched, until ctx ends or the connection does. nouns are names or plurals.
func (c *Client) Changes(ctx context.Context, fn func(noun string), nouns ...string) error {
	v := url.Values{"noun": {strings.Join(nouns, ",")}}
	return c.events(ctx, withQuery("/api/v1/watch", v), func(event string, data []byte) error {
		if event == "changed" {
			fn(string(data))
		}
		return nil
	})
}

// streamSilence is how long a stream may say nothing, not even that it is alive, before it is given up. The server speaks every 15 s.
const streamSilence = 50 * time.Second

// errSilent is the end of a stream whose other end is gone without a word.
var errSilent = errors.New("the server has fallen silent")

// events reads a stream of server-sent events (WHATWG HTML 9.2) until it ends.
func (c *Client) events(ctx context.Context, path string, fn func(event string, data []byte) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(streamSilence, func() { cancel(errSilent) })
	defer silence.Stop()
	resp, err := c.open(ctx, http.MethodGet, path, http.Header{"Accept": {"text/event-stream"}}, "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 8<<20)
	event, data := "", []byte(nil)
	for lines.Scan() {
		silence.Reset(streamSilence)
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "" && data != nil:
			if err := fn(event, data); err != nil {
				return err
			}
			event, data = "", nil
		case name == "event":
			event = value
		case name == "data" && data == nil:
			data = []byte(value)
		case name == "data":
			data = append(append(data, '\n'), value...)
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return lines.Err()
}

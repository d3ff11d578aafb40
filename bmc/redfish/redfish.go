// Package redfish drives a BMC by Redfish (DMTF DSP0266, DSP2046).
//
// Commands go through bmclib where it does the right thing, and everything that has to hold on any conforming tree is read
// by walking the tree from its root with gofish as the client: bmclib's inventory knows a fixed list of ids, and answers
// with an empty machine and no error on the others. docs/decisions/redfish-by-walking-the-tree.md has the measurements.
//
// One conversation is one session on the BMC, shared by gofish and bmclib, and closed with the driver. Where a BMC has no
// session service, each request carries basic authentication.
package redfish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/bmc-toolbox/bmclib/v2"
	"github.com/stmcginnis/gofish"

	"berth/bmc"
)

// The resources a tree starts from (DSP0266, 8.1).
const (
	rootPath     = "/redfish/v1/"
	sessionsPath = "/redfish/v1/SessionService/Sessions"
)

// driver is one conversation.
type driver struct {
	target  bmc.Target
	wire    *wire
	api     *gofish.APIClient
	library *bmclib.Client // opened when the first command needs it
	secrets []bmc.Secret   // to keep out of error texts
	root    node
	session string // the path to delete at the end
	system  *system
	pending string // the resource that holds a boot override until the next start, where a BMC has one
	closed  bool
}

var _ interface {
	bmc.Driver
	bmc.MediaMounter
	bmc.EventLog
	bmc.Restarter
	bmc.Interrupter
	bmc.Accounts
} = (*driver)(nil)

// Open logs in. It is a bmc.Opener; the port is 443 unless the address names one.
func Open(ctx context.Context, t bmc.Target) (bmc.Driver, error) {
	d, err := connect(ctx, t)
	if err != nil {
		return nil, err
	}
	defer d.wire.during(ctx)()
	if err := d.login(); err != nil {
		d.wire.base.CloseIdleConnections()
		return nil, err
	}
	return d, nil
}

// connect reads the root, which needs no login, so that a stranger or a BMC without Redfish is known before any password
// is sent.
func connect(ctx context.Context, t bmc.Target) (*driver, error) {
	host, port, err := t.HostPort(443)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bmc.ErrRefused, err)
	}
	d := &driver{target: t, wire: newWire(host, port, checkPin(t)), secrets: []bmc.Secret{t.Password}}
	defer d.wire.during(ctx)()
	// The API client lives as long as the conversation; each call brings its own context by way of the wire.
	d.api, err = gofish.ConnectContext(context.WithoutCancel(ctx), gofish.ClientConfig{
		Endpoint:   "https://" + net.JoinHostPort(host, strconv.Itoa(int(port))),
		HTTPClient: d.wire.client(),
	})
	if err == nil {
		d.root, err = d.get(rootPath)
	} else {
		err = d.explain("read the Redfish root", err)
	}
	if err != nil {
		d.wire.base.CloseIdleConnections()
		if errors.Is(err, errNotFound) {
			return nil, fmt.Errorf("%w: it has no Redfish service: %w", bmc.ErrUnsupported, err)
		}
		return nil, err
	}
	return d, nil
}

// login makes a session, or falls back to basic authentication where there is no session service (DSP0266, 13.3). There is
// one attempt: a BMC without sessions says so before it looks at the password.
func (d *driver) login() error {
	if d.target.Username == "" || d.target.Password.IsZero() {
		return fmt.Errorf("log in: %w: none is given", bmc.ErrAuth)
	}
	path := d.root.link("Links", "Sessions")
	if path == "" {
		path = sessionsPath
	}
	if err := checkPath(path); err != nil {
		return err
	}
	resp, err := d.api.Post(path, map[string]string{"UserName": d.target.Username, "Password": d.target.Password.Reveal()})
	if err != nil {
		err = d.explain("log in", err)
		if errors.Is(err, errNotFound) || errors.Is(err, bmc.ErrUnsupported) {
			return d.loginBasic()
		}
		// 400 with a login is a refused one on some BMCs (early AMI), 403 a locked or expired one.
		if errors.Is(err, bmc.ErrRefused) || errors.Is(err, bmc.ErrDenied) {
			return fmt.Errorf("%w: %w", bmc.ErrAuth, err)
		}
		return err
	}
	token := resp.Header.Get("X-Auth-Token")
	if token == "" {
		return fmt.Errorf("log in: %w: a session without a token", bmc.ErrMalformed)
	}
	d.session = sessionOf(resp)
	d.wire.login(token, "", bmc.Secret{})
	return nil
}

// sessionOf finds the path of a new session: in Location, whole or relative, or in the answer itself.
func sessionOf(resp *http.Response) string {
	path := ""
	if u, err := url.Parse(resp.Header.Get("Location")); err == nil {
		path = u.EscapedPath()
	}
	if path == "" {
		var body struct {
			ID string `json:"@odata.id"`
		}
		if json.NewDecoder(resp.Body).Decode(&body) == nil {
			path = body.ID
		}
	}
	if checkPath(path) != nil {
		return ""
	}
	return path
}

func (d *driver) loginBasic() error {
	d.wire.login("", d.target.Username, d.target.Password)
	path := d.root.link("Systems")
	if path == "" {
		return fmt.Errorf("log in: %w: its root has neither sessions nor systems", bmc.ErrUnsupported)
	}
	_, err := d.get(path)
	return err
}

// Close gives the session back.
func (d *driver) Close(ctx context.Context) error {
	if d.closed {
		return nil
	}
	d.closed = true
	defer d.wire.base.CloseIdleConnections()
	if d.session == "" {
		return nil
	}
	defer d.wire.during(ctx)()
	if _, err := d.api.Delete(d.session); err != nil {
		err = d.explain("close the session", err)
		// The BMC has forgotten it already: that is what was wanted.
		if errors.Is(err, errNotFound) || errors.Is(err, bmc.ErrAuth) {
			return nil
		}
		return err
	}
	return nil
}

// begin is the start of each method: the wire obeys ctx from here on.
func (d *driver) begin(ctx context.Context) (func(), error) {
	if d.closed {
		return nil, fmt.Errorf("%w: the conversation is closed", bmc.ErrUnreachable)
	}
	return d.wire.during(ctx), nil
}

// expired reports that a session which Open made is refused now. The credentials are not to blame: the BMC has restarted,
// or somebody threw the session out.
func (d *driver) expired(err error) error {
	if err != nil && errors.Is(err, bmc.ErrAuth) && d.session != "" {
		return fmt.Errorf("%w: it has dropped the session: %v", bmc.ErrUnreachable, err)
	}
	return err
}

// system is one computer and where it stands in the tree.
type system struct {
	bmc.System
	path string
}

// pick chooses the system this conversation is about, once.
func (d *driver) pick() (*system, error) {
	if d.system != nil {
		return d.system, nil
	}
	all, err := d.systems()
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the BMC lists no system: %w", bmc.ErrEmptyInventory)
	}
	s := choose(all, d.target.SystemID)
	if s == nil {
		e := &bmc.ChooseSystemError{Asked: d.target.SystemID}
		for _, a := range all {
			e.Candidates = append(e.Candidates, a.System)
		}
		return nil, e
	}
	d.system = s
	return s, nil
}

// choose finds the one that id names by its id, UUID or path; without an id there must be only one.
func choose(all []*system, id string) *system {
	if id == "" {
		if len(all) == 1 {
			return all[0]
		}
		return nil
	}
	for _, s := range all {
		if s.ID == id || same(s.path, id) || s.UUID != "" && strings.EqualFold(s.UUID, id) {
			return s
		}
	}
	return nil
}

func (d *driver) systems() ([]*system, error) {
	paths, err := d.members(d.root.link("Systems"))
	if err != nil {
		return nil, fmt.Errorf("list the systems: %w", err)
	}
	var all []*system
	for _, path := range paths {
		n, err := d.get(path)
		if err != nil {
			return nil, fmt.Errorf("list the systems: %w", err)
		}
		all = append(all, &system{path: path, System: bmc.System{
			ID: n.str("Id"), Name: n.str("Name"), Manufacturer: n.str("Manufacturer"), Model: n.str("Model"),
			Serial: n.str("SerialNumber"), UUID: strings.ToLower(n.str("UUID")),
		}})
	}
	for _, s := range all {
		if s.ID == "" {
			trimmed := strings.TrimRight(s.path, "/")
			s.ID = trimmed[strings.LastIndex(trimmed, "/")+1:]
		}
	}
	return all, nil
}

// computer reads the chosen system as it is now.
func (d *driver) computer() (node, string, error) {
	s, err := d.pick()
	if err != nil {
		return nil, "", err
	}
	return d.getTagged(s.path)
}

package redfish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/bmc-toolbox/bmclib/v2"
	bmclibfish "github.com/bmc-toolbox/bmclib/v2/providers/redfish"
	"github.com/go-logr/logr"
	"github.com/jacobweinstock/registrar"

	"berth/bmc"
)

// order is how an action is said: the reset types that mean it, best first, and bmclib's word where bmclib sends the first
// of them and nothing else.
//
// bmclib's "reset" is not among them: refused, it turns into a graceful shutdown, ten seconds and a power-on.
type order struct {
	types  []string
	bmclib string
}

var orders = map[bmc.PowerAction]order{
	bmc.ActionOn:       {[]string{"On", "ForceOn"}, "on"},
	bmc.ActionOff:      {[]string{"ForceOff"}, "off"},
	bmc.ActionShutdown: {[]string{"GracefulShutdown"}, "soft"},
	bmc.ActionReset:    {[]string{"ForceRestart"}, "cycle"},
	bmc.ActionCycle:    {[]string{"PowerCycle", "FullPowerCycle"}, ""},
}

// Power reads the state of the chosen system.
func (d *driver) Power(ctx context.Context) (bmc.PowerState, error) {
	end, err := d.begin(ctx)
	if err != nil {
		return bmc.PowerUnknown, err
	}
	defer end()
	n, _, err := d.computer()
	if err != nil {
		return bmc.PowerUnknown, d.expired(err)
	}
	return bmc.ParsePowerState(n.str("PowerState")), nil
}

// SetPower sends one action. What comes of it, bmc.Commands reads back.
func (d *driver) SetPower(ctx context.Context, action bmc.PowerAction) error {
	o, ok := orders[action]
	if !ok {
		return fmt.Errorf("power %q: %w", action, bmc.ErrUnsupported)
	}
	end, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	n, _, err := d.computer()
	if err != nil {
		return d.expired(err)
	}
	if idle(action, bmc.ParsePowerState(n.str("PowerState"))) {
		return nil
	}
	kind, err := d.resetType(n, o)
	if err != nil {
		return err
	}
	if o.bmclib != "" && kind == o.types[0] {
		if done, err := d.byLibrary(ctx, o.bmclib); done {
			return d.expired(err)
		}
	}
	return d.expired(d.reset(n, kind))
}

// idle reports that there is nothing to do.
func idle(action bmc.PowerAction, state bmc.PowerState) bool {
	switch action {
	case bmc.ActionOn:
		return state == bmc.PowerOn
	case bmc.ActionOff, bmc.ActionShutdown:
		return state == bmc.PowerOff
	}
	return false
}

// resetType finds the first word for an action that the BMC allows. One that does not list its words is taken to know
// them all (DSP0266, 9.10: the list is optional).
func (d *driver) resetType(n node, o order) (string, error) {
	action := n.obj("Actions", "#ComputerSystem.Reset")
	allowed := action.words("ResetType@Redfish.AllowableValues")
	if len(allowed) == 0 {
		// The list may stand in an ActionInfo of its own instead (DSP0266, 7.5.4).
		if info, _ := action["@Redfish.ActionInfo"].(string); info != "" {
			if page, err := d.get(info); err == nil {
				for _, p := range page.list("Parameters") {
					if p.str("Name") == "ResetType" {
						allowed = p.words("AllowableValues")
					}
				}
			}
		}
	}
	if len(allowed) == 0 {
		return o.types[0], nil
	}
	for _, t := range o.types {
		if slices.Contains(allowed, t) {
			return t, nil
		}
	}
	return "", fmt.Errorf("reset of type %s: %w; it can %s", o.types[0], bmc.ErrUnsupported, strings.Join(allowed, ", "))
}

// byLibrary has bmclib send an action. It reports false when bmclib gave up before it sent anything (it reads the system
// with strict types first), so that the command can still be sent once.
//
// bmclib is shown a collection with the chosen system alone. It could find one among several by its name only, and names
// repeat; and gofish, below it, follows pages that lead in a circle for ever, and writes to a map from two goroutines when a
// page and a member fail together (v0.20.0), which ends the process.
//
// What counts is what went over the wire, not what bmclib returns: its "soft" returns failure after success (v2.3.5).
func (d *driver) byLibrary(ctx context.Context, word string) (done bool, err error) {
	only, err := json.Marshal(map[string]any{"Members@odata.count": 1, "Members": []map[string]string{{"@odata.id": d.system.path}}})
	if err != nil {
		return false, err
	}
	defer d.wire.guide(maxLibrary, map[string][]byte{strings.TrimRight(d.root.link("Systems"), "/"): only})()
	library, err := d.bmclib(ctx)
	if err == nil {
		_, err = library.SetPowerState(ctx, word)
	}
	for _, w := range d.wire.sent() {
		if w.method != http.MethodPost {
			continue
		}
		if w.ok() {
			return true, nil
		}
		return true, d.explainWrite("power "+word, w, err)
	}
	// Nothing was sent: either there was nothing to do, or the BMC does not answer, or bmclib could not read the tree.
	if err == nil || ctx.Err() != nil || errors.Is(err, bmc.ErrUnreachable) {
		return true, explainIf("power "+word, err)
	}
	return false, nil
}

// explainWrite names the failure of a command that reached the BMC through bmclib, whose errors keep no status.
func (d *driver) explainWrite(what string, w write, err error) error {
	switch {
	case w.status == 0:
		return explainTransport(what, err)
	case w.status == http.StatusUnauthorized:
		return fmt.Errorf("%s: %w", what, bmc.ErrAuth)
	case w.status == http.StatusForbidden:
		return fmt.Errorf("%s: %w", what, bmc.ErrDenied)
	case w.status == http.StatusServiceUnavailable || w.status == http.StatusTooManyRequests:
		return fmt.Errorf("%s: %w", what, bmc.ErrBusy)
	case w.status == http.StatusNotFound || w.status == http.StatusMethodNotAllowed || w.status == http.StatusNotImplemented:
		return fmt.Errorf("%s: %w", what, bmc.ErrUnsupported)
	case w.status >= 500:
		return fmt.Errorf("%s: %w (%d)", what, bmc.ErrInternal, w.status)
	}
	return fmt.Errorf("%s: %w (%d): %s", what, bmc.ErrRefused, w.status, d.redact(clip(fmt.Sprint(err), 200)))
}

func explainIf(what string, err error) error {
	if err == nil {
		return nil
	}
	return explainTransport(what, err)
}

// reset sends the action ourselves.
func (d *driver) reset(n node, kind string) error {
	target, _ := n.at("Actions", "#ComputerSystem.Reset", "target").(string)
	if target == "" {
		target = strings.TrimRight(d.system.path, "/") + "/Actions/ComputerSystem.Reset"
	}
	return d.post(target, "reset "+kind, map[string]any{"ResetType": kind})
}

// post sends an action.
func (d *driver) post(path, what string, body any) error {
	if err := checkPath(path); err != nil {
		return err
	}
	if _, err := d.api.Post(path, body); err != nil {
		return missing(d.explain(what, err))
	}
	return nil
}

// maxLibrary is the requests bmclib may make for one command. It makes five: the root, the systems, the system, and for a
// restart the last two again.
const maxLibrary = 20

// bmclib opens bmclib on the same wire, with its gofish provider alone. By itself it would try seven drivers at once, with
// a login each. It is told to use basic authentication with placeholders; the wire puts our session in their place.
func (d *driver) bmclib(ctx context.Context) (*bmclib.Client, error) {
	if d.library != nil {
		return d.library, nil
	}
	host, port, err := d.target.HostPort(443)
	if err != nil {
		return nil, err
	}
	options := []bmclibfish.Option{
		bmclibfish.WithHttpClient(d.wire.client()),
		bmclibfish.WithPort(fmt.Sprint(port)),
		bmclibfish.WithUseBasicAuth(true),
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	provider := bmclibfish.New(host, "session", "session", logr.Discard(), options...)
	registry := registrar.NewRegistry()
	registry.Register(bmclibfish.ProviderName, bmclibfish.ProviderProtocol, bmclibfish.Features, nil, provider)
	client := bmclib.NewClient(host, "session", "session", bmclib.WithRegistry(registry), bmclib.WithPerProviderTimeout(requestTime*2))
	if err := client.Open(ctx); err != nil {
		return nil, err
	}
	d.library = client
	return client, nil
}

package ipmi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/bmc-toolbox/bmclib/v2"
	"github.com/bmc-toolbox/bmclib/v2/providers/ipmitool"
	"github.com/jacobweinstock/registrar"

	"berth/bmc"
)

// toolPaths is where Debian, and people who build it themselves, have ipmitool. It is looked for by its full name: a
// search of PATH would run whatever is called so.
var toolPaths = []string{"/usr/bin/ipmitool", "/usr/sbin/ipmitool", "/usr/local/bin/ipmitool"}

func findIpmitool() string {
	for _, p := range toolPaths {
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return p
		}
	}
	return ""
}

// bmclib makes a client with the ipmitool provider alone. The provider hands the password over in the environment of the
// process, which only its owner and root can read, not in its arguments. The suite is the one our session has, so that a
// BMC does not see two attempts where one is meant.
func (d *driver) bmclib() (*bmclib.Client, error) {
	host, port, err := d.target.HostPort(623)
	if err != nil {
		return nil, err
	}
	if strings.Contains(host, ":") {
		// bmclib glues host and port together and takes them apart again.
		host = "[" + host + "]"
	}
	provider, err := ipmitool.New(host, d.target.Username, d.target.Password.Reveal(),
		ipmitool.WithPort(strconv.Itoa(int(port))), ipmitool.WithIpmitoolPath(d.ipmitool), ipmitool.WithCipherSuite(strconv.Itoa(int(d.session.keys.id))))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bmc.ErrUnsupported, err)
	}
	registry := registrar.NewRegistry()
	registry.Register(ipmitool.ProviderName, ipmitool.ProviderProtocol, ipmitool.Features, nil, provider)
	return bmclib.NewClient(host, d.target.Username, "", bmclib.WithRegistry(registry), bmclib.WithPerProviderTimeout(toolTime)), nil
}

// toolTime bounds one command through ipmitool, which by itself waits five seconds four times.
const toolTime = 30 * time.Second

func (d *driver) powerByTool(ctx context.Context, word string) error {
	return d.byTool(ctx, "power "+word, func(c *bmclib.Client) error {
		_, err := c.SetPowerState(ctx, word)
		return err
	})
}

func (d *driver) bootByTool(ctx context.Context, word string, want bmc.Boot) error {
	return d.byTool(ctx, "set the boot device to "+want.String(), func(c *bmclib.Client) error {
		_, err := c.SetBootDevice(ctx, word, want.Persistent, want.Mode == bmc.BootModeUEFI)
		return err
	})
}

func (d *driver) byTool(ctx context.Context, what string, run func(*bmclib.Client) error) error {
	if d.closed {
		return fmt.Errorf("%s: %w: the conversation is closed", what, bmc.ErrUnreachable)
	}
	client, err := d.bmclib()
	if err == nil {
		err = run(client)
	}
	if err != nil {
		return fmt.Errorf("%s through ipmitool: %w", what, d.explainTool(ctx, err))
	}
	return nil
}

// explainTool sorts what ipmitool prints, which is all it gives.
func (d *driver) explainTool(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", bmc.ErrUnreachable, context.Cause(ctx))
	}
	says := strings.Join(strings.Fields(err.Error()), " ")
	if len(says) > 300 {
		says = says[:300]
	}
	if p := d.target.Password.Reveal(); p != "" {
		says = strings.ReplaceAll(says, p, "***")
	}
	lower := strings.ToLower(says)
	for _, c := range []struct {
		part string
		kind error
	}{
		{"unable to establish", bmc.ErrUnreachable},
		{"deadline exceeded", bmc.ErrUnreachable},
		{"insufficient privilege", bmc.ErrDenied},
		{"invalid command", bmc.ErrUnsupported},
		{"not supported", bmc.ErrRefused},
		{"invalid data field", bmc.ErrRefused},
		{"node busy", bmc.ErrBusy},
		{"unspecified error", bmc.ErrInternal},
	} {
		if strings.Contains(lower, c.part) {
			return fmt.Errorf("%w: %s", c.kind, says)
		}
	}
	return fmt.Errorf("%w: %s", bmc.ErrInternal, says)
}

// maxEvents bounds a log that is read; the newest are kept.
const maxEvents = 2000

// Events is the system event log, by bmclib: ipmitool has the tables that give the records words.
func (d *driver) Events(ctx context.Context) ([]bmc.Event, error) {
	if d.ipmitool == "" {
		return nil, fmt.Errorf("read the event log: %w: ipmitool is not installed (Debian package ipmitool)", bmc.ErrUnsupported)
	}
	var events []bmc.Event
	err := d.byTool(ctx, "read the event log", func(c *bmclib.Client) error {
		entries, err := c.GetSystemEventLog(ctx)
		if err != nil {
			return err
		}
		for _, e := range entries[max(0, len(entries)-maxEvents):] {
			if len(e) < 4 {
				return errors.New("an entry without a message")
			}
			// The BMC's clock has no zone; most run in UTC.
			at, _ := time.Parse("01/02/2006 15:04:05", strings.TrimSuffix(e[1], " UTC"))
			events = append(events, bmc.Event{ID: e[0], At: at, Message: strings.TrimSpace(e[2] + ": " + e[3])})
		}
		return nil
	})
	return events, err
}

// Package placement puts things where they stand, and plans that they stand elsewhere: a device into a rack, a plan of many moves with its
// conflicts and its order, the list of what must leave a site.
//
// It reads through a [Reader], which both a record and a transaction can be, and writes through an inventory.Tx. What may stand where is
// not decided here: the nouns' own rules refuse, whoever asks.
package placement

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"berth/inventory"
)

// Reader is what lists are read from: an inventory.Record, or a transaction (see In).
type Reader interface {
	List(ctx context.Context, n *inventory.Noun, q inventory.Query) (inventory.Page, error)
}

// In reads from a transaction.
func In(tx inventory.Tx) Reader { return inTx{tx} }

type inTx struct{ tx inventory.Tx }

func (r inTx) List(_ context.Context, n *inventory.Noun, q inventory.Query) (inventory.Page, error) {
	return r.tx.List(n, q)
}

// all reads every object that matches, page by page.
func all[T any](ctx context.Context, r Reader, q inventory.Query) ([]*T, error) {
	return inventory.ListAll[T](func(n *inventory.Noun, q inventory.Query) (inventory.Page, error) { return r.List(ctx, n, q) }, q, 0)
}

// maxIn is how many values a filter compares with at once.
const maxIn = 500

// among reads every object whose field is one of the uids; empty ones ask for nothing.
func among[T any](ctx context.Context, r Reader, field string, uids []inventory.UID, only ...string) ([]*T, error) {
	uids = slices.Compact(slices.Sorted(slices.Values(uids)))
	uids = slices.DeleteFunc(uids, func(u inventory.UID) bool { return u == "" })
	var list []*T
	for part := range slices.Chunk(uids, maxIn) {
		texts := make([]string, len(part))
		for i, u := range part {
			texts[i] = string(u)
		}
		some, err := all[T](ctx, r, inventory.Query{Filters: []inventory.Filter{{Field: field, Op: inventory.OpIn, Value: strings.Join(texts, ",")}}, Only: only})
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
	}
	return list, nil
}

func uidsOf[T any](list []T, of func(T) inventory.UID) []inventory.UID {
	uids := make([]inventory.UID, len(list))
	for i, x := range list {
		uids[i] = of(x)
	}
	return uids
}

func byUID[T inventory.Object](list []T) map[inventory.UID]T {
	m := make(map[inventory.UID]T, len(list))
	for _, x := range list {
		m[x.Head().UID] = x
	}
	return m
}

// drawn are the fields of a device that a drawing shows or a rule of room needs. A wall is a thousand devices, and reading all of their
// fields would take most of its time.
var drawn = []string{"name", "asset", "device_type", "role", "status", "site", "location", "rack", "position", "face", "slot", "side", "over_reservation", "provision_state", "power", "serial"}

// Contents reads what is in racks, in three statements for up to a thousand devices. Of the devices it reads what a drawing shows: they
// are to be looked at, not to be stored.
func Contents(ctx context.Context, r Reader, racks []*inventory.Rack) ([]inventory.RackContents, error) {
	uids := uidsOf(racks, func(x *inventory.Rack) inventory.UID { return x.UID })
	devices, err := among[inventory.Device](ctx, r, "rack", uids, drawn...)
	if err != nil {
		return nil, fmt.Errorf("read what is in the racks: %w", err)
	}
	types, err := typesOf(ctx, r, devices)
	if err != nil {
		return nil, err
	}
	reserved, err := among[inventory.RackReservation](ctx, r, "rack", uids)
	if err != nil {
		return nil, fmt.Errorf("read what is reserved in the racks: %w", err)
	}
	list := make([]inventory.RackContents, len(racks))
	at := map[inventory.UID]*inventory.RackContents{}
	for i, rack := range racks {
		list[i] = inventory.RackContents{Rack: rack, Types: types}
		at[rack.UID] = &list[i]
	}
	for _, d := range devices {
		at[d.Rack].Devices = append(at[d.Rack].Devices, d)
	}
	for _, v := range reserved {
		at[v.Rack].Reservations = append(at[v.Rack].Reservations, v)
	}
	return list, nil
}

func typesOf(ctx context.Context, r Reader, devices []*inventory.Device) (map[inventory.UID]*inventory.DeviceType, error) {
	list, err := among[inventory.DeviceType](ctx, r, "uid", uidsOf(devices, func(d *inventory.Device) inventory.UID { return d.DeviceType }))
	if err != nil {
		return nil, fmt.Errorf("read device types: %w", err)
	}
	return byUID(list), nil
}

// Power works out what the devices draw from the feeds that end in a rack, in five statements.
func Power(ctx context.Context, r Reader, rack *inventory.Rack, devices []*inventory.Device) (inventory.Power, error) {
	var parts inventory.PowerParts
	var err error
	if parts.Feeds, err = all[inventory.PowerFeed](ctx, r, inventory.Query{Filters: []inventory.Filter{inventory.Is("rack", rack.UID)}, Sort: "name"}); err != nil {
		return inventory.Power{}, fmt.Errorf("read the feeds of rack %s: %w", rack.Name, err)
	}
	if err := readPower(ctx, r, devices, &parts); err != nil {
		return inventory.Power{}, fmt.Errorf("read the power of rack %s: %w", rack.Name, err)
	}
	return inventory.PowerOf(parts), nil
}

// SitePower works out what all devices of a site draw, from the feeds of its panels.
func SitePower(ctx context.Context, r Reader, site inventory.UID, devices []*inventory.Device) (inventory.Power, error) {
	panels, err := all[inventory.PowerPanel](ctx, r, inventory.Query{Filters: []inventory.Filter{inventory.Is("site", site)}})
	if err != nil {
		return inventory.Power{}, fmt.Errorf("read the panels of a site: %w", err)
	}
	var parts inventory.PowerParts
	if parts.Feeds, err = among[inventory.PowerFeed](ctx, r, "power_panel", uidsOf(panels, func(p *inventory.PowerPanel) inventory.UID { return p.UID })); err != nil {
		return inventory.Power{}, fmt.Errorf("read the feeds of a site: %w", err)
	}
	if err := readPower(ctx, r, devices, &parts); err != nil {
		return inventory.Power{}, fmt.Errorf("read the power of a site: %w", err)
	}
	return inventory.PowerOf(parts), nil
}

func readPower(ctx context.Context, r Reader, devices []*inventory.Device, parts *inventory.PowerParts) (err error) {
	uids := uidsOf(devices, func(d *inventory.Device) inventory.UID { return d.UID })
	if parts.Ports, err = among[inventory.PowerPort](ctx, r, "device", uids); err != nil {
		return err
	}
	if parts.Outlets, err = among[inventory.PowerOutlet](ctx, r, "device", uids); err != nil {
		return err
	}
	// Every cable that carries power ends at a power port.
	ports := uidsOf(parts.Ports, func(p *inventory.PowerPort) inventory.UID { return p.UID })
	for _, field := range []string{"a_power_port", "b_power_port"} {
		cables, err := among[inventory.Cable](ctx, r, field, ports)
		if err != nil {
			return err
		}
		parts.Cables = append(parts.Cables, cables...)
	}
	return nil
}

package placement

import (
	"fmt"
	"strconv"

	"berth/inventory"
)

// Place is where a device shall stand. Without a rack it stands in none; without a position it lies in the rack, or hangs at a side.
type Place struct {
	Rack     inventory.UID
	Position *float64
	Face     string // front or rear; empty is front
	Slot     int
	Side     string
	// OverReservation is why it may stand in reserved units.
	OverReservation string
}

// Put stands a device somewhere else. A device that goes to another rack goes to that rack's site and location with it, and its asset
// too. Errors: inventory.ErrNotFound, *inventory.Invalid, *inventory.Conflict naming what is in the way.
func Put(tx inventory.Tx, device string, p Place) (*inventory.Device, error) {
	d, err := inventory.TxGet[inventory.Device](tx, device)
	if err != nil {
		return nil, err
	}
	site, location := d.Site, d.Location
	if p.Rack != d.Rack && p.Rack != "" {
		rack, err := inventory.TxGet[inventory.Rack](tx, string(p.Rack))
		if err != nil {
			return nil, err
		}
		site, location = rack.Site, rack.Location
	}
	if p.Face == "" && p.Position != nil {
		p.Face = "front"
	}
	d.Rack, d.Position, d.Face, d.Slot, d.Side, d.OverReservation = p.Rack, p.Position, p.Face, p.Slot, p.Side, p.OverReservation
	return d, stand(tx, d, site, location)
}

// stand stores a device at a site, and the asset that it is.
func stand(tx inventory.Tx, d *inventory.Device, site, location inventory.UID) error {
	moved := d.Site != site || d.Location != location
	d.Site, d.Location = site, location
	if err := tx.Update(d); err != nil {
		return err
	}
	if !moved || d.Asset == "" {
		return nil
	}
	asset, err := inventory.TxGet[inventory.Asset](tx, string(d.Asset))
	if err != nil {
		return fmt.Errorf("find the asset of %s: %w", d.Name, err)
	}
	asset.Site, asset.Location = site, location
	return tx.Update(asset)
}

// ApplyMove makes one line of a plan true: removed takes the device out of its rack and remembers where it stood; done puts it where the
// plan wants it; planned puts it back where it stood; cancelled leaves it where it is. by is person, scan or boot.
// Errors: inventory.ErrNotFound, *inventory.Invalid, *inventory.Conflict.
func ApplyMove(tx inventory.Tx, move, state, by string) (*inventory.Move, error) {
	m, err := inventory.TxGet[inventory.Move](tx, move)
	if err != nil {
		return nil, err
	}
	if !m.Open() {
		return nil, &inventory.Conflict{Noun: "move", UID: m.UID, Why: "this line is " + m.State + " already; undo that in the change log"}
	}
	d, err := inventory.TxGet[inventory.Device](tx, string(m.Device))
	if err != nil {
		return nil, fmt.Errorf("find the device that moves: %w", err)
	}
	switch state {
	case "removed":
		err = takeOut(tx, m, d)
	case "done":
		err = putIn(tx, m, d, by)
	case "planned":
		err = putBack(tx, m, d)
	case "cancelled":
	default:
		return nil, inventory.NotAllowed("move", "state", "is one of planned, removed, done, cancelled")
	}
	if err != nil {
		return nil, err
	}
	m.State = state
	if err := tx.Update(m); err != nil {
		return nil, err
	}
	return m, settlePlan(tx, m.MovePlan)
}

func takeOut(tx inventory.Tx, m *inventory.Move, d *inventory.Device) error {
	if m.State == "removed" {
		return nil
	}
	m.From = fromOf(d)
	d.Rack, d.Position, d.Face, d.Slot, d.Side, d.OverReservation = "", nil, "", 0, "", ""
	return tx.Update(d)
}

func putIn(tx inventory.Tx, m *inventory.Move, d *inventory.Device, by string) error {
	if m.State == "planned" {
		m.From = fromOf(d)
	}
	now := tx.Now()
	m.DoneAt, m.DoneBy = &now, by
	to := m.Placed(d)
	return stand(tx, to, m.ToSite, m.ToLocation)
}

func putBack(tx inventory.Tx, m *inventory.Move, d *inventory.Device) error {
	if m.State == "planned" {
		return nil
	}
	d.Rack, d.Face, d.Side, d.Position = inventory.UID(m.From["rack"]), m.From["face"], m.From["side"], nil
	d.Slot, _ = strconv.Atoi(m.From["slot"]) // we wrote it; a missing one is slot 0
	d.OverReservation = m.From["over_reservation"]
	if position, err := strconv.ParseFloat(m.From["position"], 64); err == nil {
		d.Position = &position
	}
	m.From = map[string]string{}
	return stand(tx, d, d.Site, d.Location)
}

// fromOf writes down where a device stands.
func fromOf(d *inventory.Device) map[string]string {
	from := map[string]string{"site": string(d.Site), "location": string(d.Location), "rack": string(d.Rack), "face": d.Face, "side": d.Side, "slot": strconv.Itoa(d.Slot), "over_reservation": d.OverReservation}
	if d.Position != nil {
		from["position"] = strconv.FormatFloat(*d.Position, 'f', -1, 64)
	}
	for key, value := range from {
		if value == "" {
			delete(from, key)
		}
	}
	return from
}

// settlePlan moves the plan's own status along: under way with the first line that is made true, done with the last.
func settlePlan(tx inventory.Tx, uid inventory.UID) error {
	plan, err := inventory.TxGet[inventory.MovePlan](tx, string(uid))
	if err != nil {
		return fmt.Errorf("find the plan of a move: %w", err)
	}
	moves, err := all[inventory.Move](tx.Context(), In(tx), inventory.Query{Filters: []inventory.Filter{inventory.Is("move_plan", uid)}})
	if err != nil {
		return fmt.Errorf("read the moves of plan %s: %w", plan.Name, err)
	}
	open, begun := 0, false
	for _, m := range moves {
		if m.Open() {
			open++
		}
		begun = begun || m.State == "removed" || m.State == "done"
	}
	status := plan.Status
	switch {
	case status == "cancelled" || !begun:
	case open == 0:
		status = "done"
	default:
		status = "under_way"
	}
	if status == plan.Status {
		return nil
	}
	plan.Status = status
	return tx.Update(plan)
}

// Arrived marks as done, by its first boot, the move of a device that was taken out and has now come up where the plan wanted it: the one
// open move of a device that is out of its rack. It answers nil when there is none.
func Arrived(tx inventory.Tx, device inventory.UID) (*inventory.Move, error) {
	moves, err := all[inventory.Move](tx.Context(), In(tx), inventory.Query{Filters: []inventory.Filter{inventory.Is("device", device), inventory.Is("state", "removed")}})
	if err != nil {
		return nil, fmt.Errorf("look for the move of a device that came up: %w", err)
	}
	if len(moves) != 1 {
		return nil, nil
	}
	return ApplyMove(tx, string(moves[0].UID), "done", "boot")
}

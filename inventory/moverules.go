package inventory

import "fmt"

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (m *Move) Check() error {
	bad := &findings{noun: "move"}
	setDefault(&m.State, "planned")
	if m.ToPosition != nil {
		setDefault(&m.ToFace, "front")
		if m.ToRack == "" {
			bad.add("to_position", "needs a rack")
		}
		if *m.ToPosition < 1 || *m.ToPosition > 200 || !inSteps(*m.ToPosition) {
			bad.add("to_position", "is a unit of the rack, in steps of 0.5")
		}
	}
	if m.ToSlot < 0 || m.ToSlot > 3 {
		bad.add("to_slot", "is from 0 to 3")
	}
	return bad.err()
}

// Open tells whether a move is still to be made.
func (m *Move) Open() bool { return m.State == "planned" || m.State == "removed" }

// Placed is the device as it stands after the move; the device itself stays as it is.
func (m *Move) Placed(d *Device) *Device {
	moved := *d
	moved.Site, moved.Location, moved.Rack = m.ToSite, m.ToLocation, m.ToRack
	moved.Position, moved.Face, moved.Slot, moved.Side = m.ToPosition, m.ToFace, m.ToSlot, m.ToSide
	moved.OverReservation = ""
	return &moved
}

// CheckIn sees that the rack is at the site it goes to, and that a plan moves a device once. Errors: *Invalid, *Conflict.
func (m *Move) CheckIn(tx Tx, before Object) error {
	old, _ := before.(*Move)
	if m.ToRack != "" && (old == nil || old.ToRack != m.ToRack || old.ToSite != m.ToSite) {
		rack, err := TxGet[Rack](tx, string(m.ToRack))
		if err != nil {
			return unknownRef(err, "move", "to_rack")
		}
		setDefault(&m.ToSite, rack.Site)
		setDefault(&m.ToLocation, rack.Location)
		if m.ToSite != rack.Site {
			return NotAllowed("move", "to_site", "is another than that of rack %s", rack.Name)
		}
	}
	if !m.Open() || old != nil && old.Device == m.Device && old.MovePlan == m.MovePlan && old.Open() {
		return nil
	}
	others, err := TxList[Move](tx, Query{Filters: []Filter{Is("move_plan", m.MovePlan), Is("device", m.Device)}, Limit: MaxPage})
	if err != nil {
		return fmt.Errorf("look for other moves of the device: %w", err)
	}
	for _, o := range others {
		if o.UID != m.UID && o.Open() {
			return &Conflict{Noun: "move", UID: o.UID, Why: "this plan moves the device already: change that line"}
		}
	}
	return nil
}

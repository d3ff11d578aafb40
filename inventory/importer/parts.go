package importer

import (
	"encoding/json"
	"fmt"
	"strings"

	"berth/inventory"
)

// typeParts is what a device type keeps of the library's lists, as far as berth has nouns for them.
type typeParts struct {
	Interfaces []struct {
		Name     string `json:"name"`
		Type     string `json:"type"`
		MgmtOnly bool   `json:"mgmt_only"`
		Enabled  *bool  `json:"enabled"`
	} `json:"interfaces"`
	PowerPorts []struct {
		Name      string  `json:"name"`
		Type      string  `json:"type"`
		Maximum   float64 `json:"maximum_draw"`
		Allocated float64 `json:"allocated_draw"`
	} `json:"power-ports"`
	PowerOutlets []struct {
		Name      string `json:"name"`
		Type      string `json:"type"`
		PowerPort string `json:"power_port"`
		FeedLeg   string `json:"feed_leg"`
	} `json:"power-outlets"`
	ModuleBays []struct {
		Name     string `json:"name"`
		Position string `json:"position"`
	} `json:"module-bays"`
}

// Parts are the objects that a device of the type has and that it lacks so far: interfaces, power ports and outlets, bays. have are the
// names that exist already, as "interface eno1". The order is one in which they can be created.
func Parts(t *inventory.DeviceType, device inventory.UID, have map[string]bool) ([]inventory.Object, error) {
	var parts typeParts
	if len(t.Parts) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(t.Parts, &parts); err != nil {
		return nil, fmt.Errorf("read the parts of device type %s: %w", t.Slug, err)
	}
	var out []inventory.Object
	add := func(noun, name string, obj inventory.Object) {
		if key := noun + " " + name; name != "" && !have[key] {
			have[key] = true
			obj.Head().UID = inventory.NewUID()
			out = append(out, obj)
		}
	}
	for _, p := range parts.Interfaces {
		kind := "physical"
		switch {
		case p.MgmtOnly:
			kind = "bmc"
		case p.Type == "lag":
			kind = "bond"
		case p.Type == "bridge":
			kind = "bridge"
		}
		add("interface", p.Name, &inventory.Interface{Device: device, Name: p.Name, Kind: kind, Type: p.Type, Enabled: p.Enabled == nil || *p.Enabled})
	}
	ports := map[string]inventory.UID{}
	for _, p := range parts.PowerPorts {
		port := &inventory.PowerPort{Device: device, Name: p.Name, Type: p.Type, MaximumDrawW: int(p.Maximum), AllocatedDrawW: int(p.Allocated)}
		add("power-port", p.Name, port)
		ports[p.Name] = port.UID
	}
	for _, p := range parts.PowerOutlets {
		leg := strings.ToUpper(p.FeedLeg)
		if leg != "A" && leg != "B" && leg != "C" {
			leg = ""
		}
		add("power-outlet", p.Name, &inventory.PowerOutlet{Device: device, Name: p.Name, Type: p.Type, PowerPort: ports[p.PowerPort], FeedLeg: leg})
	}
	for _, p := range parts.ModuleBays {
		add("module-bay", p.Name, &inventory.ModuleBay{Device: device, Name: p.Name, Position: p.Position, Kind: kindOfPart(p.Name)})
	}
	return out, nil
}

// Equip creates in one edit what the device's type lists and the device lacks, and returns how many that were. Errors: ErrNotFound,
// *inventory.Conflict for a device without a type.
func Equip(tx inventory.Tx, ref string) (int, error) {
	device, err := inventory.TxGet[inventory.Device](tx, ref)
	if err != nil {
		return 0, err
	}
	if device.DeviceType == "" {
		return 0, &inventory.Conflict{Noun: "device", UID: device.UID, Why: "it has no device type, so nobody knows what parts it has"}
	}
	t, err := inventory.TxGet[inventory.DeviceType](tx, string(device.DeviceType))
	if err != nil {
		return 0, err
	}
	have := map[string]bool{}
	for _, noun := range []string{"interface", "power-port", "power-outlet", "module-bay"} {
		if err := namesIn(tx, noun, device.UID, have); err != nil {
			return 0, err
		}
	}
	parts, err := Parts(t, device.UID, have)
	if err != nil {
		return 0, err
	}
	for _, obj := range parts {
		if err := tx.Create(obj); err != nil {
			return 0, err
		}
	}
	return len(parts), nil
}

// namesIn notes the names of a device's parts of one noun.
func namesIn(tx inventory.Tx, noun string, device inventory.UID, have map[string]bool) error {
	n := mustNoun(noun)
	q := inventory.Query{Filters: []inventory.Filter{inventory.Is("device", device)}, Limit: inventory.MaxPage, NoNames: true}
	for {
		page, err := tx.List(n, q)
		if err != nil {
			return fmt.Errorf("list the parts of the device: %w", err)
		}
		for _, obj := range page.Items {
			have[noun+" "+n.Display(obj)] = true
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return nil
		}
	}
}

package redfish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"berth/bmc"
)

// maxEvents bounds a log that is read; the newest are kept.
const maxEvents = 2000

// manager finds the BMC's own resource: the one that says it manages the system, or the first.
func (d *driver) manager() (node, error) {
	n, _, err := d.computer()
	if err != nil {
		return nil, err
	}
	paths := n.links("Links", "ManagedBy")
	if len(paths) == 0 {
		if paths, err = d.members(d.root.link("Managers")); err != nil {
			return nil, err
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%w: it lists no manager", bmc.ErrUnsupported)
	}
	m, err := d.get(paths[0])
	if err != nil {
		return nil, err
	}
	m["@odata.id"] = paths[0] // the way that led here is right, whatever the resource calls itself
	return m, nil
}

// RestartBMC restarts the manager, gracefully where it can.
func (d *driver) RestartBMC(ctx context.Context) error {
	end, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	m, err := d.manager()
	if err != nil {
		return d.expired(err)
	}
	action := m.obj("Actions", "#Manager.Reset")
	target, _ := action["target"].(string)
	if target == "" {
		return fmt.Errorf("restart the BMC: %w", bmc.ErrUnsupported)
	}
	kind := "GracefulRestart"
	if list := action.words("ResetType@Redfish.AllowableValues"); len(list) > 0 && !slices.Contains(list, kind) {
		kind = "ForceRestart"
	}
	return d.expired(d.post(target, "restart the BMC", map[string]any{"ResetType": kind}))
}

// SendNMI interrupts the machine.
func (d *driver) SendNMI(ctx context.Context) error {
	end, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	n, _, err := d.computer()
	if err != nil {
		return d.expired(err)
	}
	kind, err := d.resetType(n, order{types: []string{"Nmi"}})
	if err != nil {
		return err
	}
	return d.expired(d.reset(n, kind))
}

// drive finds the virtual CD: under the manager, or under the system as newer services have it (DSP0268, VirtualMedia).
func (d *driver) drive() (node, string, error) {
	var collections []string
	if m, err := d.manager(); err == nil {
		collections = append(collections, m.link("VirtualMedia"))
	}
	if n, _, err := d.computer(); err == nil {
		collections = append(collections, n.link("VirtualMedia"))
	}
	for _, c := range collections {
		paths, err := d.members(c)
		if err != nil && !errors.Is(err, errNotFound) {
			return nil, "", err
		}
		for _, path := range paths {
			n, err := d.get(path)
			if err != nil {
				return nil, "", err
			}
			kinds := n.words("MediaTypes")
			if slices.Contains(kinds, "CD") || slices.Contains(kinds, "DVD") {
				return n, path, nil
			}
		}
	}
	return nil, "", fmt.Errorf("virtual media: %w: it has no CD drive", bmc.ErrUnsupported)
}

// Media tells what is in the virtual CD drive.
func (d *driver) Media(ctx context.Context) (string, error) {
	end, err := d.begin(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	n, _, err := d.drive()
	if err != nil {
		return "", d.expired(err)
	}
	if in := n.truth("Inserted"); in != nil && !*in {
		return "", nil
	}
	return n.first("Image", "ImageName"), nil
}

// InsertMedia puts the image at url into the virtual CD drive.
func (d *driver) InsertMedia(ctx context.Context, url string) error {
	end, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	n, path, err := d.drive()
	if err != nil {
		return d.expired(err)
	}
	if in := n.truth("Inserted"); in != nil && *in {
		if err := d.eject(n, path); err != nil {
			return d.expired(err)
		}
	}
	target, _ := n.at("Actions", "#VirtualMedia.InsertMedia", "target").(string)
	if target == "" {
		// Before InsertMedia was an action the Image property was written (VirtualMedia 1.0).
		return d.expired(d.patch(path, "", map[string]any{"Image": url}))
	}
	err = d.post(target, "insert media", map[string]any{"Image": url, "Inserted": true, "WriteProtected": true})
	if errors.Is(err, bmc.ErrRefused) {
		// Some refuse the two properties that only say what is the standard anyway.
		err = d.post(target, "insert media", map[string]any{"Image": url})
	}
	return d.expired(err)
}

// EjectMedia empties the virtual CD drive.
func (d *driver) EjectMedia(ctx context.Context) error {
	end, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	n, path, err := d.drive()
	if err != nil {
		return d.expired(err)
	}
	if in := n.truth("Inserted"); in != nil && !*in {
		return nil
	}
	return d.expired(d.eject(n, path))
}

func (d *driver) eject(n node, path string) error {
	target, _ := n.at("Actions", "#VirtualMedia.EjectMedia", "target").(string)
	if target == "" {
		return d.patch(path, "", map[string]any{"Image": nil})
	}
	return d.post(target, "eject media", map[string]any{})
}

// Events reads the logs of the system and of its manager, oldest first.
func (d *driver) Events(ctx context.Context) ([]bmc.Event, error) {
	end, err := d.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	n, _, err := d.computer()
	if err != nil {
		return nil, d.expired(err)
	}
	collections := []string{n.link("LogServices")}
	if m, err := d.manager(); err == nil {
		collections = append(collections, m.link("LogServices"))
	}
	var events []bmc.Event
	for _, c := range collections {
		services, err := d.members(c)
		if err != nil && !errors.Is(err, errNotFound) {
			return nil, d.expired(err)
		}
		for _, path := range services {
			more, err := d.log(path)
			if err != nil {
				return nil, d.expired(err)
			}
			events = append(events, more...)
		}
	}
	slices.SortStableFunc(events, func(a, b bmc.Event) int { return a.At.Compare(b.At) })
	if len(events) > maxEvents {
		events = events[len(events)-maxEvents:]
	}
	return events, nil
}

// log reads one log's entries, which a service gives whole within the collection (DSP0268, LogEntryCollection).
func (d *driver) log(path string) ([]bmc.Event, error) {
	service, err := d.get(path)
	if err != nil {
		if errors.Is(err, errNotFound) {
			return nil, nil
		}
		return nil, err
	}
	var events []bmc.Event
	pages := map[string]bool{}
	for page := service.link("Entries"); page != "" && !pages[page] && len(pages) < maxPages; {
		pages[page] = true
		n, err := d.get(page)
		if err != nil {
			return events, err
		}
		for _, e := range n.list("Members") {
			if m := e.str("Message"); m != "" {
				at, _ := time.Parse(time.RFC3339, e.str("Created"))
				events = append(events, bmc.Event{ID: e.str("Id"), At: at, Severity: e.str("Severity"), Message: m})
			}
		}
		page, _ = n["Members@odata.nextLink"].(string)
	}
	return events, nil
}

// SetPassword changes an account's password.
func (d *driver) SetPassword(ctx context.Context, username string, password bmc.Secret) error {
	end, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	d.secrets = append(d.secrets, password)
	service, err := d.get(d.root.link("AccountService"))
	if err != nil {
		return d.expired(fmt.Errorf("find the accounts: %w", err))
	}
	paths, err := d.members(service.link("Accounts"))
	if err != nil {
		return d.expired(fmt.Errorf("find the accounts: %w", err))
	}
	for _, path := range paths {
		n, tag, err := d.getTagged(path)
		if err != nil {
			return d.expired(err)
		}
		// Not str: an account may well be called "none".
		if name, _ := n["UserName"].(string); name == username {
			return d.expired(d.patch(path, tag, map[string]any{"Password": password.Reveal()}))
		}
	}
	return fmt.Errorf("the BMC has no account %q: %w", username, bmc.ErrRefused)
}

func lower(s string) string { return strings.ToLower(s) }

package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"berth/internal/pgtest"
	"berth/inventory"
	"berth/inventory/text"
)

// exportText is the whole record as files.
func exportText(t *testing.T, s *Store) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := s.Snapshot(context.Background(), func(at inventory.Reader) error {
		_, err := text.Export(context.Background(), at, func(name string, data []byte) error {
			if _, twice := files[name]; twice {
				t.Errorf("%s was written twice", name)
			}
			files[name] = string(data)
			return nil
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func readText(files map[string]string) (*text.Directory, error) {
	data := map[string][]byte{}
	for name, s := range files {
		data[name] = []byte(s)
	}
	return text.Read(data)
}

func planText(t *testing.T, s *Store, files map[string]string, opt text.Options) (*text.Plan, error) {
	t.Helper()
	dir, err := readText(files)
	if err != nil {
		return nil, err
	}
	opt.CanOpen = s.Reveal
	return dir.Plan(context.Background(), s, opt)
}

// applyText brings files in and returns the request.
func applyText(t *testing.T, s *Store, files map[string]string, opt text.Options) inventory.UID {
	t.Helper()
	plan, err := planText(t, s, files, opt)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	req := inventory.NewRequest(anna, "apply")
	run, err := text.Apply(context.Background(), s, plan, text.Run{Request: req, Commit: "abc"})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	if run.State != "done" || run.Done != len(plan.Steps) || run.Request != req.ID {
		t.Errorf("the run is %+v", run)
	}
	return req.ID
}

// everyNoun makes objects of every noun that people keep, with every field filled, and something attached to one of each.
func everyNoun(t *testing.T, s *Store) {
	t.Helper()
	for i, n := range kept() {
		obj := filled(n, 5000+10*i)
		refer(t, s, n, obj)
		create(t, s, obj)
		if !n.Attached {
			create(t, s, &inventory.Comment{Noun: n.Name, Object: obj.Head().UID, Text: fmt.Sprintf("a word on a %s:\n\n  \"quoted\" # no comment\n", n.Name)})
		}
	}
}

func diffFiles(t *testing.T, got, want map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s:\n got %s\nwant %s", name, got[name], want[name])
			return
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is new", name)
		}
	}
}

// TestTextRoundTrip: export, an empty record, apply, export: byte by byte the same, with every noun in it, on and between both databases.
func TestTextRoundTrip(t *testing.T) {
	key := testKey(t)
	both(t, func(t *testing.T, opt Options) {
		opt.Sealer = key
		s := openTest(t, opt)
		everyNoun(t, s)
		want := exportText(t, s)
		for _, n := range kept() {
			if n.Attached {
				continue
			}
			if !slices.ContainsFunc(slices.Collect(maps.Keys(want)), func(name string) bool { return strings.HasPrefix(name, n.Plural+"/") }) &&
				!slices.ContainsFunc(slices.Collect(maps.Values(want)), func(s string) bool { return strings.Contains(s, "\n"+n.Plural+":\n") }) {
				t.Errorf("there are no %s in the export", n.Plural)
			}
		}
		if plan, err := planText(t, s, want, text.Options{Delete: true}); err != nil || !plan.Empty() || len(plan.Extra) > 0 {
			t.Fatalf("right after the export the plan is %+v, %v", plan, err)
		}
		for _, empty := range []Options{{Dir: t.TempDir(), Sealer: key}, {DSN: pgtest.Database(t), Sealer: key}} {
			other := openTest(t, empty)
			applyText(t, other, want, text.Options{})
			diffFiles(t, exportText(t, other), want)
		}
	})
}

// lines makes a file of lines.
func lines(s ...string) string { return strings.Join(s, "\n") + "\n" }

// TestTextByHand: a directory that a person wrote, without uids and with names for references, comes in whatever the order of its files; the
// second time there is nothing to do.
func TestTextByHand(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		opt.Sealer = testKey(t)
		s := openTest(t, opt)
		create(t, s, &inventory.Site{Name: "Berlin"})
		files := map[string]string{
			"devices/a.yaml": lines("name: node-1", "site: berlin", "rack: R1", "position: 3", "interfaces:", "- name: eth0", "  parent: \"\"", "components:", "- kind: disk", "  serial: 0012", "bmcs:",
				"- kind: redfish", "  address: 10.0.0.5", "  password: hunter2", "taggings:", "- tag: blue", "comments:", "- text: from the render farm"),
			"racks/x.yaml":      lines("name: R1", "site: berlin", "location: cage"),
			"locations/1.yaml":  lines("slug: cage", "name: Cage", "site: berlin", "parent: hall"),
			"locations/2.yaml":  lines("slug: hall", "name: Hall", "site: berlin"),
			"tags/x.yaml":       lines("name: Blue"),
			"contacts/ben.yaml": lines("name: Ben", "notes: |", "  first", "  second"),
		}
		applyText(t, s, files, text.Options{})
		node := find[inventory.Device](t, s, "node-1")
		disks, bmcs := all[inventory.Component](t, s), all[inventory.BMC](t, s)
		if len(disks) != 1 || disks[0].Serial != "0012" || disks[0].Device != node.UID || find[inventory.Rack](t, s, "R1").UID != node.Rack {
			t.Errorf("got %+v with %+v", node, disks)
		}
		if plain, err := s.Reveal(bmcs[0].Password); err != nil || plain != "hunter2" {
			t.Errorf("the password is %q, %v", plain, err)
		}
		for name, body := range exportText(t, s) {
			if strings.Contains(body, "hunter2") {
				t.Errorf("a password stands in %s", name)
			}
		}
		plan, err := planText(t, s, files, text.Options{})
		if err != nil || !plan.Empty() {
			t.Errorf("the second time: %+v, %v", plan, err)
		}
	})
}

// TestTextPlan shows, field by field, what would be created, changed and deleted, and does it; one undo takes all of it back.
func TestTextPlan(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		opt.Sealer = testKey(t)
		s := openTest(t, opt)
		site := create(t, s, &inventory.Site{Name: "Berlin"})
		rack := create(t, s, &inventory.Rack{Name: "R1", Site: site.UID})
		node := create(t, s, &inventory.Device{Name: "node-1", Rack: rack.UID, Role: "router"})
		bmc := create(t, s, &inventory.BMC{Device: node.UID, Kind: "redfish", Password: inventory.PlainSecret("first")})
		old := create(t, s, &inventory.Rack{Name: "R2", Site: site.UID})
		create(t, s, &inventory.Comment{Noun: "rack", Object: old.UID, Text: "to be scrapped"})
		files := exportText(t, s)
		before := maps.Clone(files)

		files["devices/node-1.yaml"] = strings.Replace(files["devices/node-1.yaml"], "role: router", "role: ceph-host", 1)
		secret := strings.Index(files["devices/node-1.yaml"], "password: ")
		end := secret + strings.Index(files["devices/node-1.yaml"][secret:], "\n")
		files["devices/node-1.yaml"] = files["devices/node-1.yaml"][:secret] + "password: second" + files["devices/node-1.yaml"][end:]
		files["sites/ulm.yaml"] = lines("name: Ulm")
		delete(files, "racks/R2.yaml")
		plan, err := planText(t, s, files, text.Options{Delete: true})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, step := range plan.Steps {
			got = append(got, fmt.Sprintf("%s %s %v", step.Action, step.Noun.Name, step.Fields))
		}
		want := []string{"create site [{name  Ulm} {slug  ulm} {status  active}]", "change device [{role router ceph-host}]", "change bmc [{password *** *** (new)}]",
			"delete comment []", "delete rack []"}
		for _, line := range want {
			if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, strings.TrimSuffix(line, "]")) || s == line }) {
				t.Errorf("the plan lacks %q: %q", line, got)
			}
		}
		if len(got) != len(want) || plan.Extra["racks"] != 1 {
			t.Errorf("got %q, extra %v", got, plan.Extra)
		}
		request := applyText(t, s, files, text.Options{Delete: true})
		if plain, _ := s.Reveal(find[inventory.BMC](t, s, string(bmc.UID)).Password); plain != "second" {
			t.Errorf("the password is %q", plain)
		}
		if runs := all[inventory.ImportRun](t, s); len(runs) != 1 || runs[0].Commit != "abc" || runs[0].Created != 1 || runs[0].Updated != 2 || runs[0].Source != "text" {
			t.Errorf("got %+v", runs[0])
		}
		if err := undo(s, request); err != nil {
			t.Fatal(err)
		}
		after := exportText(t, s)
		// A secret is not turned back: its line is another.
		delete(before, "devices/node-1.yaml")
		role := after["devices/node-1.yaml"]
		delete(after, "devices/node-1.yaml")
		diffFiles(t, after, before)
		if !strings.Contains(role, "role: router") {
			t.Errorf("after the undo:\n%s", role)
		}
	})
}

// TestTextRefused: what cannot be brought in is told with its file and line, all of it at once, and nothing is changed.
func TestTextRefused(t *testing.T) {
	opt := Options{Dir: t.TempDir(), Sealer: testKey(t)}
	s := openTest(t, opt)
	site := create(t, s, &inventory.Site{Name: "Berlin"})
	entry := create(t, s, &inventory.CustodyEvent{At: newClock().now(), Kind: "packed", Site: site.UID})
	sealed, err := testKey(t).Seal("x") // another server's
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"racks/a.yaml":          lines("name: R1", "site: paris"),
		"racks/b.yaml":          lines("name: R2", "site: berlin", "u_height: 900"),
		"sites/c.yaml":          lines("uid: "+string(inventory.NewUID()), "name: Another", "slug: berlin"),
		"webhooks/d.yaml":       lines("name: w", "url: https://example.org/", "secret: "+sealed),
		"custody-events/e.yaml": lines("uid: \""+string(entry.UID)+"\"", "at: 2026-11-22T08:00:00Z", "kind: lost", "site: berlin"),
	}
	_, err = planText(t, s, files, text.Options{})
	invalid := asInvalid(err)
	if invalid == nil {
		t.Fatal(err)
	}
	for at, why := range map[string]string{
		"racks/a.yaml:2": `there is no site "paris"`, "racks/b.yaml:3": "u_height is from 1 to 100", "sites/c.yaml:3": "is that of another site",
		"webhooks/d.yaml:3": "sealed to another server's key", "custody-events/e.yaml:3": "never changed",
	} {
		if !strings.Contains(invalid.Fields[at], why) {
			t.Errorf("%s: %q, want %q", at, invalid.Fields[at], why)
		}
	}
	if len(invalid.Fields) != 5 {
		t.Errorf("got %q", invalid.Fields)
	}
	if _, err := planText(t, s, map[string]string{"sites/a.yaml": lines("name: a")}, text.Options{Delete: true}); !errors.Is(err, text.ErrNotWhole) {
		t.Errorf("deleting what a part of the record lacks: %v", err)
	}
	// What only the transaction sees is told with its file too, and rolls all of it back.
	plan, err := planText(t, s, map[string]string{
		"tags/a.yaml": lines("name: a"), "racks/r.yaml": lines("name: R1", "site: berlin", "u_height: 4"),
		"devices/a.yaml": lines("name: a", "rack: R1", "position: 2"), "devices/b.yaml": lines("name: b", "rack: R1", "position: 2"),
	}, text.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = text.Apply(context.Background(), s, plan, text.Run{Request: inventory.NewRequest(anna, "")})
	if c := asConflict(err); c == nil || !strings.HasPrefix(c.Why, "devices/b.yaml:1: ") {
		t.Errorf("got %v", err)
	}
	if n := len(all[inventory.Tag](t, s)) + len(all[inventory.Device](t, s)); n != 0 {
		t.Errorf("%d objects stayed", n)
	}
}

// TestTextInSlices: a large directory comes in under one request, which one undo takes back; what is in the way of another in the same
// directory (a rack's unit that changes hands) waits for its turn.
func TestTextInSlices(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	files := map[string]string{"sites/a.yaml": lines("name: Berlin"), "racks/a.yaml": lines("name: R1", "site: berlin"),
		"devices/0.yaml": lines("name: first", "rack: R1", "position: 1"), "devices/1.yaml": lines("name: second", "rack: R1", "position: 2")}
	applyText(t, s, files, text.Options{})
	files["devices/0.yaml"], files["devices/1.yaml"] = lines("name: first", "rack: R1", "position: 2"), lines("name: second", "rack: R1", "position: 3")
	for i := range 1200 {
		files[fmt.Sprintf("tags/%04d.yaml", i)] = lines(fmt.Sprintf("name: tag %d", i))
	}
	request := applyText(t, s, files, text.Options{})
	if tags := all[inventory.Tag](t, s); len(tags) != 1200 || *find[inventory.Device](t, s, "first").Position != 2 {
		t.Errorf("%d tags", len(tags))
	}
	if err := undo(s, request); err != nil {
		t.Fatal(err)
	}
	if tags := all[inventory.Tag](t, s); len(tags) != 0 || *find[inventory.Device](t, s, "second").Position != 2 {
		t.Errorf("%d tags stayed", len(tags))
	}
}

// TestTextDrift: what people change after an apply is a deviation from the text, by field, until they change it back, decide, or apply anew.
func TestTextDrift(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		ctx := context.Background()
		drift := func(want ...string) map[string]*inventory.Deviation {
			t.Helper()
			n, err := text.Drift(ctx, s)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]*inventory.Deviation{}
			for _, d := range all[inventory.Deviation](t, s, inventory.Is("verdict", "open")) {
				got[fmt.Sprintf("%s.%s: %s, %s", d.Part, d.Field, d.Intended, d.Observed)] = d
			}
			if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, want) || n < len(want) {
				t.Errorf("got %q\nwant %q (%d)", keys, want, n)
			}
			return got
		}
		site := create(t, s, &inventory.Site{Name: "Berlin", Facility: "DC 1"})
		create(t, s, &inventory.Tag{Name: "Blue"})
		drift() // nothing was ever applied
		files := exportText(t, s)
		applyText(t, s, files, text.Options{})
		drift()

		site = find[inventory.Site](t, s, "berlin")
		mustEdit(t, s, func(tx inventory.Tx) error {
			site.Facility, site.Description = "DC 2", "new"
			if err := tx.Update(site); err != nil {
				return err
			}
			tag, err := inventory.TxGet[inventory.Tag](tx, "blue")
			if err != nil {
				return err
			}
			if err := tx.Delete(tag); err != nil {
				return err
			}
			return tx.Create(&inventory.Rack{Name: "R1", Site: site.UID})
		})
		facility, description, rack, tag := "site Berlin.facility: DC 1, DC 2", "site Berlin.description: , new", "rack R1.presence: not in the text, on record", "tag blue.presence: in the text, deleted"
		facility, description = strings.Replace(facility, "Berlin", "berlin", 1), strings.Replace(description, "Berlin", "berlin", 1)
		open := drift(rack, description, facility, tag)
		decide := func(what, verdict string) {
			t.Helper()
			if open[what] == nil {
				t.Fatalf("there is no %q", what)
			}
			if err := text.Decide(ctx, s, inventory.NewRequest(anna, ""), open[what], verdict, "so be it"); err != nil {
				t.Fatal(err)
			}
		}
		decide(facility, "keep_intended")
		decide(tag, "keep_intended")
		decide(rack, "ignore")
		open = drift(description)
		if got := find[inventory.Site](t, s, "berlin"); got.Facility != "DC 1" || got.Description != "new" {
			t.Errorf("got %+v", got)
		}
		find[inventory.Tag](t, s, "blue")
		decide(description, "take_observed")
		drift()
		// Another value is another difference.
		site = find[inventory.Site](t, s, "berlin")
		mustEdit(t, s, func(tx inventory.Tx) error { site.Description = "newer"; return tx.Update(site) })
		open = drift("site berlin.description: , newer")
		applyText(t, s, exportText(t, s), text.Options{})
		drift()
	})
}

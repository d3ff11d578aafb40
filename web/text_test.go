package web

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/api"
	"berth/inventory"
	"berth/inventory/text"
)

// exported unpacks what a client exports into a directory.
func (g *rig) exported(c *api.Client) string {
	g.Helper()
	var archive bytes.Buffer
	g.must(c.Export(g.ctx(), true, &archive))
	dir := filepath.Join(g.TempDir(), "record")
	_, err := text.Unpack(&archive, dir)
	g.must(err)
	return dir
}

func (g *rig) packed(dir string) *bytes.Buffer {
	g.Helper()
	var b bytes.Buffer
	g.must(text.Pack(dir, &b))
	return &b
}

// TestTextOverTheWire: with an address and a token, a client exports, plans, applies and takes it back; nobody but an administrator does.
func TestTextOverTheWire(t *testing.T) {
	g := newRig(t)
	g.world(plainText)
	ada := g.client("ada")
	dir := g.exported(ada)
	plan, err := ada.PlanText(g.ctx(), g.packed(dir), api.TextOptions{Delete: true})
	g.must(err)
	if len(plan.Steps) != 0 || plan.Unchanged == 0 {
		t.Errorf("right after the export: %+v", plan)
	}
	file := filepath.Join(dir, "racks", "r12.yaml")
	body, err := os.ReadFile(file)
	g.must(err)
	g.must(os.WriteFile(file, bytes.Replace(body, []byte("u_height: 24"), []byte("u_height: 42"), 1), 0o600))
	plan, err = ada.PlanText(g.ctx(), g.packed(dir), api.TextOptions{})
	g.must(err)
	if plan.Changes != 1 || len(plan.Steps) != 1 || plan.Steps[0].File != "racks/r12.yaml" || plan.Steps[0].Fields[0] != (api.TextField{Field: "u_height", From: "24", To: "42"}) {
		t.Errorf("got %+v", plan)
	}
	done, err := ada.ApplyText(g.ctx(), g.packed(dir), api.TextOptions{Name: "record", Commit: strings.Repeat("ab", 20)})
	g.must(err)
	rack, err := api.Get[inventory.Rack](g.ctx(), ada, "r12")
	g.must(err)
	if rack.UHeight != 42 || done.Run.State != "done" || done.Run.Commit == "" || done.Request == "" {
		t.Errorf("got %+v and %+v", rack, done)
	}
	g.must(ada.Undo(g.ctx(), done.Request, api.UndoRequest{}))
	if rack, err = api.Get[inventory.Rack](g.ctx(), ada, "r12"); err != nil || rack.UHeight != 24 {
		t.Errorf("after the undo: %+v, %v", rack, err)
	}
	g.must(os.WriteFile(file, []byte("name: r12\nsite: nowhere\n"), 0o600))
	_, err = ada.PlanText(g.ctx(), g.packed(dir), api.TextOptions{})
	wantProblem(t, err, http.StatusUnprocessableEntity, api.CodeInvalid)
	if !strings.Contains(err.Error(), "racks/r12.yaml:2") {
		t.Errorf("the fault is told without its place: %v", err)
	}
	_, err = ada.PlanText(g.ctx(), strings.NewReader("no archive"), api.TextOptions{})
	wantProblem(t, err, http.StatusUnprocessableEntity, api.CodeInvalid)

	otto := g.client("otto")
	wantProblem(t, otto.Export(g.ctx(), false, new(bytes.Buffer)), http.StatusForbidden, api.CodeForbidden)
	_, err = otto.PlanText(g.ctx(), new(bytes.Buffer), api.TextOptions{})
	wantProblem(t, err, http.StatusForbidden, api.CodeForbidden)
	_, err = otto.ApplyText(g.ctx(), new(bytes.Buffer), api.TextOptions{})
	wantProblem(t, err, http.StatusForbidden, api.CodeForbidden)
}

// TestBackupOverTheWire: a backup is fetched, refused where it would lose something, and restored when told to.
func TestBackupOverTheWire(t *testing.T) {
	g := newRig(t)
	w := g.world(plainText)
	ada := g.client("ada")
	var archive bytes.Buffer
	g.must(ada.Backup(g.ctx(), true, &archive))
	g.create(&inventory.Tag{Name: "after the backup"})
	_, err := ada.Restore(g.ctx(), bytes.NewReader(archive.Bytes()), false, "")
	wantProblem(t, err, http.StatusConflict, api.CodeConflict)
	_, err = ada.Restore(g.ctx(), bytes.NewReader(archive.Bytes()[:archive.Len()/2]), true, "")
	wantProblem(t, err, http.StatusUnprocessableEntity, api.CodeInvalid)
	made, err := ada.Restore(g.ctx(), bytes.NewReader(archive.Bytes()), true, "the disk died")
	g.must(err)
	if made.Rows["racks"] != 1 || made.Schema == 0 {
		t.Errorf("got %+v", made)
	}
	if tags, err := api.List[inventory.Tag](g.ctx(), ada, api.Query{}); err != nil || len(tags.Items) != 0 {
		t.Errorf("after the restore: %v, %v", tags.Items, err)
	}
	if rack, err := api.Get[inventory.Rack](g.ctx(), ada, "r12"); err != nil || rack.UID != w.Rack.UID {
		t.Errorf("after the restore: %+v, %v", rack, err)
	}
	wantProblem(t, g.client("otto").Backup(g.ctx(), false, new(bytes.Buffer)), http.StatusForbidden, api.CodeForbidden)
}

// TestForgetOverTheWire: an administrator forgets a person; whoever may read verifies that the chain of custody held.
func TestForgetOverTheWire(t *testing.T) {
	g := newRig(t)
	ben := &inventory.Contact{Name: "Ben", Email: "ben@example.org"}
	g.create(ben)
	g.create(&inventory.CustodyEvent{At: ben.CreatedAt, Kind: "received", Contact: ben.UID})
	_, err := g.client("otto").Forget(g.ctx(), string(ben.UID), "")
	wantProblem(t, err, http.StatusForbidden, api.CodeForbidden)
	blank, err := g.client("ada").Forget(g.ctx(), string(ben.UID), "asked")
	g.must(err)
	if !blank.Forgotten || blank.Email != "" {
		t.Errorf("got %+v", blank)
	}
	report, err := g.client("otto").VerifyCustody(g.ctx())
	g.must(err)
	if report.Links != 1 || report.Problem != "" {
		t.Errorf("got %+v", report)
	}
}

// TestUndoTellsAll: the page of an undo that is refused lists everything in its way, and so does the API.
func TestUndoTellsAll(t *testing.T) {
	g := newRig(t)
	g.world(plainText)
	ada := g.client("ada")
	rack, err := api.Get[inventory.Rack](g.ctx(), ada, "r12")
	g.must(err)
	_, err = ada.UpdateFields(g.ctx(), inventory.NounFor[inventory.Rack](), "r12", 0, map[string]any{"facility_id": "A", "serial": "B"})
	g.must(err)
	changes, err := api.List[inventory.Change](g.ctx(), ada, api.Query{Filters: map[string]string{"object": string(rack.UID)}, Sort: "-created_at"})
	g.must(err)
	_, err = ada.UpdateFields(g.ctx(), inventory.NounFor[inventory.Rack](), "r12", 0, map[string]any{"facility_id": "<script>", "serial": "D"})
	g.must(err)
	err = ada.Undo(g.ctx(), changes.Items[0].UID, api.UndoRequest{})
	wantProblem(t, err, http.StatusConflict, api.CodeConflict)
	if !strings.Contains(err.Error(), `serial was changed to "D" meanwhile by ada`) {
		t.Errorf("got %v", err)
	}
}

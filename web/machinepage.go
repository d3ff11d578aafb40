package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"berth/api"
	"berth/inventory"
	"berth/provision"
	"berth/storage"
)

// machinesView is the list of machines, each with what is being done to it.
type machinesView struct {
	listView
	Rows []machineRow
	Tabs []tab
}

type machineRow struct {
	*inventory.Device
	Operation *inventory.Operation
	Step      *inventory.Step
}

// tab is a state as a quick filter.
type tab struct {
	State   inventory.State
	URL     string
	Current bool
}

func (s *Server) machinesPage(w http.ResponseWriter, r *http.Request, who caller) error {
	l, err := s.listOf(r, who, machineNoun)
	if err != nil {
		return err
	}
	v := machinesView{listView: l, Tabs: tabs(l.Query)}
	for _, d := range inventory.Items[inventory.Device](l.Page) {
		v.Rows = append(v.Rows, machineRow{Device: d})
	}
	if err := s.addWork(r.Context(), v.Rows); err != nil {
		return err
	}
	return s.render(w, r, who, "machines", view{Title: "Machines", Live: "machines,operations,steps", Data: v})
}

func tabs(query url.Values) []tab {
	current := inventory.State(query.Get("provision_state"))
	list := []tab{}
	for _, state := range append([]inventory.State{""}, inventory.States...) {
		v := url.Values{}
		for name, values := range query {
			if name != "provision_state" && name != "cursor" {
				v[name] = values
			}
		}
		if state != "" {
			v.Set("provision_state", string(state))
		}
		list = append(list, tab{State: state, URL: "/machines?" + v.Encode(), Current: state == current})
	}
	return list
}

// addWork finds the current operations of the rows and the steps they are at, in two statements.
func (s *Server) addWork(ctx context.Context, rows []machineRow) error {
	byUID := map[inventory.UID]*machineRow{}
	var uids []string
	for i := range rows {
		if op := rows[i].Device.Operation; op != "" {
			byUID[op] = &rows[i]
			uids = append(uids, string(op))
		}
	}
	if len(uids) == 0 {
		return nil
	}
	in := strings.Join(uids, ",")
	ops, err := inventory.List[inventory.Operation](ctx, s.Record, inventory.Query{Filters: []inventory.Filter{{Field: "uid", Op: inventory.OpIn, Value: in}}, Limit: inventory.MaxPage})
	if err != nil {
		return err
	}
	steps, err := inventory.List[inventory.Step](ctx, s.Record, inventory.Query{Limit: inventory.MaxPage, Filters: []inventory.Filter{
		{Field: "operation", Op: inventory.OpIn, Value: in}, {Field: "state", Op: inventory.OpIn, Value: "running,waiting"}}})
	if err != nil {
		return err
	}
	for _, op := range ops {
		byUID[op.UID].Operation = op
	}
	for _, step := range steps {
		byUID[step.Operation].Step = step
	}
	return nil
}

// machineView is everything about one machine.
type machineView struct {
	*api.MachineStatus
	Events  []*inventory.Event
	Recent  []*inventory.Operation // ended ones
	Boots   []*inventory.BootAttempt
	Changes []*inventory.Change
	Facts   factsView
	Doubt   *identityDoubt // nil when it is clear which machine this is

	Attached  *attachedView
	Documents *documentsView
	Origin    *originView // how it came to us; nil when nobody wrote it down
}

// identityDoubt is the question whether a discovered machine is one that the record knows already.
type identityDoubt struct {
	inventory.Deviation
	Known *inventory.Device // the best candidate
}

// doubt takes the question of identity out of the deviations: it has an answer of its own, and no two columns to choose between.
func (s *Server) doubt(ctx context.Context, v *machineView) error {
	i := slices.IndexFunc(v.Deviations, func(d inventory.Deviation) bool { return d.Part == "identity" })
	if i < 0 {
		return nil
	}
	known, err := inventory.Get[inventory.Device](ctx, s.Record, v.Deviations[i].Intended)
	if errors.Is(err, inventory.ErrNotFound) {
		return nil // the candidate is gone: an ordinary deviation, to be put aside
	}
	if err != nil {
		return err
	}
	v.Doubt = &identityDoubt{v.Deviations[i], known}
	v.Deviations = slices.Delete(slices.Clone(v.Deviations), i, i+1)
	return nil
}

// factsView brings the sources together: what the agent saw from inside, and beside it what the BMC says from outside.
type factsView struct {
	Sources []inventory.Facts
	Main    *inventory.Facts // the most telling source; nil when nothing was seen
}

// Of finds what a source saw.
func (f factsView) Of(source string) *inventory.Facts {
	for i := range f.Sources {
		if string(f.Sources[i].Source) == source {
			return &f.Sources[i]
		}
	}
	return nil
}

// RoleOf is the role that the record gives a disk.
func (v machineView) RoleOf(serial, wwn string) string {
	seen := storage.Disk{Serial: serial, WWN: wwn}
	for _, c := range v.Components {
		if c.Kind == "disk" && seen.Same(storage.Disk{Serial: c.Serial, WWN: c.WWN}) {
			return c.DiskRole
		}
	}
	return ""
}

// timelineLength is how many events the machine page shows.
const timelineLength = 60

func (s *Server) machinePage(w http.ResponseWriter, r *http.Request, who caller) error {
	status, err := s.machine(r.Context(), r.PathValue("ref"))
	if err != nil {
		return err
	}
	v := machineView{MachineStatus: status, Facts: factsView{Sources: status.Facts}}
	if len(status.Facts) > 0 {
		v.Facts.Main = &status.Facts[0]
	}
	of := inventory.Is("device", status.Machine.UID)
	if v.Events, err = inventory.List[inventory.Event](r.Context(), s.Record, inventory.Query{Filters: []inventory.Filter{of}, Sort: "-at", Limit: timelineLength}); err != nil {
		return err
	}
	if v.Recent, err = inventory.List[inventory.Operation](r.Context(), s.Record, inventory.Query{Filters: []inventory.Filter{of}, Sort: "-created_at", Limit: 6}); err != nil {
		return err
	}
	if v.Boots, err = inventory.List[inventory.BootAttempt](r.Context(), s.Record, inventory.Query{Filters: []inventory.Filter{of}, Sort: "-created_at", Limit: 4}); err != nil {
		return err
	}
	v.Recent = slices.DeleteFunc(v.Recent, func(op *inventory.Operation) bool { return op.UID == status.Machine.Operation })
	if v.Changes, err = inventory.List[inventory.Change](r.Context(), s.Record, inventory.Query{
		Filters: []inventory.Filter{inventory.Is("object", status.Machine.UID)}, Sort: "-created_at", Limit: 8}); err != nil {
		return err
	}
	if err := s.doubt(r.Context(), &v); err != nil {
		return err
	}
	if v.Documents, err = s.documentsOf(r, who, machineNoun, status.Machine.UID); err != nil {
		return err
	}
	if v.Attached, err = s.attached(r.Context(), who, &status.Machine, r.URL.Path); err != nil {
		return err
	}
	if v.Origin, err = s.originOf(r.Context(), status.Machine.Asset); err != nil {
		return err
	}
	return s.render(w, r, who, "machine", view{Title: status.Machine.Name, Live: "machines,operations,steps,deviations,events,observations,boot-attempts", Data: v})
}

// attemptView is one boot, with everything the machine did on its way up.
type attemptView struct {
	oneView
	Attempt *inventory.BootAttempt
	Events  []*inventory.Event
}

func (s *Server) attemptPage(w http.ResponseWriter, r *http.Request, who caller) error {
	o, err := s.one(r, who, nounNamed("boot-attempt"))
	if err != nil {
		return err
	}
	v := attemptView{oneView: o, Attempt: o.Object.(*inventory.BootAttempt)}
	if v.Events, err = inventory.List[inventory.Event](r.Context(), s.Record, inventory.Query{
		Filters: []inventory.Filter{inventory.Is("attempt", v.Attempt.UID)}, Sort: "at", Limit: inventory.MaxPage}); err != nil {
		return err
	}
	return s.render(w, r, who, "attempt", view{Title: "Boot of " + v.Attempt.MAC, Live: "boot-attempts,events", Data: v})
}

// timelineView is a page of a machine's events.
type timelineView struct {
	Machine *inventory.Device
	listView
	Events []*inventory.Event
}

func (s *Server) timelinePage(w http.ResponseWriter, r *http.Request, who caller) error {
	obj, err := s.Record.Get(r.Context(), machineNoun, r.PathValue("ref"))
	if err != nil {
		return err
	}
	v := r.URL.Query()
	page, err := s.machineEvents(r.Context(), string(obj.Head().UID), v)
	if err != nil {
		return err
	}
	t := timelineView{Machine: obj.(*inventory.Device), Events: inventory.Items[inventory.Event](page), listView: listView{Noun: eventNoun, Page: page, Query: v, Search: v.Get("q")}}
	t.addresses()
	return s.render(w, r, who, "timeline", view{Title: "Timeline of " + t.Machine.Name, Live: "events", Data: t})
}

// device finds the machine a form is about.
func (s *Server) device(r *http.Request) (*inventory.Device, error) {
	obj, err := s.Record.Get(r.Context(), machineNoun, r.PathValue("ref"))
	if err != nil {
		return nil, err
	}
	return obj.(*inventory.Device), nil
}

// acceptView is the form that accepts a machine.
type acceptView struct {
	Machine  *inventory.Device
	Facts    *inventory.Facts
	In       api.AcceptRequest
	Position string
	Assets   []option
	Acquired []option // the acquisitions it may have come by
	Profiles []option
	Racks    []option
	Expected []expectedRow // what was announced and may be this machine, the likeliest first
}

func (s *Server) acceptPage(w http.ResponseWriter, r *http.Request, who caller) error {
	d, err := s.device(r)
	if err != nil {
		return err
	}
	in := api.AcceptRequest{Name: d.Name, Asset: string(d.Asset), Profile: string(d.Profile), Rack: string(d.Rack), Position: d.Position, Face: d.Face}
	return s.drawAccept(w, r, who, d, in, nil)
}

func (s *Server) drawAccept(w http.ResponseWriter, r *http.Request, who caller, d *inventory.Device, in api.AcceptRequest, problem *api.Problem) error {
	v := acceptView{Machine: d, In: in}
	if in.Position != nil {
		v.Position = strconv.FormatFloat(*in.Position, 'f', -1, 64)
	}
	status := &api.MachineStatus{}
	if err := s.newestFacts(r.Context(), status, inventory.Is("device", d.UID)); err != nil {
		return err
	}
	if len(status.Facts) > 0 {
		v.Facts = &status.Facts[0]
	}
	for _, ref := range []struct {
		noun, value string
		into        *[]option
	}{{"asset", in.Asset, &v.Assets}, {"acquisition", in.Acquisition, &v.Acquired}, {"profile", in.Profile, &v.Profiles}, {"rack", in.Rack, &v.Racks}} {
		options, err := s.refOptions(r, inventory.Field{Name: ref.noun, Ref: ref.noun}, ref.value)
		if err != nil {
			return err
		}
		*ref.into = options
	}
	if v.Assets != nil {
		v.Assets = append(v.Assets, option{Value: provision.NewAsset, Text: "none of these: a new asset", Selected: in.Asset == provision.NewAsset})
	}
	var err error
	if v.Expected, err = s.expectedRows(r.Context(), d, v.Facts); err != nil {
		return err
	}
	return s.render(w, r, who, "accept", view{Title: "Accept " + d.Name, Problem: problem, Data: v})
}

func (s *Server) acceptForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	d, err := s.device(r)
	if err != nil {
		return err
	}
	in := api.AcceptRequest{Name: strings.TrimSpace(v.Get("name")), Asset: v.Get("asset"), Acquisition: v.Get("acquisition"), Profile: v.Get("profile"), Rack: v.Get("rack"), Face: v.Get("face"), Why: v.Get("why")}
	in.Position, err = position(v.Get("position"))
	var accepted *inventory.Device
	if err == nil {
		accepted, err = s.Machines.Accept(r.Context(), edit(r, who, in.Why), string(d.UID), in)
	}
	if p, ok := again(err); ok {
		return s.drawAccept(w, r, who, d, in, p)
	}
	if err != nil {
		return err
	}
	flash(w, "%s is accepted.", accepted.Name)
	return seeOther(w, r, pageOf(machineNoun, accepted))
}

func position(text string) (*float64, error) {
	if text = strings.TrimSpace(text); text == "" {
		return nil, nil
	}
	p, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, invalid("position", "must be a unit's number")
	}
	return &p, nil
}

func (s *Server) adoptPage(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.render(w, r, who, "adopt", view{Title: "Adopt a machine", Data: api.AdoptRequest{Name: r.URL.Query().Get("name")}})
}

func (s *Server) adoptForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	in := api.AdoptRequest{Name: strings.TrimSpace(v.Get("name")), SystemUUID: strings.TrimSpace(v.Get("system_uuid")), MACs: strings.Fields(strings.ReplaceAll(v.Get("macs"), ",", " ")), Why: v.Get("why")}
	if v.Get("bmc_address") != "" || v.Get("bmc_kind") == "none" {
		in.BMC = &api.AdoptBMC{Kind: v.Get("bmc_kind"), Address: strings.TrimSpace(v.Get("bmc_address")), Username: v.Get("bmc_username"), Password: inventory.PlainSecret(v.Get("bmc_password"))}
	}
	d, err := s.Machines.Adopt(r.Context(), edit(r, who, in.Why), in)
	if p, ok := again(err); ok {
		return s.render(w, r, who, "adopt", view{Title: "Adopt a machine", Problem: p, Data: in})
	}
	if err != nil {
		return err
	}
	flash(w, "%s is adopted. It runs what it ran before; berth offers it only its own disk.", d.Name)
	return seeOther(w, r, pageOf(machineNoun, d))
}

// deployView is the choice of what to write, and once it is made, the plan with its confirmation.
type deployView struct {
	Kind     string // deploy or reimage
	Machine  *inventory.Device
	In       api.DeployRequest
	Images   []*inventory.Image
	Profiles []option
	Disks    []storage.Disk
	Plan     *api.DeployPlan
	Chosen   bool // something was asked for: show the plan
}

// MustType tells whether the machine's name has to be typed, because something would be lost.
func (v deployView) MustType() bool {
	return v.Plan != nil && len(v.Plan.Destroyed)+len(v.Plan.NeedsConsent) > 0
}

func (s *Server) deployPage(kind string) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		q := r.URL.Query()
		in := api.DeployRequest{Image: q.Get("image"), Profile: q.Get("profile"), Disk: strings.TrimSpace(q.Get("disk")), NoReport: q.Get("no_report") == "true"}
		return s.drawDeploy(w, r, who, kind, in, q.Has("image"), nil)
	}
}

func (s *Server) drawDeploy(w http.ResponseWriter, r *http.Request, who caller, kind string, in api.DeployRequest, chosen bool, problem *api.Problem) error {
	d, err := s.device(r)
	if err != nil {
		return err
	}
	v := deployView{Kind: kind, Machine: d, In: in, Chosen: chosen}
	if v.Images, err = inventory.List[inventory.Image](r.Context(), s.Record, inventory.Query{
		Filters: []inventory.Filter{inventory.Is("state", "ready")}, Sort: "-created_at", Limit: 200}); err != nil {
		return err
	}
	profile := in.Profile
	if profile == "" {
		profile = string(d.Profile)
	}
	if v.Profiles, err = s.refOptions(r, inventory.Field{Name: "profile", Ref: "profile"}, profile); err != nil {
		return err
	}
	if v.Disks, err = s.disksSeen(r.Context(), d.UID); err != nil {
		return err
	}
	if chosen {
		v.Plan, err = s.Machines.Plan(r.Context(), string(d.UID), in)
		if p, ok := again(err); ok && problem == nil {
			problem = p
		} else if err != nil && !ok {
			return err
		}
	}
	return s.render(w, r, who, "deploy", view{Title: firstUpper(kind) + " " + d.Name, Problem: problem, Data: v})
}

// disksSeen lists the disks that an agent last saw in a machine, to choose from.
func (s *Server) disksSeen(ctx context.Context, device inventory.UID) ([]storage.Disk, error) {
	list, err := inventory.List[inventory.Observation](ctx, s.Record, inventory.Query{
		Filters: []inventory.Filter{inventory.Is("device", device), inventory.Is("source", inventory.SourceAgent)}, Sort: "-created_at", Limit: 1})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	var disks []storage.Disk
	for _, f := range list[0].Facts.Disks {
		disks = append(disks, storage.Disk{Serial: f.Serial, WWN: f.WWN, Size: f.SizeBytes, Model: f.Model, Path: f.Name})
	}
	return disks, nil
}

// deployForm starts what the plan showed. The consent names the plan that the person saw; if anything changed since, it is refused and
// the new plan is shown.
func (s *Server) deployForm(kind string) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		v, err := form(r)
		if err != nil {
			return err
		}
		d, err := s.device(r)
		if err != nil {
			return err
		}
		in := api.DeployRequest{Image: v.Get("image"), Profile: v.Get("profile"), Disk: v.Get("disk"), NoReport: v.Get("no_report") == "true", Why: v.Get("why"),
			Consent: &storage.Consent{Machine: d.Name, Serials: v["serial"], PlanDigest: v.Get("digest")}}
		if v.Get("must_type") == "true" && strings.TrimSpace(v.Get("typed")) != d.Name {
			return s.drawDeploy(w, r, who, kind, in, true, problemOf(invalid("typed", "type %s to say that you mean this machine", d.Name)))
		}
		start := s.Machines.Deploy
		if kind == "reimage" {
			start = s.Machines.Reimage
		}
		op, err := start(r.Context(), edit(r, who, in.Why), string(d.UID), in)
		if p, ok := again(err); ok {
			return s.drawDeploy(w, r, who, kind, in, true, p)
		}
		if err != nil {
			return err
		}
		return seeOther(w, r, "/operations/"+string(op.UID))
	}
}

// confirmView asks once more before something that is not easily taken back.
type confirmView struct {
	Machine  *inventory.Device
	Sentence string
	Action   string
	Button   string
	KeepDisk bool // offer to leave the disks as they are
}

func (s *Server) releasePage(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.drawConfirm(w, r, who, nil, confirmView{Action: "release", Button: "Release", KeepDisk: true,
		Sentence: "What berth wrote is cleared, so that it boots no more, and the machine is ready for something else. Disks with another role are not touched."})
}

func (s *Server) retirePage(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.drawConfirm(w, r, who, nil, confirmView{Action: "retire", Button: "Retire",
		Sentence: "The machine's life ends in the record. It is not touched and offered nothing any more; nothing about it is forgotten."})
}

func (s *Server) drawConfirm(w http.ResponseWriter, r *http.Request, who caller, problem *api.Problem, v confirmView) error {
	d, err := s.device(r)
	if err != nil {
		return err
	}
	v.Machine = d
	return s.render(w, r, who, "confirm", view{Title: v.Button + " " + d.Name, Problem: problem, Data: v})
}

// typedName reads a form in which the machine's name must have been typed.
func (s *Server) typedName(r *http.Request) (*inventory.Device, url.Values, error) {
	v, err := form(r)
	if err != nil {
		return nil, nil, err
	}
	d, err := s.device(r)
	if err != nil {
		return nil, nil, err
	}
	if strings.TrimSpace(v.Get("typed")) != d.Name {
		return nil, nil, invalid("typed", "type %s to say that you mean this machine", d.Name)
	}
	return d, v, nil
}

func (s *Server) releaseForm(w http.ResponseWriter, r *http.Request, who caller) error {
	d, v, err := s.typedName(r)
	if err != nil {
		return err
	}
	in := api.ReleaseRequest{KeepDisks: v.Get("keep_disks") == "true", Why: v.Get("why")}
	op, err := s.Machines.Release(r.Context(), edit(r, who, in.Why), string(d.UID), in)
	if err != nil {
		return err
	}
	return seeOther(w, r, "/operations/"+string(op.UID))
}

func (s *Server) retireForm(w http.ResponseWriter, r *http.Request, who caller) error {
	d, v, err := s.typedName(r)
	if err != nil {
		return err
	}
	if _, err := s.Machines.Retire(r.Context(), edit(r, who, v.Get("why")), string(d.UID)); err != nil {
		return err
	}
	flash(w, "%s is retired.", d.Name)
	return seeOther(w, r, pageOf(machineNoun, d))
}

// back is the page a small form came from.
func back(r *http.Request, v url.Values, fallback string) string {
	return localPath(v.Get("back"), fallback)
}

func (s *Server) powerForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	ref := r.PathValue("ref")
	if _, err := s.Machines.Power(r.Context(), edit(r, who, v.Get("why")), ref, v.Get("action")); err != nil {
		return err
	}
	flash(w, "Power: %s was asked for.", v.Get("action"))
	return seeOther(w, r, back(r, v, joinPath("/machines", ref)))
}

func (s *Server) inspectForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	op, err := s.Machines.Inspect(r.Context(), edit(r, who, v.Get("why")), r.PathValue("ref"))
	if err != nil {
		return err
	}
	return seeOther(w, r, "/operations/"+string(op.UID))
}

func (s *Server) clearForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	d, err := s.Machines.Clear(r.Context(), edit(r, who, v.Get("why")), r.PathValue("ref"), inventory.State(v.Get("to")), v.Get("why"))
	if err != nil {
		return err
	}
	flash(w, "%s is %s.", d.Name, d.ProvisionState)
	return seeOther(w, r, pageOf(machineNoun, d))
}

func (s *Server) verdictForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	if err := s.decide(r, who, api.VerdictRequest{Verdict: v.Get("verdict"), Note: v.Get("note")}); err != nil {
		return err
	}
	flash(w, "Decided.")
	return seeOther(w, r, back(r, v, "/deviations"))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"berth/api"
	"berth/inventory"
	"berth/storage"
)

// machineCommands adds to `berth machine` what only machines can do.
func machineCommands(o *clientOptions, parent *cobra.Command) {
	parent.RemoveCommand(find(parent, "show"), find(parent, "create"))
	parent.AddCommand(machineShow(o), acceptCommand(o), adoptCommand(o), timelineCommand(o), clearCommand(o), retireCommand(o))
}

func find(parent *cobra.Command, name string) *cobra.Command {
	for _, c := range parent.Commands() {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

func machineShow(o *clientOptions) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a machine: state, parts, deviations, current operation", Args: cobra.ExactArgs(1),
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			m, err := client.Machine(c.Context(), args[0])
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), m)
			}
			return printMachine(c.OutOrStdout(), m)
		}),
	}
}

func printMachine(w io.Writer, m *api.MachineStatus) error {
	d := m.Machine
	rows := [][]string{{"name", d.Name}, {"state", string(d.ProvisionState)}, {"reason", d.StateReason}, {"power", d.Power},
		{"hardware", strings.TrimSpace(d.Manufacturer + " " + d.Product)}, {"serial", d.Serial}, {"system UUID", d.SystemUUID},
		{"cores", fmt.Sprint(d.CPUCores)}, {"memory", size(d.MemoryMiB << 20)}, {"image", m.Names[d.Image]}, {"addresses", strings.Join(d.Addresses, ", ")}}
	var kept [][]string
	for _, r := range rows {
		if r[1] != "" {
			kept = append(kept, r)
		}
	}
	if err := table(w, []string{"machine", ""}, kept); err != nil {
		return err
	}
	if len(m.Components) > 0 {
		fmt.Fprintln(w)
		var parts [][]string
		for _, p := range m.Components {
			parts = append(parts, []string{p.Kind, p.Slot, p.Manufacturer, orDash(p.Model, p.PartNumber), p.Serial, sizeOrNothing(p.SizeBytes), p.DiskRole})
		}
		if err := table(w, []string{"part", "slot", "maker", "model", "serial", "size", "role"}, parts); err != nil {
			return err
		}
	}
	for _, v := range m.Deviations {
		fmt.Fprintf(w, "deviation: %s, %s: intended %s, observed %s\n", printable(v.Part), v.Field, printable(v.Intended), printable(v.Observed))
	}
	if m.Operation != nil {
		fmt.Fprintln(w)
		return printOperation(w, *m.Operation)
	}
	return nil
}

func orDash(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func sizeOrNothing(n int64) string {
	if n == 0 {
		return ""
	}
	return size(n)
}

func acceptCommand(o *clientOptions) *cobra.Command {
	var in api.AcceptRequest
	var position float64
	c := &cobra.Command{
		Use: "accept MACHINE", Short: "Say that a discovered machine is yours to work on", Args: cobra.ExactArgs(1),
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			if position != 0 {
				in.Position = &position
			}
			d, err := client.Accept(c.Context(), args[0], in)
			return o.printDevice(c.OutOrStdout(), d, err)
		}),
	}
	f := c.Flags()
	f.StringVar(&in.Name, "name", "", "what it shall be called (default what berth proposes)")
	f.StringVar(&in.Asset, "asset", "", "tag of the asset it is (default a new one)")
	f.StringVar(&in.Acquisition, "acquisition", "", "the donation or order it came by: it becomes the thing announced there, by serial or model")
	f.StringVar(&in.Profile, "profile", "", "what it is for")
	f.StringVar(&in.Rack, "rack", "", "where it stands")
	f.Float64Var(&position, "position", 0, "the lowest unit it takes")
	f.StringVar(&in.Face, "face", "", "front or rear")
	f.StringVar(&in.Why, "why", "", "reason, for the log")
	return c
}

func (o *clientOptions) printDevice(w io.Writer, d *inventory.Device, err error) error {
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(w, d)
	}
	_, err = fmt.Fprintf(w, "%s is %s\n", d.Name, d.ProvisionState)
	return err
}

func adoptCommand(o *clientOptions) *cobra.Command {
	var in api.AdoptRequest
	var bmc api.AdoptBMC
	var password, facts string
	c := &cobra.Command{
		Use: "adopt NAME", Short: "Take in a machine that already runs, without a boot", Args: cobra.ExactArgs(1),
		Long: "The machine becomes foreign: berth only ever offers it its local disk. What `berth-agent --inspect` prints on it may be given with --facts.",
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			in.Name = args[0]
			if bmc.Kind != "" {
				secret, err := readSecret(password)
				if err != nil {
					return err
				}
				bmc.Password = inventory.PlainSecret(secret)
				in.BMC = &bmc
			}
			if facts != "" {
				read, err := readFacts(facts)
				if err != nil {
					return err
				}
				in.Facts = read
			}
			d, err := client.Adopt(c.Context(), in)
			return o.printDevice(c.OutOrStdout(), d, err)
		}),
	}
	f := c.Flags()
	f.StringSliceVar(&in.MACs, "mac", nil, "addresses of its network ports")
	f.StringVar(&in.SystemUUID, "uuid", "", "its system UUID")
	f.StringVar(&facts, "facts", "", "file with what berth-agent --inspect printed on it")
	f.StringVar(&bmc.Kind, "bmc", "", "redfish, ipmi, wol or none")
	f.StringVar(&bmc.Address, "bmc-address", "", "address of its BMC")
	f.StringVar(&bmc.Username, "bmc-user", "", "user of its BMC")
	f.StringVar(&password, "bmc-password", "", "@FILE, or - for standard input")
	f.StringVar(&in.Why, "why", "", "reason, for the log")
	return c
}

func timelineCommand(o *clientOptions) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use: "timeline MACHINE", Short: "What happened to a machine, newest last", Args: cobra.ExactArgs(1),
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			page, err := client.Timeline(c.Context(), args[0], api.Query{Limit: limit})
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), page)
			}
			var rows [][]string
			for i := len(page.Items) - 1; i >= 0; i-- {
				e := page.Items[i]
				rows = append(rows, []string{e.At.Local().Format("2006-01-02 15:04:05.000"), e.Source, e.Text})
			}
			return table(c.OutOrStdout(), []string{"time", "source", "what"}, rows)
		}),
	}
	c.Flags().IntVar(&limit, "limit", 100, "lines, at most 1000")
	return c
}

func clearCommand(o *clientOptions) *cobra.Command {
	var in api.ClearRequest
	var to string
	c := &cobra.Command{
		Use: "clear MACHINE", Short: "Lead a machine out of quarantine, into the state you found it in", Args: cobra.ExactArgs(1),
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			in.To = inventory.State(to)
			d, err := client.Clear(c.Context(), args[0], in)
			return o.printDevice(c.OutOrStdout(), d, err)
		}),
	}
	c.Flags().StringVar(&to, "to", "ready", "ready, deployed or foreign")
	c.Flags().StringVar(&in.Why, "why", "", "what was found (required)")
	return c
}

func retireCommand(o *clientOptions) *cobra.Command {
	var why string
	c := &cobra.Command{
		Use: "retire MACHINE", Short: "End a machine's service; its record stays", Args: cobra.ExactArgs(1),
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			d, err := client.Retire(c.Context(), args[0], why)
			return o.printDevice(c.OutOrStdout(), d, err)
		}),
	}
	c.Flags().StringVar(&why, "why", "", "reason, for the log")
	return c
}

// installOptions are the flags of deploy and reimage.
type installOptions struct {
	in      api.DeployRequest
	wait    bool
	plan    bool
	consent bool
}

// deployCommand is `berth deploy` or, with the other call, `berth reimage`.
func deployCommand(o *clientOptions, use, short string, call func(*api.Client, context.Context, string, api.DeployRequest) (*inventory.Operation, error)) *cobra.Command {
	var i installOptions
	c := &cobra.Command{
		Use: use + " MACHINE", Short: short, Args: cobra.ExactArgs(1),
		Long: short + `.

--plan shows what would be written, lost and kept, and does nothing. Where data would be lost that berth did not write, the plan asks for
--consent: it agrees to exactly the plan that is shown at that moment.

Exit codes: 0 started, or with --wait done; 1 the operation failed or was cancelled; 3 the server refused.`,
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			return o.install(c, client, args[0], i, call)
		}),
	}
	f := c.Flags()
	f.StringVar(&i.in.Image, "image", "", "image to write (default the profile's)")
	f.StringVar(&i.in.Profile, "profile", "", "what the machine is for (default what the record says)")
	f.StringVar(&i.in.Disk, "disk", "", "serial or WWN of the disk to write, where several could be meant")
	f.BoolVar(&i.in.NoReport, "no-report", false, "the image has no cloud-init: do not wait for the installed system")
	f.StringVar(&i.in.Why, "why", "", "reason, for the log")
	f.BoolVar(&i.wait, "wait", false, "follow the operation to its end")
	f.BoolVar(&i.plan, "plan", false, "show the plan and do nothing")
	f.BoolVar(&i.consent, "consent", false, "agree to lose what the plan shows")
	return c
}

func (o *clientOptions) install(c *cobra.Command, client *api.Client, machine string, i installOptions,
	call func(*api.Client, context.Context, string, api.DeployRequest) (*inventory.Operation, error)) error {
	if i.plan || i.consent {
		plan, err := client.Plan(c.Context(), machine, i.in)
		if err != nil {
			return explain(err)
		}
		if o.json && i.plan {
			return printJSON(c.OutOrStdout(), plan)
		}
		if !o.json {
			printPlan(c.OutOrStdout(), plan)
		}
		if i.plan {
			return nil
		}
		i.in.Consent = &storage.Consent{Machine: plan.Machine, Serials: plan.Serials, PlanDigest: plan.Digest}
	}
	op, err := call(client, c.Context(), machine, i.in)
	if err != nil {
		return explain(err)
	}
	return o.started(c, client, op, i.wait)
}

func printPlan(w io.Writer, p *api.DeployPlan) {
	fmt.Fprintf(w, "%s: image %s (%s)\n", p.Machine, p.Image, p.ImageDigest)
	if p.Disk != nil {
		fmt.Fprintf(w, "  will be written: %s\n", printable(p.Disk.String()))
	}
	for _, k := range p.Kept {
		fmt.Fprintf(w, "  will be kept:    %s %s\n", printable(k.Disk.String()), k.Role)
	}
	for _, part := range []struct {
		label string
		lines []string
	}{{"will be lost:   ", p.Destroyed}, {"needs consent:  ", p.NeedsConsent}, {"refused:        ", p.Refusals}, {"note:           ", p.Notes}} {
		for _, s := range part.lines {
			fmt.Fprintf(w, "  %s %s\n", part.label, printable(s))
		}
	}
}

// started prints or follows an operation that was begun.
func (o *clientOptions) started(c *cobra.Command, client *api.Client, op *inventory.Operation, wait bool) error {
	if wait {
		return o.watch(c, client, op.UID)
	}
	if o.json {
		return printJSON(c.OutOrStdout(), op)
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s started: `berth operation watch %s` follows it\n", op.Kind, op.UID)
	return err
}

// watch follows an operation: a bar on a terminal, lines elsewhere, the last status as JSON for programs.
func (o *clientOptions) watch(c *cobra.Command, client *api.Client, uid inventory.UID) error {
	v := &viewer{w: c.OutOrStdout(), bar: !o.json && isTerminal(os.Stdout), quiet: o.json}
	if err := client.Watch(c.Context(), uid, v.show); err != nil {
		return explain(err)
	}
	v.finish()
	if o.json {
		if err := printJSON(c.OutOrStdout(), v.last); err != nil {
			return err
		}
	}
	switch op := v.last.Operation; op.State {
	case inventory.OpDone:
		return nil
	case inventory.OpCancelled:
		return fmt.Errorf("%s was cancelled by %s", op.Kind, op.CancelBy)
	default:
		return fmt.Errorf("%s failed at step %s: %s", op.Kind, op.StepName, op.Problem)
	}
}

// viewer shows an operation's way on a terminal.
type viewer struct {
	w       io.Writer
	bar     bool
	quiet   bool
	last    api.OperationStatus
	printed map[string]string
	now     *progressbar.ProgressBar
	of      string
}

func (v *viewer) show(s api.OperationStatus) error {
	v.last = s
	if v.quiet {
		return nil
	}
	if v.printed == nil {
		v.printed = map[string]string{}
	}
	for _, step := range s.Steps {
		if step.State == inventory.StepPending {
			continue
		}
		if v.bar && step.Total > 0 && !step.State.Ended() {
			v.progress(step)
			continue
		}
		line := stepLine(step)
		if step.Task != "" {
			line += "\n    please: " + printable(step.Task)
		}
		if v.printed[step.Name] != line {
			v.finish()
			v.printed[step.Name] = line
			fmt.Fprintln(v.w, line)
		}
	}
	return nil
}

func (v *viewer) progress(step inventory.Step) {
	if key := step.Name + step.Phase; v.of != key {
		v.finish()
		v.of = key
		v.now = progressbar.NewOptions64(step.Total, progressbar.OptionSetDescription(step.Name+": "+step.Phase), progressbar.OptionShowBytes(true),
			progressbar.OptionSetWriter(v.w), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetPredictTime(true))
	}
	_ = v.now.Set64(min(step.Done, step.Total)) // an error here is a bar out of bounds, which min rules out
}

func (v *viewer) finish() {
	if v.now != nil {
		fmt.Fprintln(v.w)
	}
	v.now, v.of = nil, ""
}

// operationCommands adds watch, cancel and done to `berth operation`.
func operationCommands(o *clientOptions, parent *cobra.Command) {
	parent.RemoveCommand(find(parent, "show"))
	parent.AddCommand(
		&cobra.Command{Use: "show UID", Short: "Show an operation with its steps", Args: cobra.ExactArgs(1), RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			s, err := client.Operation(c.Context(), inventory.UID(args[0]))
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), s)
			}
			return printOperation(c.OutOrStdout(), *s)
		})},
		&cobra.Command{Use: "watch UID", Short: "Follow an operation to its end", Args: cobra.ExactArgs(1), RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			return o.watch(c, client, inventory.UID(args[0]))
		})},
		cancelCommand(o), doneCommand(o),
	)
}

func cancelCommand(o *clientOptions) *cobra.Command {
	var why string
	c := &cobra.Command{Use: "cancel UID", Short: "End an operation; nothing more is written from this moment", Args: cobra.ExactArgs(1), RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
		op, err := client.Cancel(c.Context(), inventory.UID(args[0]), why)
		if err != nil {
			return err
		}
		if o.json {
			return printJSON(c.OutOrStdout(), op)
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s is cancelled\n", op.Kind)
		return err
	})}
	c.Flags().StringVar(&why, "why", "", "reason, for the log")
	return c
}

func doneCommand(o *clientOptions) *cobra.Command {
	var remark string
	c := &cobra.Command{Use: "done UID STEP", Short: "Say that you did what a step asked a person for", Args: cobra.ExactArgs(2), RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
		if err := client.TaskDone(c.Context(), inventory.UID(args[0]), args[1], remark); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "%s is noted as done\n", args[1])
		return err
	})}
	c.Flags().StringVar(&remark, "note", "", "what else should be known")
	return c
}

func printOperation(w io.Writer, s api.OperationStatus) error {
	fmt.Fprintf(w, "%s %s, asked for by %s %s\n", s.Operation.Kind, s.Operation.State, printable(s.Operation.Owner), ago(s.Operation.CreatedAt))
	if s.Operation.Problem != "" {
		fmt.Fprintln(w, printable(s.Operation.Problem))
	}
	var rows [][]string
	for _, st := range s.Steps {
		done := ""
		if st.Total > 0 {
			done = fmt.Sprintf("%s %d %%", st.Phase, 100*st.Done/st.Total)
		}
		rows = append(rows, []string{st.Name, string(st.State), done, st.Sentence + st.Problem})
	}
	return table(w, []string{"step", "state", "progress", ""}, rows)
}

// powerCommand is `berth power MACHINE ACTION`.
func powerCommand(o *clientOptions) *cobra.Command {
	var why string
	var wait bool
	c := &cobra.Command{
		Use: "power MACHINE on|off|cycle|reset|soft", Short: "Switch a machine, and see that it happened", Args: cobra.ExactArgs(2),
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			op, err := client.Power(c.Context(), args[0], args[1], why)
			if err != nil {
				return err
			}
			return o.started(c, client, op, wait)
		}),
	}
	c.Flags().StringVar(&why, "why", "", "reason, for the log")
	c.Flags().BoolVar(&wait, "wait", false, "follow the operation to its end")
	return c
}

func inspectCommand(o *clientOptions) *cobra.Command {
	var why string
	var wait bool
	c := &cobra.Command{
		Use: "inspect MACHINE", Short: "Boot the agent and look at a machine again", Args: cobra.ExactArgs(1),
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			op, err := client.Inspect(c.Context(), args[0], why)
			if err != nil {
				return err
			}
			return o.started(c, client, op, wait)
		}),
	}
	c.Flags().StringVar(&why, "why", "", "reason, for the log")
	c.Flags().BoolVar(&wait, "wait", false, "follow the operation to its end")
	return c
}

func releaseCommand(o *clientOptions) *cobra.Command {
	var in api.ReleaseRequest
	var wait bool
	c := &cobra.Command{
		Use: "release MACHINE", Short: "Take a machine out of service: clear the disk berth wrote, switch it off", Args: cobra.ExactArgs(1),
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			op, err := client.Release(c.Context(), args[0], in)
			if err != nil {
				return err
			}
			return o.started(c, client, op, wait)
		}),
	}
	c.Flags().BoolVar(&in.KeepDisks, "keep-disks", false, "leave the disks as they are; only the record changes")
	c.Flags().StringVar(&in.Why, "why", "", "reason, for the log")
	c.Flags().BoolVar(&wait, "wait", false, "follow the operation to its end")
	return c
}

// imageCommands adds import to `berth image`.
func imageCommands(o *clientOptions, parent *cobra.Command) {
	var in api.ImportRequest
	var wait bool
	c := &cobra.Command{
		Use: "import FILE|URL", Short: "Bring an image into the catalogue", Args: cobra.ExactArgs(1),
		Long: `Bring an image into the catalogue: a raw or qcow2 image, plain or compressed by zstd or gzip, from a file (- is standard input) or fetched
by the server from a URL. Give --digest where you know it; an import from a URL without one is marked unverified and needs an admin.`,
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			if in.Name == "" {
				return usageError(errors.New("give the image a --name"), "Name and version, for example debian-12-20261101.")
			}
			if strings.HasPrefix(args[0], "http://") || strings.HasPrefix(args[0], "https://") {
				in.URL = args[0]
				op, err := client.ImportURL(c.Context(), in)
				if err != nil {
					return err
				}
				return o.started(c, client, op, wait)
			}
			return o.upload(c, client, in, args[0])
		}),
	}
	f := c.Flags()
	f.StringVar(&in.Name, "name", "", "name and version in the catalogue (required)")
	f.StringVar(&in.Digest, "digest", "", "sha256:… the file or the raw image must have")
	f.StringVar(&in.Format, "format", "", "raw or qcow2 (default: looked at once)")
	f.StringVar(&in.OS, "os", "", "operating system")
	f.StringVar(&in.Version, "os-version", "", "its version")
	f.StringVar(&in.Arch, "arch", "amd64", "amd64 or arm64")
	f.StringVar(&in.Why, "why", "", "reason, for the log")
	f.BoolVar(&wait, "wait", false, "for a URL: follow the import to its end")
	parent.AddCommand(c)
	parent.RemoveCommand(find(parent, "create"))
}

func (o *clientOptions) upload(c *cobra.Command, client *api.Client, in api.ImportRequest, path string) error {
	var r io.Reader = c.InOrStdin()
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return usageError(err, "")
		}
		defer f.Close()
		r = f
		if info, err := f.Stat(); err == nil && isTerminal(os.Stderr) && !o.json {
			bar := progressbar.DefaultBytes(info.Size(), "sending "+in.Name)
			r = io.TeeReader(f, bar)
		}
	}
	img, err := client.ImportImage(c.Context(), in, r)
	if err != nil {
		return explain(err)
	}
	if o.json {
		return printJSON(c.OutOrStdout(), img)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "image %s imported: %s, %s\n", img.Name, img.Digest, size(img.SizeBytes))
	return err
}

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"berth/api"
	"berth/inventory"
	"berth/inventory/placement"
)

// moveCommands adds to `berth move` what a plan is made, read and carried out with.
func moveCommands(o *clientOptions, parent *cobra.Command) {
	parent.RemoveCommand(find(parent, "show"))
	parent.AddCommand(movePlan(o), moveShow(o), moveDone(o))
}

func movePlan(o *clientOptions) *cobra.Command {
	return &cobra.Command{
		Use: "plan PLAN DEVICE=RACK[:UNIT]...", Short: "Plan that devices stand elsewhere; what is on record stays true until a move is done", Args: cobra.MinimumNArgs(2),
		Long: `Add moves to a plan, which is made if there is none of that name, and show what follows from it: conflicts, an order that works, what to
unplug. Nothing moves: until "berth move done", everything stays on record where it is.

Exit codes: 0 planned, 1 the server could not be reached, 2 the command line is wrong, 3 the server refused.`,
		Example: "  berth move plan \"out of Utrecht\" node-1=r12:17 node-2=r12:19",
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			plan, err := client.GetObject(c.Context(), inventory.NounFor[inventory.MovePlan](), args[0])
			if isNotFound(err) {
				plan, err = api.Create(c.Context(), client, &inventory.MovePlan{Name: args[0], Status: "draft"})
			}
			if err != nil {
				return err
			}
			for _, arg := range args[1:] {
				if err := addMove(c, client, string(plan.Head().UID), arg); err != nil {
					return err
				}
			}
			return o.showPlan(c, client, args[0])
		}),
	}
}

func isNotFound(err error) bool {
	p, ok := err.(*api.Problem)
	return ok && p.Code == api.CodeNotFound
}

func addMove(c *cobra.Command, client *api.Client, plan, arg string) error {
	device, to, ok := strings.Cut(arg, "=")
	if !ok {
		return usageError(fmt.Errorf("%q is not DEVICE=RACK:UNIT", arg), "")
	}
	rack, position, err := unitOf(to)
	if err != nil {
		return usageError(err, "")
	}
	fields := map[string]any{"move_plan": plan, "device": device, "to_rack": rack}
	if position != nil {
		fields["to_position"] = *position
	}
	return client.Call(c.Context(), "POST", "/api/v1/moves", fields, nil)
}

func moveShow(o *clientOptions) *cobra.Command {
	return &cobra.Command{
		Use: "show PLAN", Short: "Show a move plan: conflicts, an order that works, what to pick, cables and parcels", Args: cobra.ExactArgs(1),
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error { return o.showPlan(c, client, args[0]) }),
	}
}

func (o *clientOptions) showPlan(c *cobra.Command, client *api.Client, plan string) error {
	p, err := readPlan(c, client, plan)
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(c.OutOrStdout(), p)
	}
	return printMoves(c.OutOrStdout(), p)
}

func readPlan(c *cobra.Command, client *api.Client, plan string) (*placement.Plan, error) {
	p := &placement.Plan{}
	return p, client.Call(c.Context(), "GET", "/api/v1/move-plans/"+pathPart(plan)+"/plan", nil, p)
}

func printMoves(w io.Writer, p *placement.Plan) error {
	for _, problem := range p.Problems {
		fmt.Fprintln(w, "conflict:", printable(problem))
	}
	var steps, picks [][]string
	for _, s := range p.Steps {
		steps = append(steps, []string{fmt.Sprint(s.Number), s.Action, s.Device, s.From, s.To, s.Why})
	}
	for _, l := range p.Lines {
		picks = append(picks, []string{l.Move.State, l.Device.Name, l.From, l.To, l.Serial, l.AssetTag, strings.Join(l.Cables, "; ")})
	}
	if len(steps) > 0 {
		if err := table(w, []string{"", "do", "device", "from", "to", ""}, steps); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	if err := table(w, []string{"state", "device", "stands", "goes to", "serial", "tag", "unplug"}, picks); err != nil {
		return err
	}
	for _, b := range p.Parcels {
		fmt.Fprintf(w, "parcel %s: %s %s, %s\n", printable(b.Parcel), printable(b.Device), printable(b.Asset), b.State)
	}
	return nil
}

func moveDone(o *clientOptions) *cobra.Command {
	var in api.MoveRequest
	c := &cobra.Command{
		Use: "done PLAN DEVICE", Short: "Say that a device of a plan was taken out, or stands where the plan wants it", Args: cobra.ExactArgs(2),
		Long: `Make one line of a plan true. Where the place is not free yet, the server refuses and says what stands there.

Exit codes: 0 it is on record, 1 the server could not be reached, 2 the command line is wrong, 3 the server refused.`,
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			p, err := readPlan(c, client, args[0])
			if err != nil {
				return err
			}
			for _, l := range p.Lines {
				if l.Move.Open() && (l.Device.Name == args[1] || string(l.Device.UID) == args[1] || l.AssetTag == args[1]) {
					if _, err := client.ApplyMove(c.Context(), string(l.Move.UID), in); err != nil {
						return err
					}
					_, err := fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", printable(l.Device.Name), in.State)
					return err
				}
			}
			return fmt.Errorf("plan %s has no open move of %s", args[0], args[1])
		}),
	}
	c.Flags().StringVar(&in.State, "state", "done", "done, removed (taken out), planned (put back) or cancelled")
	c.Flags().StringVar(&in.By, "by", "person", "person or scan")
	c.Flags().StringVar(&in.Why, "why", "", "reason, for the change log")
	return c
}

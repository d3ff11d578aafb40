package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"berth/api"
	"berth/inventory"
	"berth/inventory/elevation"
)

// rackCommands adds to `berth rack` what only racks can do.
func rackCommands(o *clientOptions, parent *cobra.Command) {
	parent.AddCommand(rackPlace(o), rackElevation(o))
}

func rackPlace(o *clientOptions) *cobra.Command {
	var in api.PlaceDeviceRequest
	c := &cobra.Command{
		Use: "place DEVICE RACK[:UNIT]", Short: "Stand a device somewhere else", Args: cobra.RangeArgs(1, 2),
		Long: `Stand a device in units of a rack (r12:17), at no unit of it (r12), or, without a rack, in none.

A unit that is taken, or that does not exist, is refused, and the command ends with 3. Reserved units are too, unless --over-reservation
says why. Exit codes: 0 it stands there, 1 the server could not be reached, 2 the command line is wrong, 3 the server refused.`,
		Example: "  berth rack place node-17 r12:17\n  berth rack place pdu-a r12 --side left --face rear",
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			if len(args) == 2 {
				var err error
				if in.Rack, in.Position, err = unitOf(args[1]); err != nil {
					return usageError(err, "")
				}
			}
			d, err := client.Place(c.Context(), args[0], in)
			if err != nil {
				return err
			}
			return o.printOne(c.OutOrStdout(), inventory.NounFor[inventory.Device](), d, "placed")
		}),
	}
	c.Flags().StringVar(&in.Face, "face", "", "front or rear (front)")
	c.Flags().IntVar(&in.Slot, "slot", 0, "of what takes a part of a unit's width: which, from 0 at the left as seen from the front")
	c.Flags().StringVar(&in.Side, "side", "", "of what takes no unit: left or right, as seen from the front")
	c.Flags().StringVar(&in.OverReservation, "over-reservation", "", "why it may stand in reserved units")
	c.Flags().StringVar(&in.Why, "why", "", "reason, for the change log")
	return c
}

// unitOf reads r12:17, or r12 alone.
func unitOf(text string) (rack string, position *float64, err error) {
	rack, unit, named := strings.Cut(text, ":")
	if rack == "" {
		return "", nil, fmt.Errorf("%q is not RACK:UNIT", text)
	}
	if !named {
		return rack, nil, nil
	}
	x, err := strconv.ParseFloat(unit, 64)
	if err != nil {
		return "", nil, fmt.Errorf("%q is not a unit of a rack", unit)
	}
	return rack, &x, nil
}

func rackElevation(o *clientOptions) *cobra.Command {
	var face, output string
	c := &cobra.Command{
		Use: "elevation RACK", Short: "Show what is in a rack, from the top down, or write it as a picture", Args: cobra.ExactArgs(1),
		Long: "Show what is in a rack, from the top down; with -o FILE.svg, write it as a picture.",
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			path := "/api/v1/racks/" + pathPart(args[0]) + "/elevation?face=" + face
			if output != "" {
				svg, err := client.File(c.Context(), path+"&render=svg")
				if err != nil {
					return err
				}
				return os.WriteFile(output, svg, 0o644)
			}
			var e elevation.Elevation
			if err := client.Call(c.Context(), "GET", path, nil, &e); err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), e)
			}
			return printElevation(c, e)
		}),
	}
	c.Flags().StringVar(&face, "face", "front", "front or rear")
	c.Flags().StringVarP(&output, "output", "o", "", "write SVG to this file")
	return c
}

func printElevation(c *cobra.Command, e elevation.Elevation) error {
	var rows [][]string
	for _, b := range e.Boxes {
		units := fmt.Sprintf("%g", b.From)
		if b.To-b.From > 1 {
			units = fmt.Sprintf("%g-%g", b.From, b.To-1)
		}
		note := ""
		if b.Blocked {
			note = "mounted at the other face"
		}
		rows = append(rows, []string{units, b.Name, b.State, b.Type, note})
	}
	for _, b := range e.Sides {
		rows = append(rows, []string{b.Side, b.Name, b.State, b.Type, ""})
	}
	w := c.OutOrStdout()
	if err := table(w, []string{"unit", "device", "state", "type", ""}, rows); err != nil {
		return err
	}
	u := e.Utilization
	fmt.Fprintf(w, "%g of %g U taken, %g U reserved, %d %%\n", u.Taken, u.Total, u.Reserved, u.Percent())
	for _, p := range e.Problems {
		fmt.Fprintln(w, "this cannot be:", printable(p))
	}
	return nil
}

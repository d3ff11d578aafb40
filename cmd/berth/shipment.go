package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"berth/api"
	"berth/inventory"
)

// shipmentCommands adds to `berth shipment` what is done to shipments beside editing them.
func shipmentCommands(o *clientOptions, parent *cobra.Command) {
	parent.RemoveCommand(find(parent, "show"))
	parent.AddCommand(shipmentShow(o), shipmentAdd(o), shipmentPack(o), shipmentHandOver(o), shipmentTrack(o), shipmentReceive(o), shipmentReconcile(o), shipmentVerify(o))
	for _, end := range []struct{ name, short string }{
		{"close", "End a reconciled shipment"}, {"cancel", "End a shipment that does not take place; needs --why"},
		{"lose", "Say that a shipment, or what is left of it, is lost"}, {"reopen", "Take it one step back"},
	} {
		parent.AddCommand(shipmentEnd(o, end.name, end.short))
	}
}

// shipmentCommand is one that does something to a shipment and shows what it is then.
func shipmentCommand(o *clientOptions, use, short string, flags func(c *cobra.Command), do func(ctx context.Context, c *api.Client, ref string) (*api.ShipmentStatus, error)) *cobra.Command {
	c := &cobra.Command{Use: use + " SHIPMENT", Short: short, Args: cobra.ExactArgs(1),
		Long: short + ".\n\nExit codes: 0 done; 2 the command line is wrong; 3 the server refused.",
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			s, err := do(c.Context(), client, args[0])
			if err != nil {
				return explain(err)
			}
			if o.json {
				return printJSON(c.OutOrStdout(), s)
			}
			return printShipment(c.OutOrStdout(), s)
		}}
	if flags != nil {
		flags(c)
	}
	return c
}

func shipmentShow(o *clientOptions) *cobra.Command {
	return shipmentCommand(o, "show", "Show a shipment: boxes, lines, cover, what the carrier says", nil, func(ctx context.Context, c *api.Client, ref string) (*api.ShipmentStatus, error) {
		return c.ShipmentStatus(ctx, ref)
	})
}

func printShipment(w io.Writer, s *api.ShipmentStatus) error {
	fmt.Fprintln(w, printable(strings.TrimSpace(fmt.Sprintf("%s: %s; the carrier says %s %s", s.Shipment.Reference, s.Shipment.Phase, orDash(s.Shipment.Status, "nothing"), s.Shipment.Title))))
	labels := map[inventory.UID]string{}
	for _, p := range s.Parcels {
		labels[p.UID] = p.Label
	}
	var rows [][]string
	for _, i := range s.Items {
		rows = append(rows, []string{i.Serial, i.Description, i.State, i.VerifiedBy, s.Names[i.Device], labels[i.Parcel]})
	}
	if len(rows) > 0 {
		if err := table(w, []string{"serial", "what", "state", "verified by", "machine", "box"}, rows); err != nil {
			return err
		}
	}
	if c := s.Cover; c != nil && c.Value > 0 {
		fmt.Fprintf(w, "cover: worth %s, carrier %s, insurance %s, gap %s\n", inventory.FormatMoney(c.Value, c.Currency), inventory.FormatMoney(c.Carrier, c.Currency),
			inventory.FormatMoney(c.Insured, c.Currency), inventory.FormatMoney(c.Gap, c.Currency))
	}
	for _, lack := range s.Lacks {
		fmt.Fprintln(w, "missing:", printable(lack))
	}
	for _, v := range s.Deviations {
		fmt.Fprintf(w, "deviation: %s: %s %s: packed %s, seen %s\n", printable(s.Names[v.Device]), printable(v.Field), printable(v.Part), printable(v.Intended), printable(v.Observed))
	}
	return nil
}

// readText is what stands in a file; - is standard input.
func readText(name string) (string, error) {
	if name == "-" {
		text, err := io.ReadAll(io.LimitReader(os.Stdin, 1<<20))
		return string(text), err
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return "", usageError(err, "")
	}
	return string(text), nil
}

func shipmentAdd(o *clientOptions) *cobra.Command {
	var in api.AddItemsRequest
	var file string
	var serials []string
	return shipmentCommand(o, "add", "Put things on the packing list", func(c *cobra.Command) {
		f := c.Flags()
		f.StringSliceVar(&serials, "serial", nil, "serials, or lines such as \"790H8D2; Dell R640; 1200 EUR; 18.5 kg\"")
		f.StringVar(&file, "file", "", "file with a thing on each line; - is standard input")
		f.StringSliceVar(&in.Assets, "asset", nil, "tags of assets")
		f.StringVar(&in.Acquisition, "acquisition", "", "the order or donation; alone: everything of it that no other shipment carries")
		f.StringVar(&in.Parcel, "parcel", "", "the box they are in")
		f.StringVar(&in.Why, "why", "", "reason, for the log")
	}, func(ctx context.Context, c *api.Client, ref string) (*api.ShipmentStatus, error) {
		in.Text = strings.Join(serials, "\n")
		if file != "" {
			text, err := readText(file)
			if err != nil {
				return nil, err
			}
			in.Text += "\n" + text
		}
		return c.AddItems(ctx, ref, in)
	})
}

func shipmentPack(o *clientOptions) *cobra.Command {
	var p inventory.Packed
	var weight, length, width, height float64
	var why string
	return shipmentCommand(o, "pack", "Close a box; everything is in it where there is one", func(c *cobra.Command) {
		f := c.Flags()
		f.StringVar(&p.Label, "label", "", "what is written on it; an earlier box of this label is changed (default 1 of 1)")
		f.Float64Var(&weight, "weight", 0, "in kg")
		f.Float64Var(&length, "length", 0, "in cm")
		f.Float64Var(&width, "width", 0, "in cm")
		f.Float64Var(&height, "height", 0, "in cm")
		f.StringVar(&p.SealNo, "seal", "", "number of the seal")
		f.StringVar(&p.Photo, "photo", "", "uid of the document that shows it")
		f.StringVar(&p.TrackingCode, "tracking-code", "", "of this box")
		f.StringVar(&p.Contents, "contents", "", "in words")
		f.StringSliceVar(&p.Items, "item", nil, "serials or tags of what is in it, where there are several boxes")
		f.StringVar(&why, "why", "", "reason, for the log")
	}, func(ctx context.Context, c *api.Client, ref string) (*api.ShipmentStatus, error) {
		p.WeightGrams, p.LengthMM, p.WidthMM, p.HeightMM = int64(weight*1000+0.5), int(length*10+0.5), int(width*10+0.5), int(height*10+0.5)
		return c.Pack(ctx, ref, api.PackRequest{Parcels: []inventory.Packed{p}, Why: why})
	})
}

func shipmentHandOver(o *clientOptions) *cobra.Command {
	var in api.HandOverRequest
	return shipmentCommand(o, "hand-over", "Give a packed shipment to the carrier; refused while something is missing or not covered, without --override", func(c *cobra.Command) {
		f := c.Flags()
		f.StringVar(&in.Carrier, "carrier", "", "organization")
		f.StringVar(&in.Service, "service", "", "product of the carrier")
		f.StringVar(&in.TrackingCode, "tracking-code", "", "of the shipment")
		f.StringVar(&in.To, "to", "", "who took it")
		f.StringVar(&in.Override, "override", "", "why it goes although something is missing; kept with the shipment")
		f.StringVar(&in.Why, "why", "", "reason, for the log")
	}, func(ctx context.Context, c *api.Client, ref string) (*api.ShipmentStatus, error) {
		return c.HandOver(ctx, ref, in)
	})
}

func shipmentReconcile(o *clientOptions) *cobra.Command {
	var in api.ReconcileRequest
	return shipmentCommand(o, "reconcile", "Say that every line is accounted for", func(c *cobra.Command) {
		c.Flags().BoolVar(&in.Missing, "missing", false, "what did not come is missing")
		c.Flags().StringVar(&in.Why, "why", "", "reason, for the log")
	}, func(ctx context.Context, c *api.Client, ref string) (*api.ShipmentStatus, error) {
		return c.Reconcile(ctx, ref, in)
	})
}

func shipmentVerify(o *clientOptions) *cobra.Command {
	var in api.VerifyItemRequest
	return shipmentCommand(o, "verify", "Say that a line is a machine, or that you looked at the thing", func(c *cobra.Command) {
		f := c.Flags()
		f.StringVar(&in.Item, "item", "", "serial, tag or uid of the line (required)")
		f.StringVar(&in.Device, "machine", "", "the machine that it is; left empty, you looked at the thing itself")
		f.StringVar(&in.Why, "why", "", "reason, for the log")
	}, func(ctx context.Context, c *api.Client, ref string) (*api.ShipmentStatus, error) {
		return c.VerifyItem(ctx, ref, in)
	})
}

func shipmentEnd(o *clientOptions, name, short string) *cobra.Command {
	var why string
	return shipmentCommand(o, name, short, func(c *cobra.Command) {
		c.Flags().StringVar(&why, "why", "", "reason, for the log")
	}, func(ctx context.Context, c *api.Client, ref string) (*api.ShipmentStatus, error) {
		return c.EndShipment(ctx, ref, name, why)
	})
}

func shipmentReceive(o *clientOptions) *cobra.Command {
	var in api.ReceiveRequest
	c := &cobra.Command{Use: "receive SHIPMENT [SERIAL...]", Short: "Take in what came: the serials named, or a whole box", Args: cobra.MinimumNArgs(1),
		Long: `Take in what came. A serial that differs from the list as typing errors do is taken for that line, and told.

Exit codes: 0 everything that was named is on the list; 1 something is on no list and was not taken in; 3 the server refused.`,
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			in.Scans = args[1:]
			out, err := client.Receive(c.Context(), args[0], in)
			if err != nil {
				return explain(err)
			}
			return o.printReceipt(c.OutOrStdout(), out)
		}}
	f := c.Flags()
	f.StringVar(&in.Parcel, "parcel", "", "the box; alone it came with all that its list names")
	f.StringSliceVar(&in.Damaged, "damaged", nil, "serials of what is broken")
	f.StringVar(&in.Damage, "damage", "", "what is seen of it")
	f.BoolVar(&in.NotExpected, "not-expected", false, "take in what stands on no list")
	f.StringVar(&in.SignedBy, "signed-by", "", "who signed for it")
	f.StringVar(&in.Why, "why", "", "reason, for the log")
	return c
}

func (o *clientOptions) printReceipt(w io.Writer, out *api.ReceiveResult) error {
	if o.json {
		if err := printJSON(w, out); err != nil {
			return err
		}
	} else {
		for _, i := range out.Items {
			fmt.Fprintf(w, "%s: %s\n", printable(i.Name()), i.State)
		}
		for _, text := range out.Doubtful {
			fmt.Fprintln(w, "taken for a typing error:", printable(text))
		}
		fmt.Fprintf(w, "%d still to come\n", out.Open)
	}
	if len(out.Unknown) > 0 {
		return exitError{err: fmt.Errorf("on no list: %s", strings.Join(out.Unknown, ", ")), code: exitFailed, hint: "Take it in with --not-expected, or correct the serial."}
	}
	return nil
}

func shipmentTrack(o *clientOptions) *cobra.Command {
	var in api.TrackRequest
	var file, at string
	c := &cobra.Command{Use: "track SHIPMENT", Short: "Tell where a shipment is: one event, or what the carrier wrote", Args: cobra.ExactArgs(1),
		Long: `Tell where a shipment is. With --file, an e-mail or a copied page in English, German or French is read; --preview shows what was
understood and keeps nothing.

Exit codes: 0 done; 2 the command line is wrong; 3 the server refused.`,
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			if in.OccurredAt, err = whenFlag(at); err != nil {
				return err
			}
			if file != "" {
				if in.Text, err = readText(file); err != nil {
					return err
				}
			}
			out, err := client.Track(c.Context(), args[0], in)
			if err != nil {
				return explain(err)
			}
			return o.printTracked(c.OutOrStdout(), out, in.Preview)
		}}
	f := c.Flags()
	f.StringVar(&file, "file", "", "text to read; - is standard input")
	f.BoolVar(&in.Preview, "preview", false, "only show what is understood")
	f.StringVar(&in.Status, "status", "", "pre_transit, in_transit, out_for_delivery, available_for_pickup, delivered, return_to_sender, failure, cancelled")
	f.StringVar(&at, "at", "", "when, such as 2026-11-22T08:00:00Z (default now)")
	f.StringVar(&in.Description, "description", "", "in words")
	f.StringVar(&in.City, "city", "", "where")
	f.StringVar(&in.Country, "country", "", "where")
	f.StringVar(&in.Parcel, "parcel", "", "the box it is about")
	f.StringVar(&in.Why, "why", "", "reason, for the log")
	return c
}

// whenFlag reads an instant; nil is now.
func whenFlag(text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, usageError(fmt.Errorf("--at %q is not an instant such as 2026-11-22T08:00:00Z", text), "")
	}
	return &at, nil
}

func (o *clientOptions) printTracked(w io.Writer, out *api.TrackResult, preview bool) error {
	if o.json {
		return printJSON(w, out)
	}
	var rows [][]string
	for _, e := range out.Events {
		rows = append(rows, []string{e.OccurredAt.UTC().Format("2006-01-02 15:04"), e.Status, e.StatusDetail, e.TrackingCode, e.Description})
	}
	if err := table(w, []string{"when (UTC)", "status", "detail", "code", "words"}, rows); err != nil {
		return err
	}
	for _, note := range out.Notes {
		fmt.Fprintln(w, "note:", printable(note))
	}
	if !preview {
		fmt.Fprintf(w, "%d kept, %d known already\n", out.New, out.Repeats)
	}
	return nil
}

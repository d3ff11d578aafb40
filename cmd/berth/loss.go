package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"berth/api"
	"berth/inventory"
)

// lossCommand writes off what is lost, and takes it back.
func lossCommand(o *clientOptions) *cobra.Command {
	var in api.LossRequest
	var yes bool
	c := &cobra.Command{
		Use: "loss [ASSET...]", Short: "Write off many assets in one act, and take it back",
		Long: `Show what a loss would take: a whole shipment (--shipment), a parcel (--parcel), everything at a site (--site), or the assets named. With --yes it is
written off: book values are frozen at --on, rack units and addresses become free, and where everything stood is remembered for
` + "`berth loss reverse`" + `.

Exit codes: 0 shown or written off, 1 the server cannot be reached, 2 the command line is wrong, 3 refused: something is at work on a machine,
or is written off already.`,
		Args: cobra.ArbitraryArgs,
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			in.Assets = args
			path := "/api/v1/losses/preview"
			if yes {
				path = "/api/v1/losses"
			}
			var out api.LossResult
			if err := client.Call(c.Context(), "POST", path, in, &out); err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), out)
			}
			return printLoss(c.OutOrStdout(), out)
		}),
	}
	f := c.Flags()
	f.StringVar(&in.Shipment, "shipment", "", "what of this shipment has not arrived")
	f.StringVar(&in.Parcel, "parcel", "", "what was in this parcel")
	f.StringVar(&in.Site, "site", "", "everything at this site")
	f.StringVar(&in.Kind, "kind", "lost", "how it ended: lost, stolen, abandoned, destroyed, scrapped, recycled, sold, …")
	f.StringVar((*string)(&in.OnDate), "on", string(inventory.DateOf(time.Now())), "the day whose book values count")
	f.StringVar(&in.Reason, "reason", "", "why; years later somebody will ask")
	f.StringVar(&in.Book, "book", "", "whose values are shown; they are frozen in every book")
	f.StringVar(&in.Recipient, "recipient", "", "the organization that got it")
	f.BoolVar(&yes, "yes", false, "write it off; without it the loss is only shown")
	c.AddCommand(reverseCommand(o), scheduleCommand(o))
	return c
}

func printLoss(w io.Writer, out api.LossResult) error {
	for _, note := range out.Notes {
		fmt.Fprintln(w, "Note:", printable(note))
	}
	var rows [][]string
	for _, item := range out.Items {
		rows = append(rows, []string{item.AssetTag, item.Serial, item.Stood, strings.Join(item.Frees, ", "), moneyOrNothing(item.BookAmount, item.Currency)})
	}
	if err := table(w, []string{"asset", "serial", "where it is", "becomes free", "book value"}, rows); err != nil {
		return err
	}
	for _, t := range out.Totals {
		fmt.Fprintf(w, "together: basis %s, book value %s\n", inventory.FormatMoney(t.BasisAmount, t.Currency), inventory.FormatMoney(t.BookAmount, t.Currency))
	}
	if out.Disposition == nil {
		_, err := fmt.Fprintln(w, "Nothing was changed. Repeat with --yes to write it off.")
		return err
	}
	_, err := fmt.Fprintf(w, "written off as %s; `berth loss reverse %s --why …` takes it back\n", out.Disposition.Reference, out.Disposition.Reference)
	return err
}

func moneyOrNothing(minor *int64, currency string) string {
	if minor == nil {
		return ""
	}
	return inventory.FormatMoney(*minor, currency)
}

func reverseCommand(o *clientOptions) *cobra.Command {
	var in api.ReverseRequest
	c := &cobra.Command{
		Use: "reverse DISPOSITION --why WHY", Short: "The box turned up: put everything back where it was", Args: cobra.ExactArgs(1),
		Long: `Take a disposition back: custody, places in racks, addresses, lines of packing lists and book values are again as they were. What cannot be, because
somebody took the place meanwhile, is named, and nothing is changed; with --storage those things go to storage instead. --preview only shows.

Exit codes: 0 reversed or shown, 1 the server cannot be reached, 2 the command line is wrong, 3 refused, with what conflicts.`,
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			var out api.ReverseResult
			if err := client.Call(c.Context(), "POST", "/api/v1/dispositions/"+url.PathEscape(args[0])+"/reverse", in, &out); err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), out)
			}
			var rows [][]string
			for _, item := range out.Items {
				rows = append(rows, []string{item.AssetTag, item.To, strings.Join(item.Conflicts, "; ")})
			}
			return table(c.OutOrStdout(), []string{"asset", "goes to", "but"}, rows)
		}),
	}
	c.Flags().StringVar(&in.Why, "why", "", "how it came back")
	c.Flags().BoolVar(&in.Storage, "storage", false, "what cannot go back goes to storage")
	c.Flags().BoolVar(&in.Preview, "preview", false, "show what would happen, and change nothing")
	_ = c.MarkFlagRequired("why") // the flag is there
	return c
}

func scheduleCommand(o *clientOptions) *cobra.Command {
	return &cobra.Command{
		Use: "schedule DISPOSITION", Short: "What a disposition took, with values, as CSV", Args: cobra.ExactArgs(1),
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			return fetchTo(c.Context(), client, "/api/v1/dispositions/"+url.PathEscape(args[0])+"/schedule.csv", "-", c.OutOrStdout())
		}),
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"berth/api"
	"berth/inventory"
)

// moneyCommand is `berth money`: what things are worth.
func moneyCommand(o *clientOptions) *cobra.Command {
	c := &cobra.Command{Use: "money", Short: "What things are worth: books on any day, fiscal years, landed cost"}
	c.AddCommand(moneyValueCommand(o), moneyRollCommand(o), moneyLandCommand(o))
	return c
}

const moneyCodes = "\n\nExit codes: 0 done, 1 the server could not be asked, 2 the command line is wrong, 3 the server refused, for instance because your account may not see money."

func moneyValueCommand(o *clientOptions) *cobra.Command {
	var asOf string
	var csv bool
	c := &cobra.Command{
		Use: "value BOOK", Short: "What a book holds at the end of a day, past or future", Args: cobra.ExactArgs(1),
		Long: "Sums by site and kind, each in its own currency; with --csv a line for each asset." + moneyCodes,
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			if csv {
				return saveOrPour(c.Context(), "", c.OutOrStdout(), func(ctx context.Context) (io.ReadCloser, error) { return client.BookValuesCSV(ctx, args[0], asOf) })
			}
			values, err := client.BookValues(c.Context(), args[0], asOf)
			if err != nil {
				return explain(err)
			}
			if o.json {
				return printJSON(c.OutOrStdout(), values)
			}
			return printValues(c.OutOrStdout(), values)
		},
	}
	c.Flags().StringVar(&asOf, "as-of", "", "the day, 2026-12-31 (today)")
	c.Flags().BoolVar(&csv, "csv", false, "a line for each asset, as CSV")
	return c
}

func printValues(w io.Writer, v *api.BookValues) error {
	fmt.Fprintf(w, "%s at the end of %s\n\n", printable(v.Name), v.AsOf)
	var rows [][]string
	add := func(what, name string, a api.Amounts) {
		rows = append(rows, []string{what, printable(name), strconv.Itoa(a.Assets), inventory.FormatMoney(a.Basis, a.Currency), inventory.FormatMoney(a.Amount, a.Currency)})
	}
	for _, a := range v.BySite {
		name := a.Name
		if a.Site == "" {
			name = "(at no site)"
		}
		add("site", name, a.Amounts)
	}
	for _, a := range v.ByKind {
		add("kind", a.Kind, a.Amounts)
	}
	for _, a := range v.Totals {
		add("all", "", a)
	}
	if err := table(w, []string{"of", "name", "assets", "at cost", "value"}, rows); err != nil {
		return err
	}
	if v.Undated > 0 {
		fmt.Fprintf(w, "%d assets count in full: nobody wrote down when they came.\n", v.Undated)
	}
	return nil
}

func moneyRollCommand(o *clientOptions) *cobra.Command {
	var year int
	var sums bool
	c := &cobra.Command{
		Use: "roll-forward BOOK", Short: "A book's fiscal year from opening to closing, as CSV", Args: cobra.ExactArgs(1),
		Long: "A line for each asset: opening, additions, disposals, depreciation, closing; and the sums of each currency at the end. The year is called by the calendar year in which it begins." + moneyCodes,
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			if !sums && !o.json {
				return saveOrPour(c.Context(), "", c.OutOrStdout(), func(ctx context.Context) (io.ReadCloser, error) { return client.RollForwardCSV(ctx, args[0], year) })
			}
			roll, err := client.RollForward(c.Context(), args[0], year)
			if err != nil {
				return explain(err)
			}
			if o.json {
				return printJSON(c.OutOrStdout(), roll)
			}
			return printRoll(c.OutOrStdout(), roll)
		},
	}
	c.Flags().IntVar(&year, "year", time.Now().Year(), "fiscal year")
	c.Flags().BoolVar(&sums, "sums", false, "the sums only, as a table")
	return c
}

func printRoll(w io.Writer, roll *api.RollForward) error {
	fmt.Fprintf(w, "%s, %s to %s\n\n", printable(roll.Name), roll.From, roll.To)
	var rows [][]string
	for _, r := range roll.Totals {
		row := []string{r.Currency}
		for _, minor := range []int64{r.Opening, r.Additions, r.Disposals, r.Depreciation, r.Closing} {
			row = append(row, inventory.FormatAmount(minor, r.Currency))
		}
		rows = append(rows, row)
	}
	return table(w, []string{"currency", "opening", "additions", "disposals", "depreciation", "closing"}, rows)
}

func moneyLandCommand(o *clientOptions) *cobra.Command {
	var shipment, acquisition, why string
	c := &cobra.Command{
		Use: "land", Short: "Share freight, duty and handling out over the assets that came", Args: cobra.NoArgs,
		Long: "Works out anew what each asset of a shipment or an acquisition cost with its share of the cost lines." + moneyCodes,
		RunE: func(c *cobra.Command, _ []string) error {
			if (shipment == "") == (acquisition == "") {
				return usageError(errors.New("name --shipment or --acquisition"), "")
			}
			client, err := o.client()
			if err != nil {
				return err
			}
			noun, ref := "shipments", shipment
			if acquisition != "" {
				noun, ref = "acquisitions", acquisition
			}
			done, err := client.Land(c.Context(), noun, ref, api.LandRequest{Why: why})
			if err != nil {
				return explain(err)
			}
			if o.json {
				return printJSON(c.OutOrStdout(), done)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "landed cost of %d assets changed\n", done.Changed)
			return err
		},
	}
	c.Flags().StringVar(&shipment, "shipment", "", "the shipment whose cost is shared out")
	c.Flags().StringVar(&acquisition, "acquisition", "", "the acquisition whose cost is shared out")
	c.Flags().StringVar(&why, "why", "", "reason, for the change log")
	return c
}

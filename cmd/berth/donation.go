package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"berth/api"
	"berth/inventory"
)

const donationCodes = "\n\nExit codes: 0 done, 1 a file could not be read or written, 2 the command line is wrong, 3 the server refused."

// donationCommand is `berth donation`: things that were given, from the offer to the letter of thanks.
func donationCommand(o *clientOptions) *cobra.Command {
	c := &cobra.Command{Use: "donation", Short: "Things that were given: the offer, what is to come, the letter of thanks, the year's report",
		Long: `Things that were given. A donation is an acquisition of the kind donation: ` + "`berth acquisition`" + ` has its other fields.

A donation may be announced thing by thing, or not at all: machines that boot and are accepted with ` + "`berth machine accept NAME --acquisition D-1`" + ` fill
it in themselves.`}
	c.AddCommand(donationOfferCommand(o), donationExpectCommand(o), donationLetterCommand(o), donationSentCommand(o), donationReportCommand(o))
	for _, step := range []struct{ name, status, short string }{
		{"accept", "accepted", "Say yes to an offer"}, {"decline", "declined", "Say no to an offer"}, {"receive", "received", "Note that the things are here: they are held from that day on"}, {"close", "closed", "Note that all is done"},
	} {
		c.AddCommand(donationStepCommand(o, step.name, step.status, step.short))
	}
	return c
}

func donationOfferCommand(o *clientOptions) *cobra.Command {
	var from, title, items string
	fields := map[string]any{"kind": "donation"}
	c := &cobra.Command{
		Use: "offer", Short: "Write down an offer", Args: cobra.NoArgs,
		Long: "Write down that somebody offers to give things, and what." + donationCodes,
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			text, err := readList(c, items)
			if err != nil {
				return err
			}
			fields["organization"], fields["title"] = from, title
			for _, name := range []string{"description", "story", "restriction", "offered_on", "why"} {
				if v, _ := c.Flags().GetString(flagOf(name)); v != "" {
					fields[name] = v
				}
			}
			made := new(inventory.Acquisition)
			if err := client.Call(c.Context(), "POST", "/api/v1/acquisitions", fields, made); err != nil {
				return explain(err)
			}
			if text != "" {
				if _, err := client.Expect(c.Context(), string(made.UID), api.ExpectRequest{Items: text}); err != nil {
					return fmt.Errorf("donation %s was written down, but not its things: %w", made.Reference, explain(err))
				}
			}
			return o.printOne(c.OutOrStdout(), inventory.NounFor[inventory.Acquisition](), made, "written down")
		},
	}
	f := c.Flags()
	f.StringVar(&from, "from", "", "the donor: name in addresses (slug) or uid of the organization")
	f.StringVar(&title, "title", "", "in a few words, what it is")
	f.StringVar(&items, "items", "", "file with what is to come, as for `berth donation expect`; - is standard input")
	f.String("description", "", "what the letter of thanks says was given")
	f.String("story", "", "where the things come from, in the donor's words; it stays with each machine")
	f.String("restriction", "", "what the donor asks of us")
	f.String("offered-on", "", "the day, 2026-03-19")
	f.String("why", "", "reason, for the change log")
	return c
}

// flagOf is how a field is called on the command line.
func flagOf(field string) string {
	if field == "offered_on" {
		return "offered-on"
	}
	return field
}

// maxList bounds a list of things that is read from a file.
const maxList = 1 << 20

func readList(c *cobra.Command, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	r, err := openInput(c, file)
	if err != nil {
		return "", err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxList))
	return string(text), err
}

func donationExpectCommand(o *clientOptions) *cobra.Command {
	var why string
	c := &cobra.Command{
		Use: "expect DONATION FILE", Short: "Announce what is to come", Args: cobra.ExactArgs(2),
		Long: `Announce what is to come: on each line of FILE (- is standard input) a serial number, "SERIAL, MODEL", or "8 x MODEL". If a line is wrong, all wrong lines
are named and nothing is written.` + donationCodes,
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			text, err := readList(c, args[1])
			if err != nil {
				return err
			}
			made, err := client.Expect(c.Context(), args[0], api.ExpectRequest{Items: text, Why: why})
			if err != nil {
				return explain(err)
			}
			if o.json {
				return printJSON(c.OutOrStdout(), made)
			}
			var rows [][]string
			for _, a := range made.Items {
				rows = append(rows, []string{a.AssetTag, printable(a.Serial), printable(a.Name)})
			}
			return table(c.OutOrStdout(), []string{"tag", "serial", "what"}, rows)
		},
	}
	c.Flags().StringVar(&why, "why", "", "reason, for the change log")
	return c
}

func donationStepCommand(o *clientOptions, name, status, short string) *cobra.Command {
	in := api.AdvanceRequest{Status: status}
	c := &cobra.Command{
		Use: name + " DONATION", Short: short, Args: cobra.ExactArgs(1), Long: short + "." + donationCodes,
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			a, err := client.Advance(c.Context(), args[0], in)
			if err != nil {
				return explain(err)
			}
			return o.printOne(c.OutOrStdout(), inventory.NounFor[inventory.Acquisition](), a, "is "+a.Status)
		},
	}
	if status == "received" {
		c.Flags().StringVar(&in.On, "on", "", "the day, 2026-03-19 (today)")
	}
	c.Flags().StringVar(&in.Why, "why", "", "reason, for the change log")
	return c
}

func donationLetterCommand(o *clientOptions) *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "letter DONATION", Short: "Print the letter of thanks (PDF)", Args: cobra.ExactArgs(1),
		Long: "Print the letter of thanks, which describes what was given and never says what it is worth." + donationCodes,
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			return saveOrPour(c.Context(), out, c.OutOrStdout(), func(ctx context.Context) (io.ReadCloser, error) { return client.Acknowledgement(ctx, args[0]) })
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write (standard output)")
	return c
}

func donationSentCommand(o *clientOptions) *cobra.Command {
	var in api.AcknowledgedRequest
	c := &cobra.Command{
		Use: "sent DONATION", Short: "Note that the letter of thanks was sent, and keep it", Args: cobra.ExactArgs(1),
		Long: "Note the day on which the letter of thanks was sent; the letter is kept among the documents of the donation." + donationCodes,
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			a, err := client.Acknowledged(c.Context(), args[0], in)
			if err != nil {
				return explain(err)
			}
			return o.printOne(c.OutOrStdout(), inventory.NounFor[inventory.Acquisition](), a, "acknowledged")
		},
	}
	c.Flags().StringVar(&in.On, "on", "", "the day, 2026-03-19 (today)")
	c.Flags().StringVar(&in.Why, "why", "", "reason, for the change log")
	return c
}

func donationReportCommand(o *clientOptions) *cobra.Command {
	var year int
	var donor, format, out string
	c := &cobra.Command{
		Use: "report", Short: "What was donated in a year, by donor", Args: cobra.NoArgs,
		Long: "What was donated in a calendar year, by donor: as a table, as CSV or as PDF." + donationCodes,
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			if format != "table" {
				if format != "csv" && format != "pdf" {
					return usageError(fmt.Errorf("--format %q is not table, csv or pdf", format), "")
				}
				return saveOrPour(c.Context(), out, c.OutOrStdout(), func(ctx context.Context) (io.ReadCloser, error) {
					return client.Download(ctx, api.DonationsPath(year, donor, format))
				})
			}
			page, err := client.Donations(c.Context(), year, donor)
			if err != nil {
				return explain(err)
			}
			if o.json {
				return printJSON(c.OutOrStdout(), page)
			}
			return printDonations(c.OutOrStdout(), page.Items)
		},
	}
	f := c.Flags()
	f.IntVar(&year, "year", 0, "calendar year (all)")
	f.StringVar(&donor, "donor", "", "slug or uid of one donor")
	f.StringVar(&format, "format", "table", "table, csv or pdf")
	f.StringVarP(&out, "output", "o", "", "file to write, for csv and pdf (standard output)")
	return c
}

func printDonations(w io.Writer, list []api.Donation) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "none. A donation counts from the day it is noted as received.")
		return err
	}
	var rows [][]string
	for _, d := range list {
		sent := string(d.AcknowledgedOn)
		if sent == "" {
			sent = "not yet"
		}
		rows = append(rows, []string{printable(d.Donor), printable(d.Reference), string(d.ReceivedOn), printable(d.Title), strconv.Itoa(d.Things), sent, string(d.HoldUntil)})
	}
	return table(w, []string{"donor", "donation", "received", "what", "things", "letter", "held until"}, rows)
}

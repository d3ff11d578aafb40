package main

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"berth/api"
)

// deadlinesCommand shows the agenda: `berth deadlines`. The derived commands of the stored rows stay under `berth deadline`.
func deadlinesCommand(o *clientOptions) *cobra.Command {
	var days int
	var ics bool
	c := &cobra.Command{
		Use: "deadlines", Short: "What falls due: claims, warranties, leases, loans, policies", Args: cobra.NoArgs,
		Long: `List every day on which something must be done or ends, with the days left, the earliest first: deadlines towards carriers and insurers, ends of
warranties, leases, loans and policies, days of notice, holds, and the last day on which exported goods come back free of duty. What is over and still
open comes first. A mark ? says that the rule was not held against a source yet. Nothing of it is legal advice.

Exit codes: 0 listed, 1 the server cannot be reached, 2 the command line is wrong, 3 refused.`,
		RunE: o.with(func(c *cobra.Command, client *api.Client, _ []string) error {
			path := "/api/v1/agenda?days=" + strconv.Itoa(days)
			if ics {
				return fetchTo(c.Context(), client, path+"&format=ics", "-", c.OutOrStdout())
			}
			var agenda api.Agenda
			if err := client.Call(c.Context(), "GET", path, nil, &agenda); err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), agenda)
			}
			if len(agenda.Items) == 0 {
				_, err := fmt.Fprintf(c.OutOrStdout(), "nothing falls due until %s\n", agenda.Until)
				return err
			}
			var rows [][]string
			for _, e := range agenda.Items {
				rows = append(rows, []string{string(e.DueOn), daysLeft(e), e.About, e.Kind, e.Title})
			}
			return table(c.OutOrStdout(), []string{"day", "left", "about", "kind", "what"}, rows)
		}),
	}
	c.Flags().IntVar(&days, "days", 90, "how far to look ahead")
	c.Flags().BoolVar(&ics, "ics", false, "print a calendar (iCalendar)")
	c.AddCommand(finishCommand(o))
	return c
}

// daysLeft is what stands in the column: "3 d", "over 2 d", "today"; a ? behind it marks a rule that nobody looked up.
func daysLeft(e api.AgendaEntry) string {
	text := strconv.Itoa(e.DaysLeft) + " d"
	switch {
	case e.DaysLeft == 0:
		text = "today"
	case e.DaysLeft < 0 && e.Milestone:
		text = "since " + strconv.Itoa(-e.DaysLeft) + " d"
	case e.DaysLeft < 0:
		text = "over " + strconv.Itoa(-e.DaysLeft) + " d"
	}
	if e.Unsure {
		text += " ?"
	}
	return text
}

func finishCommand(o *clientOptions) *cobra.Command {
	var in api.FinishRequest
	c := &cobra.Command{
		Use: "done DEADLINE", Short: "Say that a deadline was met, or with --waive that it does not matter", Args: cobra.ExactArgs(1),
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			in.State = "done"
			if waive, _ := c.Flags().GetBool("waive"); waive {
				in.State = "waived"
			}
			return client.Call(c.Context(), "POST", "/api/v1/deadlines/"+url.PathEscape(args[0])+"/finish", in, nil)
		}),
	}
	c.Flags().Bool("waive", false, "it does not matter; needs --note")
	c.Flags().StringVar((*string)(&in.On), "on", "", "the day it was done (default today)")
	c.Flags().StringVar(&in.Note, "note", "", "how, or why not")
	return c
}

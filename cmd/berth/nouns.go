package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"berth/api"
	"berth/inventory"
)

// nounCommands gives every noun its list, show, create, set and delete, from its descriptor. Machines, operations and images get their
// actions added elsewhere.
func nounCommands(o *clientOptions) map[string]*cobra.Command {
	out := map[string]*cobra.Command{}
	for _, n := range inventory.Nouns {
		c := &cobra.Command{Use: n.Name, Aliases: []string{n.Plural}, Short: n.Help}
		c.AddCommand(listCommand(o, n), showCommand(o, n))
		if n.Edit != inventory.LevelNone {
			c.AddCommand(createCommand(o, n), setCommand(o, n), deleteCommand(o, n))
		}
		out[n.Name] = c
	}
	return out
}

func long(n *inventory.Noun) string {
	if n.Name == "operation" {
		return "Without a filter, the polls of BMCs are left out; --filter kind=poll-bmc lists them. "
	}
	return ""
}

func listCommand(o *clientOptions, n *inventory.Noun) *cobra.Command {
	var q api.Query
	var filters []string
	var all bool
	c := &cobra.Command{
		Use: "list", Short: "List " + strings.ReplaceAll(n.Plural, "-", " "), Args: cobra.NoArgs,
		Long: long(n) + "Filters are field=value; field__contains=, field__not=, field__in=, field__empty=true and so on as in the API.",
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			q.Filters = map[string]string{}
			for _, f := range filters {
				name, value, ok := strings.Cut(f, "=")
				if !ok {
					return usageError(fmt.Errorf("--filter %q is not field=value", f), "")
				}
				q.Filters[name] = value
			}
			if n.Name == "operation" && len(filters) == 0 {
				// Each BMC has a poll that never ends; among hundreds of them nobody finds the work.
				q.Filters["kind__not"] = "poll-bmc"
			}
			page, err := client.ListObjects(c.Context(), n, q)
			for err == nil && all && page.Next != "" {
				q.Cursor = page.Next
				var more api.Page[inventory.Object]
				more, err = client.ListObjects(c.Context(), n, q)
				page.Items, page.Next = append(page.Items, more.Items...), more.Next
				if page.Names == nil {
					page.Names = more.Names
				}
				for uid, name := range more.Names {
					page.Names[uid] = name
				}
			}
			if err != nil {
				return explain(err)
			}
			if o.json {
				return printJSON(c.OutOrStdout(), page)
			}
			return printList(c.OutOrStdout(), n, page)
		},
	}
	c.Flags().StringVar(&q.Search, "search", "", "only those that hold this text")
	c.Flags().StringVar(&q.Sort, "sort", "", "order by this field; - in front descends")
	c.Flags().IntVar(&q.Limit, "limit", 0, "rows, at most 1000 (50)")
	c.Flags().StringArrayVar(&filters, "filter", nil, "field=value; may be repeated")
	c.Flags().BoolVar(&all, "all", false, "every page")
	return c
}

func printList(w io.Writer, n *inventory.Noun, page api.Page[inventory.Object]) error {
	if len(page.Items) == 0 {
		_, err := fmt.Fprintf(w, "none. %s\n", n.Help)
		return err
	}
	var header []string
	var fields []inventory.Field
	for _, f := range n.Fields {
		if f.List && !f.Hidden {
			title := f.Title
			if f.Unit == "B" {
				title = strings.TrimSuffix(title, " bytes") // the unit stands in the column
			}
			header, fields = append(header, title), append(fields, f)
		}
	}
	if n.Natural == "" {
		header = append([]string{"uid"}, header...)
	}
	var rows [][]string
	for _, item := range page.Items {
		var row []string
		if n.Natural == "" {
			row = append(row, string(item.Head().UID))
		}
		for _, f := range fields {
			row = append(row, column(f, item, page.Names))
		}
		rows = append(rows, row)
	}
	if err := table(w, header, rows); err != nil {
		return err
	}
	if page.Next != "" {
		fmt.Fprintln(w, "There are more: --all, or --limit.")
	}
	return nil
}

func showCommand(o *clientOptions, n *inventory.Noun) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show one " + strings.ToLower(n.Title), Args: cobra.ExactArgs(1),
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			obj, err := client.GetObject(c.Context(), n, args[0])
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), obj)
			}
			return printObject(c.OutOrStdout(), n, obj)
		}),
	}
}

func printObject(w io.Writer, n *inventory.Noun, obj inventory.Object) error {
	var rows [][]string
	for _, f := range n.Fields {
		if f.Hidden || f.Kind == inventory.KindData {
			continue
		}
		text := column(f, obj, nil)
		if uid, ok := f.Value(obj).(inventory.UID); ok {
			text = string(uid) // whole, so that it can be used in the next command
		}
		if text != "" {
			rows = append(rows, []string{f.Title, text})
		}
	}
	return table(w, []string{"field", "value"}, rows)
}

func createCommand(o *clientOptions, n *inventory.Noun) *cobra.Command {
	return &cobra.Command{
		Use: "create FIELD=VALUE...", Short: "Create a " + strings.ToLower(n.Title), Args: cobra.MinimumNArgs(1),
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			fields, err := assignments(n, args)
			if err != nil {
				return err
			}
			obj := n.New()
			if err := client.Call(c.Context(), "POST", "/api/v1/"+n.Plural, fields, obj); err != nil {
				return err
			}
			return o.printOne(c.OutOrStdout(), n, obj, "created")
		}),
	}
}

func setCommand(o *clientOptions, n *inventory.Noun) *cobra.Command {
	return &cobra.Command{
		Use: "set NAME FIELD=VALUE...", Short: "Change fields of a " + strings.ToLower(n.Title), Args: cobra.MinimumNArgs(2),
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			fields, err := assignments(n, args[1:])
			if err != nil {
				return err
			}
			obj, err := client.UpdateFields(c.Context(), n, args[0], 0, fields)
			if err != nil {
				return err
			}
			return o.printOne(c.OutOrStdout(), n, obj, "changed")
		}),
	}
}

func deleteCommand(o *clientOptions, n *inventory.Noun) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Delete a " + strings.ToLower(n.Title), Args: cobra.ExactArgs(1),
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			if err := client.DeleteObject(c.Context(), n, args[0], 0); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s %s deleted\n", strings.ToLower(n.Title), args[0])
			return err
		}),
	}
}

func (o *clientOptions) printOne(w io.Writer, n *inventory.Noun, obj inventory.Object, done string) error {
	if o.json {
		return printJSON(w, obj)
	}
	_, err := fmt.Fprintf(w, "%s %s %s\n", strings.ToLower(n.Title), printable(n.Display(obj)), done)
	return err
}

// assignments turns field=value into what the API takes: numbers and truth values by the field's kind, lists at commas. A secret's
// value is @FILE or - for standard input's first line, so that it stands on no command line.
func assignments(n *inventory.Noun, args []string) (map[string]any, error) {
	out := map[string]any{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		f, known := n.Field(name)
		switch {
		case !ok:
			return nil, usageError(fmt.Errorf("%q is not field=value", arg), "")
		case !known || f.ReadOnly || f.Hidden:
			return nil, usageError(fmt.Errorf("a %s has no field %q that can be set", strings.ToLower(n.Title), name), "")
		}
		v, err := fieldValue(f, value)
		if err != nil {
			return nil, usageError(fmt.Errorf("%s: %w", name, err), "")
		}
		out[name] = v
	}
	return out, nil
}

func fieldValue(f inventory.Field, value string) (any, error) {
	switch f.Kind {
	case inventory.KindInt:
		var n int64
		_, err := fmt.Sscan(value, &n)
		return n, err
	case inventory.KindFloat:
		var x float64
		_, err := fmt.Sscan(value, &x)
		return x, err
	case inventory.KindBool:
		switch value {
		case "true", "yes", "1":
			return true, nil
		case "false", "no", "0":
			return false, nil
		}
		return nil, errors.New("true or false")
	case inventory.KindList:
		if value == "" {
			return []string{}, nil
		}
		return strings.Split(value, ","), nil
	case inventory.KindSecret:
		return readSecret(value)
	}
	return value, nil
}

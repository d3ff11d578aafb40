package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

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
	var filters, columns []string
	var all, csv bool
	c := &cobra.Command{
		Use: "list", Short: "List " + strings.ReplaceAll(n.Plural, "-", " "), Args: cobra.NoArgs,
		Long: long(n) + "Filters are field=value; field__contains=, field__starts=, field__not=, field__in=, field__lt=, field__gt=, field__empty=true as in the API, and tag=slug." +
			nounCodes,
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
			if csv {
				return saveOrPour(c.Context(), "", c.OutOrStdout(), func(ctx context.Context) (io.ReadCloser, error) { return client.ExportCSV(ctx, n, q, columns) })
			}
			fields, err := listColumns(n, columns)
			if err != nil {
				return err
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
			return printList(c.OutOrStdout(), n, fields, page)
		},
	}
	c.Flags().StringVar(&q.Search, "search", "", "only those that hold this text")
	c.Flags().StringVar(&q.Sort, "sort", "", "order by this field; - in front descends")
	c.Flags().IntVar(&q.Limit, "limit", 0, "rows, at most 1000 (50)")
	c.Flags().StringArrayVar(&filters, "filter", nil, "field=value; may be repeated")
	c.Flags().BoolVar(&all, "all", false, "every page")
	c.Flags().StringSliceVar(&columns, "columns", nil, "fields to show, with commas between; all for every one")
	c.Flags().BoolVar(&csv, "csv", false, "print CSV of every page; an import takes it back")
	return c
}

const nounCodes = "\n\nExit codes: 0 done, 1 the server could not be asked, 2 the command line is wrong, 3 the server refused."

// listColumns are the fields named, or those that a list shows by itself.
func listColumns(n *inventory.Noun, names []string) ([]inventory.Field, error) {
	var fields []inventory.Field
	every := len(names) == 1 && names[0] == "all"
	for _, f := range n.Fields {
		if !f.Hidden && f.Kind != inventory.KindSecret && (every || len(names) == 0 && f.List) {
			fields = append(fields, f)
		}
	}
	if every || len(names) == 0 {
		return fields, nil
	}
	for _, name := range names {
		f, ok := n.Field(strings.TrimSpace(name))
		if !ok || f.Hidden || f.Kind == inventory.KindSecret {
			return nil, usageError(fmt.Errorf("%s have no column %q", strings.ReplaceAll(n.Plural, "-", " "), name), "")
		}
		fields = append(fields, f)
	}
	return fields, nil
}

func printList(w io.Writer, n *inventory.Noun, fields []inventory.Field, page api.Page[inventory.Object]) error {
	if len(page.Items) == 0 {
		_, err := fmt.Fprintf(w, "none. %s\n", n.Help)
		return err
	}
	// Amounts that the server kept back are no zeros.
	fields = slices.DeleteFunc(slices.Clone(fields), func(f inventory.Field) bool { return slices.Contains(page.Withheld, f.Name) })
	var header []string
	for _, f := range fields {
		title := f.Title
		if f.Unit == "B" {
			title = strings.TrimSuffix(title, " bytes") // the unit stands in the column
		}
		header = append(header, title)
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
			row = append(row, nounColumn(n, f, item, page.Names))
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
			// As it came: what the server kept back is missing in it, and not zero.
			var raw json.RawMessage
			if err := client.Call(c.Context(), "GET", "/api/v1/"+n.Plural+"/"+url.PathEscape(args[0]), nil, &raw); err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), raw)
			}
			return printObject(c.OutOrStdout(), n, raw)
		}),
	}
}

func printObject(w io.Writer, n *inventory.Noun, raw json.RawMessage) error {
	obj, said := n.New(), map[string]json.RawMessage{}
	if err := errors.Join(json.Unmarshal(raw, obj), json.Unmarshal(raw, &said)); err != nil {
		return err
	}
	var rows [][]string
	for _, f := range n.Fields {
		_, isMap := f.Value(obj).(map[string]string)
		if _, there := said[f.Name]; !there || f.Hidden || f.Kind == inventory.KindData && !isMap {
			continue
		}
		text := nounColumn(n, f, obj, nil)
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
			obj := n.New()
			fields, err := assignments(n, obj, args)
			if err != nil {
				return err
			}
			if err := client.Call(c.Context(), "POST", "/api/v1/"+n.Plural, fields, obj); err != nil {
				return err
			}
			return o.printOne(c.OutOrStdout(), n, obj, "created")
		}),
	}
}

func setCommand(o *clientOptions, n *inventory.Noun) *cobra.Command {
	return &cobra.Command{
		Use: "set NAME FIELD=VALUE...", Aliases: []string{"edit"}, Short: "Change fields of a " + strings.ToLower(n.Title), Args: cobra.MinimumNArgs(2),
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			before := n.New()
			if saysAmount(n, args[1:]) { // its currency says how many decimals an amount has
				var err error
				if before, err = client.GetObject(c.Context(), n, args[0]); err != nil {
					return err
				}
			}
			fields, err := assignments(n, before, args[1:])
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

// saysAmount tells whether an amount of money is among the assignments.
func saysAmount(n *inventory.Noun, args []string) bool {
	return slices.ContainsFunc(args, func(arg string) bool {
		name, _, _ := strings.Cut(arg, "=")
		f, ok := n.Field(name)
		return ok && f.Money
	})
}

// assignments turns field=value into what the API takes: numbers and truth values by the field's kind, lists at commas, amounts in the
// units of their currency, which is given beside them or that of before. A secret's value is @FILE or - for standard input's first line,
// so that it stands on no command line.
func assignments(n *inventory.Noun, before inventory.Object, args []string) (map[string]any, error) {
	out := map[string]any{}
	given := map[string]string{}
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		given[name] = value
	}
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
		if f.Money {
			v, err = moneyValue(n, f, before, given, value)
		}
		if err != nil {
			return nil, usageError(fmt.Errorf("%s: %w", name, err), "")
		}
		out[name] = v
	}
	return out, nil
}

// moneyValue reads an amount such as 1,234.56.
func moneyValue(n *inventory.Noun, f inventory.Field, before inventory.Object, given map[string]string, value string) (any, error) {
	if value == "" && f.Nullable {
		return nil, nil
	}
	currency, ok := given[f.Currency]
	if !ok {
		currency = n.CurrencyOf(f, before)
	}
	return inventory.ParseMoney(value, strings.ToUpper(currency))
}

func fieldValue(f inventory.Field, value string) (any, error) {
	if value == "" && f.Nullable || f.Money { // moneyValue reads amounts
		return nil, nil
	}
	switch f.Kind {
	case inventory.KindTime:
		return timeValue(value)
	case inventory.KindDate:
		return inventory.ParseDate(value)
	case inventory.KindData:
		return mapValue(value)
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

// timeValue reads an instant: RFC 3339, or a date or date and time in UTC.
func timeValue(value string) (any, error) {
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(form, value); err == nil {
			return t.UTC(), nil
		}
	}
	return nil, fmt.Errorf("%q is no instant such as 2026-11-22T10:00:00Z", value)
}

// mapValue reads name=value,name=value, or a JSON object.
func mapValue(value string) (any, error) {
	if strings.HasPrefix(value, "{") {
		var data json.RawMessage
		err := json.Unmarshal([]byte(value), &data)
		return data, err
	}
	m := map[string]string{}
	for part := range strings.SplitSeq(value, ",") {
		name, text, ok := strings.Cut(part, "=")
		if part != "" && !ok {
			return nil, errors.New("write name=value,name=value, or a JSON object")
		}
		if part != "" {
			m[name] = text
		}
	}
	return m, nil
}

// nounColumn renders one field for a table, amounts with their currency.
func nounColumn(n *inventory.Noun, f inventory.Field, obj inventory.Object, names map[inventory.UID]string) string {
	if !f.Money {
		return column(f, obj, names)
	}
	minor, known := f.AmountOf(obj)
	currency := n.CurrencyOf(f, obj)
	if !known || minor == 0 && currency == "" {
		return ""
	}
	return inventory.FormatMoney(minor, currency)
}

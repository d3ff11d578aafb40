package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"berth/api"
	"berth/inventory"
	"berth/inventory/text"
)

// exitDiffers is what `berth plan` ends with when the directory and the record differ, for scripts that look for drift.
const exitDiffers = 2

func exportCommand(o *clientOptions) *cobra.Command {
	var documents bool
	c := &cobra.Command{
		Use: "export DIR", Short: "Write the record into a directory as YAML, one file for each object", Args: cobra.ExactArgs(1),
		Long: `Writes the record into a directory as YAML: one file for each object, with its parts and what is attached to it. The same record always
gives the same bytes, so the directory belongs into git. Secrets are in it as ciphertext, which the server's key and the recovery keys
open. Files of objects that are no more are removed; what else is in the directory is left alone. It needs an administrator.

Exit codes: 0 written, 1 something failed, 2 the command line is wrong, 3 the server refused.`,
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			done, err := exportTo(c.Context(), client, documents, args[0])
			if errors.Is(err, text.ErrForeign) {
				return usageError(fmt.Errorf("%s: %w", args[0], err), "Name an empty directory, or one that was exported to before.")
			}
			if err != nil {
				return explain(err)
			}
			if o.json {
				return printJSON(c.OutOrStdout(), map[string]int{"files": done.Files, "changed": done.Changed, "removed": done.Removed})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d files, %d of them new or changed, %d removed\n", done.Files, done.Changed, done.Removed)
			return err
		},
	}
	c.Flags().BoolVar(&documents, "documents", false, "the bytes of documents too, under documents/blobs")
	return c
}

// exportTo unpacks the export while it arrives.
func exportTo(ctx context.Context, client *api.Client, documents bool, dir string) (text.Written, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		err := client.Export(ctx, documents, w)
		sent <- err
		w.CloseWithError(err)
	}()
	done, err := text.Unpack(r, dir)
	r.CloseWithError(errors.Join(err, io.ErrClosedPipe))
	if err != nil {
		cancel()
	}
	if told := <-sent; told != nil && !errors.Is(told, context.Canceled) && (err == nil || errors.Is(err, told)) {
		return done, told // the server's own words
	}
	return done, err
}

func planCommand(o *clientOptions) *cobra.Command {
	var opt api.TextOptions
	c := &cobra.Command{
		Use: "plan DIR", Short: "Show what apply would change", Args: cobra.ExactArgs(1),
		Long: `Compares a directory of YAML files with the record and shows, field by field, what berth apply would do. Nothing is changed.

Exit codes: 0 they are the same, 1 something failed, 2 they differ (or the command line is wrong, which is told), 3 the server refused.`,
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			plan, err := sendDirectory(c.Context(), args[0], func(r io.Reader) (api.TextPlan, error) {
				return client.PlanText(c.Context(), r, opt)
			})
			if err != nil {
				return explain(err)
			}
			if o.json {
				err = printJSON(c.OutOrStdout(), plan)
			} else {
				err = printTextPlan(c.OutOrStdout(), plan, opt.Delete)
			}
			if err == nil && len(plan.Steps) > 0 {
				return exitError{err: errors.New("the directory and the record differ"), code: exitDiffers}
			}
			return err
		},
	}
	c.Flags().BoolVar(&opt.Delete, "delete", false, "plan the removal of what the directory lacks")
	return c
}

func applyCommand(o *clientOptions) *cobra.Command {
	var opt api.TextOptions
	c := &cobra.Command{
		Use: "apply DIR", Short: "Make the record what a directory of YAML files says", Args: cobra.ExactArgs(1),
		Long: `Brings a directory of YAML files into the record. All of it is checked first; up to a thousand changes are one transaction, more are
made in slices under one request, which can be applied again after a failure, or undone. What the directory lacks stays, unless --delete is
given. If the directory lies in a git work tree, the id of the commit it is at is kept with the change; the record's own
history says the rest.

Exit codes: 0 the record is what the directory says, 1 something failed, 2 the command line is wrong, 3 the server refused.`,
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			opt.Commit = text.Commit(args[0])
			if path, err := filepath.Abs(args[0]); err == nil {
				opt.Name = filepath.Base(path)
			}
			done, err := sendDirectory(c.Context(), args[0], func(r io.Reader) (api.TextApplied, error) {
				return client.ApplyText(c.Context(), r, opt)
			})
			if err != nil {
				return explain(err)
			}
			if o.json {
				return printJSON(c.OutOrStdout(), done)
			}
			return printApplied(c.OutOrStdout(), done, opt.Delete)
		},
	}
	c.Flags().BoolVar(&opt.Delete, "delete", false, "remove what the record has and the directory lacks")
	c.Flags().StringVar(&opt.Why, "why", "", "reason for the change log; the commit by itself")
	return c
}

// sendDirectory packs a directory while it is sent.
func sendDirectory[T any](ctx context.Context, dir string, send func(io.Reader) (T, error)) (T, error) {
	r, w := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := text.Pack(dir, w)
		packed <- err
		w.CloseWithError(err)
	}()
	out, err := send(r)
	r.CloseWithError(io.ErrClosedPipe)
	if failed := <-packed; failed != nil && !errors.Is(failed, io.ErrClosedPipe) {
		return out, usageError(fmt.Errorf("read %s: %w", dir, failed), "")
	}
	return out, err
}

func printApplied(w io.Writer, done api.TextApplied, deleted bool) error {
	if err := printTextPlan(w, done.Plan, deleted); err != nil || len(done.Plan.Steps) == 0 {
		return err
	}
	if done.Run.Commit != "" {
		fmt.Fprintf(w, "Applied as of commit %s.\n", printable(done.Run.Commit))
	}
	_, err := fmt.Fprintf(w, "To take it back: berth undo %s\n", done.Request)
	return err
}

// printPlan writes a plan as people read it: a line for each object, one for each field below it.
func printTextPlan(w io.Writer, plan api.TextPlan, deleting bool) error {
	signs := map[string]string{"create": "+", "change": "~", "delete": "-"}
	var rows [][]string
	for _, s := range plan.Steps {
		rows = append(rows, []string{signs[s.Action] + " " + s.Action, s.Noun, s.Name, s.File})
		for _, f := range s.Fields {
			rows = append(rows, []string{"", "", "  " + f.Field, change(f)})
		}
	}
	if len(rows) > 0 {
		if err := table(w, []string{"action", "noun", "name or field", "file or change"}, rows); err != nil {
			return err
		}
	}
	if plan.More > 0 {
		fmt.Fprintf(w, "… and %d more\n", plan.More)
	}
	for _, notice := range plan.Notices {
		fmt.Fprintln(w, printable(notice))
	}
	if !deleting {
		for _, plural := range slices.Sorted(maps.Keys(plan.Extra)) {
			fmt.Fprintf(w, "%d %s are not in the directory; they stay (--delete removes them)\n", plan.Extra[plural], strings.ReplaceAll(plural, "-", " "))
		}
	}
	_, err := fmt.Fprintf(w, "%d to create, %d to change, %d to delete, %d as they are\n", plan.Creates, plan.Changes, plan.Deletes, plan.Unchanged)
	return err
}

func change(f api.TextField) string {
	switch {
	case f.From == "":
		return f.To
	case f.To == "":
		return f.From + " → (empty)"
	}
	return f.From + " → " + f.To
}

func undoCommand(o *clientOptions) *cobra.Command {
	var in api.UndoRequest
	c := &cobra.Command{
		Use: "undo CHANGE|REQUEST", Short: "Take back a change, or all that one request changed", Args: cobra.ExactArgs(1),
		Long: `Makes the opposite edits of one change, or of a whole request, such as an apply or an import. The ids are those of the change log
(berth change list). What others changed meanwhile is not overwritten: the undo is then refused, and everything in its way is told. An undo
can be undone.

Exit codes: 0 undone, 1 something failed, 2 the command line is wrong, 3 refused: something stands in the way.`,
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			if err := client.Undo(c.Context(), inventory.UID(args[0]), in); err != nil {
				return explain(err)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), "undone")
			return err
		},
	}
	c.Flags().StringVar(&in.Why, "why", "", "reason for the change log")
	return c
}

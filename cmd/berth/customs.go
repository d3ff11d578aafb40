package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"berth/api"
)

// customsCommand is `berth shipment customs`.
func customsCommand(o *clientOptions) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "customs SHIPMENT", Short: "Print the papers of a shipment for customs", Args: cobra.ExactArgs(1),
		Long: `Say what customs would ask for that is missing and, with -o, write the papers into a directory as PDF: pro-forma invoice, packing list and,
for goods that come back after an export, the statement on returned goods. The invoice needs the right to see money.

Exit codes: 0 done, 1 a file could not be written, 2 the command line is wrong, 3 the server refused.`,
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			pack, err := client.Customs(c.Context(), args[0])
			if err != nil {
				return explain(err)
			}
			if o.json {
				if err := printJSON(c.OutOrStdout(), pack); err != nil {
					return err
				}
			} else {
				printCustoms(c.OutOrStdout(), pack)
			}
			if dir == "" {
				return nil
			}
			return writeCustoms(c, client, args[0], dir, pack.Papers)
		},
	}
	c.Flags().StringVarP(&dir, "output", "o", "", "directory to write the papers to")
	return c
}

func printCustoms(w io.Writer, pack *api.CustomsPack) {
	if len(pack.Missing) == 0 {
		fmt.Fprintln(w, "nothing is missing that customs would ask for")
	}
	for _, m := range pack.Missing {
		fmt.Fprintln(w, "missing:", printable(m))
	}
	if pack.LastReturn != "" {
		fmt.Fprintf(w, "the goods come back free of duty until %s\n", pack.LastReturn)
	}
}

func writeCustoms(c *cobra.Command, client *api.Client, shipment, dir string, papers []string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range papers {
		file := filepath.Join(dir, name+".pdf")
		err := save(file, func() (io.ReadCloser, error) { return client.CustomsPaper(c.Context(), shipment, name) })
		if err != nil {
			return err
		}
		fmt.Fprintln(c.ErrOrStderr(), "wrote", file)
	}
	return nil
}

// save writes what a server answers with to a file, which is there in full or not at all.
func save(file string, open func() (io.ReadCloser, error)) error {
	body, err := open()
	if err != nil {
		return explain(err)
	}
	defer body.Close()
	f, err := os.CreateTemp(filepath.Dir(file), ".berth-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone by then if all went well
	_, err = io.Copy(f, body)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return os.Rename(f.Name(), file)
}

// saveOrPour writes to a file, or to w when none is named.
func saveOrPour(ctx context.Context, file string, w io.Writer, open func(context.Context) (io.ReadCloser, error)) error {
	if file != "" && file != "-" {
		return save(file, func() (io.ReadCloser, error) { return open(ctx) })
	}
	body, err := open(ctx)
	if err != nil {
		return explain(err)
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}

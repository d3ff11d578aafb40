package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"berth/api"
)

// documentCommands adds upload and download to `berth document`; a document is not made without a file.
func documentCommands(o *clientOptions, c *cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.Name() == "create" {
			c.RemoveCommand(sub)
		}
	}
	c.AddCommand(documentUploadCommand(o), documentDownloadCommand(o))
}

func documentUploadCommand(o *clientOptions) *cobra.Command {
	var in api.DocumentRequest
	c := &cobra.Command{
		Use: "upload FILE...", Short: "Keep files, attached to what they are about", Args: cobra.MinimumNArgs(1),
		Long: `Keep files in the record: invoices, waybills, photos. --attach names what they are about, as noun/name: shipment/S-1, asset/B-0042,
acquisition/D-7; it may be given more than once. A FILE of - is standard input, and then --name says what to call it.

Each file is a request of its own: those before one that fails are kept.

Exit codes: 0 all are kept, 1 one could not be read or sent, 2 the command line is wrong, 3 the server refused one.`,
		Example: "  berth document upload box.jpg seal.jpg --kind photo --attach shipment/S-1",
		RunE: func(c *cobra.Command, files []string) error {
			if in.Name != "" && len(files) > 1 {
				return usageError(errors.New("--name is for one file"), "")
			}
			client, err := o.client()
			if err != nil {
				return err
			}
			for _, file := range files {
				if err := upload(c, o, client, in, file); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringArrayVar(&in.Attach, "attach", nil, "noun/name of what it is about; may be repeated")
	f.StringVar(&in.Kind, "kind", "", "invoice, waybill, photo, letter, policy, contract, customs, certificate, report, manual, … (other)")
	f.StringVar(&in.Name, "name", "", "what to call it (the file's name)")
	f.StringVar(&in.Date, "date", "", "the date on it, 2026-03-19")
	f.StringVar(&in.Caption, "caption", "", "what it shows of what it is attached to")
	f.StringVar(&in.Description, "description", "", "more about it")
	f.StringVar(&in.Why, "why", "", "reason, for the change log")
	return c
}

func upload(c *cobra.Command, o *clientOptions, client *api.Client, in api.DocumentRequest, file string) error {
	r, err := openInput(c, file)
	if err != nil {
		return err
	}
	defer r.Close()
	if in.Name == "" {
		in.Name = filepath.Base(file)
	}
	if in.Name == "-" {
		return usageError(errors.New("what is read from standard input needs a --name"), "")
	}
	doc, err := client.UploadDocument(c.Context(), in, r)
	if err != nil {
		return explain(err)
	}
	if o.json {
		return printJSON(c.OutOrStdout(), doc)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "document %s kept: %s, %s\n", doc.UID, printable(doc.Name), size(doc.SizeBytes))
	return err
}

func openInput(c *cobra.Command, file string) (io.ReadCloser, error) {
	if file == "-" {
		return io.NopCloser(c.InOrStdin()), nil
	}
	return os.Open(file)
}

func documentDownloadCommand(o *clientOptions) *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "download UID", Short: "Get the bytes of a document", Args: cobra.ExactArgs(1),
		Long: `Get the bytes of a document, as they were uploaded. Without -o they go to standard output.

Exit codes: 0 done, 1 the file could not be written, 2 the command line is wrong, 3 the server refused.`,
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			path := "/api/v1/documents/" + url.PathEscape(args[0]) + "/content"
			return saveOrPour(c.Context(), out, c.OutOrStdout(), func(ctx context.Context) (io.ReadCloser, error) { return client.Download(ctx, path) })
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write (standard output)")
	return c
}

package main

import (
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"berth/api"
	"berth/inventory/label"
)

func pathPart(s string) string { return url.PathEscape(s) }

// labelCommand prints stickers.
func labelCommand(o *clientOptions) *cobra.Command {
	var format, output string
	var start, page int
	var filters []string
	var names []string
	for _, f := range label.Formats {
		names = append(names, "  "+f.Name+": "+f.Title)
	}
	c := &cobra.Command{
		Use: "label NOUN [NAME...]", Short: "Print labels with a QR code: asset, machine, device, rack, parcel, component, location", Args: cobra.MinimumNArgs(1),
		Long: "Write a PDF of labels (or, when the file's name ends with .svg, one page of them) that is true to the millimetre: print it at its actual size.\n" +
			"What gets a label is named, or found by --filter field=value.\n\nSheets and tapes:\n" + strings.Join(names, "\n") +
			"\n\nExit codes: 0 the file is written, 1 it could not be, 2 the command line is wrong, 3 the server refused.",
		Example: "  berth label asset A-0017 A-0018 --sheet L7162 --start 5 -o labels.pdf\n  berth label device --filter rack=r12 --sheet TZe-12 -o r12.pdf",
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			v := url.Values{"noun": {args[0]}, "uid": args[1:], "format": {format}, "start": {strconv.Itoa(start)}, "page": {strconv.Itoa(page)}}
			for _, f := range filters {
				name, value, ok := strings.Cut(f, "=")
				if !ok {
					return usageError(fmt.Errorf("--filter %q is not field=value", f), "")
				}
				v.Add(name, value)
			}
			if len(args) == 1 && len(filters) == 0 {
				return usageError(fmt.Errorf("say which %s: by name, or with --filter", args[0]), "")
			}
			kind := "pdf"
			if strings.HasSuffix(output, ".svg") {
				kind = "svg"
			}
			file, err := client.File(c.Context(), "/api/v1/labels."+kind+"?"+v.Encode())
			if err != nil {
				return err
			}
			if err := os.WriteFile(output, file, 0o644); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s written; print it at its actual size\n", output)
			return err
		}),
	}
	c.Flags().StringVar(&format, "sheet", label.Formats[0].Name, "sheet or tape")
	c.Flags().IntVar(&start, "start", 1, "the label of the first sheet to begin at, where it was used before")
	c.Flags().IntVar(&page, "page", 1, "of an SVG: which page")
	c.Flags().StringArrayVar(&filters, "filter", nil, "field=value; may be repeated")
	c.Flags().StringVarP(&output, "output", "o", "labels.pdf", "the file to write")
	return c
}

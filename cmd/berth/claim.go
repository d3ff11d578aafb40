package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"berth/api"
)

// claimCommands adds what is done with a claim to `berth claim`.
func claimCommands(o *clientOptions, parent *cobra.Command) {
	parent.AddCommand(sayCommand(o), dossierCommand(o), letterCommand(o))
}

func sayCommand(o *clientOptions) *cobra.Command {
	var in api.ClaimWord
	c := &cobra.Command{
		Use: "say CLAIM TEXT", Short: "Keep a word to or from the other side", Args: cobra.ExactArgs(2),
		Long: `Keep a word of a claim in its chase log. --to is what we told them: it files a draft and sets the day of the next chase. --from is their answer.
Neither is a note of our own. Entries are never changed. A TEXT of - is read from standard input.

Exit codes: 0 kept, 1 the server cannot be reached, 2 the command line is wrong, 3 refused.`,
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			to, _ := c.Flags().GetBool("to")
			from, _ := c.Flags().GetBool("from")
			switch in.Direction = "note"; {
			case to && from:
				return usageError(errors.New("--to and --from exclude each other"), "")
			case to:
				in.Direction = "out"
			case from:
				in.Direction = "in"
			}
			var err error
			if in.Text, err = textOrInput(args[1]); err != nil {
				return err
			}
			var out api.ClaimWordResult
			if err := client.Call(c.Context(), "POST", "/api/v1/claims/"+url.PathEscape(args[0])+"/say", in, &out); err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), out)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "claim %s is %s; next chase on %s\n", printable(out.Claim.Reference), out.Claim.Status, out.Claim.NextChaseOn)
			return err
		}),
	}
	c.Flags().Bool("to", false, "we told them")
	c.Flags().Bool("from", false, "they told us")
	c.Flags().StringVar(&in.Channel, "by", "email", "email, phone, letter, web or other")
	return c
}

// maxWord bounds a word that is read from standard input, in bytes.
const maxWord = 64 << 10

func textOrInput(text string) (string, error) {
	if text != "-" {
		return text, nil
	}
	data, err := io.ReadAll(io.LimitReader(os.Stdin, maxWord+1))
	if len(data) > maxWord {
		return "", usageError(fmt.Errorf("standard input has more than %d bytes", maxWord), "")
	}
	return strings.TrimSpace(string(data)), err
}

func dossierCommand(o *clientOptions) *cobra.Command {
	var output string
	var pdf bool
	c := &cobra.Command{
		Use: "dossier CLAIM -o FILE", Short: "Everything that proves a claim, in one file", Args: cobra.ExactArgs(1),
		Long: `Fetch everything that proves a claim as one zip: the report and the letter as PDF, the timeline, serials, values, chain of custody, chase log and
deadlines as CSV, the documents, and a list of digests. --pdf fetches the report alone.

Exit codes: 0 written, 1 it could not be fetched or written, 2 the command line is wrong, 3 refused.`,
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			path := "/api/v1/claims/" + url.PathEscape(args[0]) + "/dossier"
			if pdf {
				path += "?format=pdf"
			}
			return fetchTo(c.Context(), client, path, output, c.OutOrStdout())
		}),
	}
	c.Flags().StringVarP(&output, "output", "o", "", "file to write, or - for standard output")
	c.Flags().BoolVar(&pdf, "pdf", false, "the report alone, as PDF")
	_ = c.MarkFlagRequired("output") // the flag is there
	return c
}

func letterCommand(o *clientOptions) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "letter CLAIM", Short: "The letter to the other side, made of what the record knows", Args: cobra.ExactArgs(1),
		Long: "Print the letter to the other side as text; with -o FILE.pdf, write it as PDF. Once something was sent, it is a reminder.",
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			path := "/api/v1/claims/" + url.PathEscape(args[0]) + "/letter"
			if strings.HasSuffix(output, ".pdf") {
				path += "?format=pdf"
			}
			if output == "" {
				output = "-"
			}
			return fetchTo(c.Context(), client, path, output, c.OutOrStdout())
		}),
	}
	c.Flags().StringVarP(&output, "output", "o", "", "file to write (default standard output)")
	return c
}

// fetchTo writes what an address answers to a file, which appears only when all of it has come.
func fetchTo(ctx context.Context, client *api.Client, path, output string, stdout io.Writer) error {
	body, err := client.Download(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()
	if output == "-" {
		_, err := io.Copy(stdout, body)
		return err
	}
	partial := output + ".part"
	f, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, body)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(partial))
	}
	return os.Rename(partial, output)
}

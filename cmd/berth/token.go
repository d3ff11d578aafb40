package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"berth/api"
	"berth/inventory"
)

// tokenCommands adds create to `berth token`.
func tokenCommands(o *clientOptions, parent *cobra.Command) {
	var in api.TokenRequest
	var level string
	var expires time.Duration
	c := &cobra.Command{
		Use: "create", Short: "Make an API token; it is printed once", Args: cobra.NoArgs,
		Long: `Make an API token and print it, this once. On the server's own host, root and the server's user need no credential: the state
directory is found by --data, /var/lib/berth or ./var.`,
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			in.Level = inventory.Level(level)
			if expires > 0 {
				at := time.Now().Add(expires)
				in.ExpiresAt = &at
			}
			made, err := client.CreateToken(c.Context(), in)
			if err != nil {
				return explain(err)
			}
			if o.json {
				return printJSON(c.OutOrStdout(), made)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), made.Token)
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&in.Name, "name", "command line", "what it is for")
	f.StringVar(&level, "level", "admin", "viewer, operator or admin; at most your own")
	f.StringVar(&in.Account, "account", "", "whose it is (default your own)")
	f.DurationVar(&expires, "expires", 90*24*time.Hour, "how long it is good for")
	parent.AddCommand(c)
}

// maxSecret bounds a secret that is read, in bytes.
const maxSecret = 4096

// readSecret reads a secret from @FILE, or from standard input for "-". What stands on a command line is not a secret.
func readSecret(where string) (string, error) {
	var r io.Reader
	switch {
	case where == "":
		return "", nil
	case where == "-":
		r = os.Stdin
	case strings.HasPrefix(where, "@"):
		f, err := os.Open(where[1:])
		if err != nil {
			return "", usageError(err, "")
		}
		defer f.Close()
		r = f
	default:
		return "", usageError(errors.New("a secret is given as @FILE, or - for standard input"), "Every user of the host can read a command line.")
	}
	line, err := bufio.NewReader(io.LimitReader(r, maxSecret)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// maxFacts bounds a file of facts, in bytes.
const maxFacts = 4 << 20

func readFacts(path string) (*inventory.Facts, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usageError(err, "")
	}
	defer f.Close()
	out := new(inventory.Facts)
	if err := json.NewDecoder(io.LimitReader(f, maxFacts)).Decode(out); err != nil {
		return nil, usageError(fmt.Errorf("%s is not what berth-agent --inspect prints: %w", path, err), "")
	}
	return out, nil
}

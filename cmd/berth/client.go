package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"berth/api"
	"berth/inventory"
)

// clientOptions are the settings of every command that speaks to a server.
type clientOptions struct {
	url, token, pin, ca, data string
	json                      bool
}

// addClientFlags puts them on a command and all below it.
func (o *clientOptions) add(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&o.url, "url", os.Getenv("BERTH_URL"), "the server, https://host:port (BERTH_URL)")
	f.StringVar(&o.pin, "pin", os.Getenv("BERTH_PIN"), "SHA-256 of the server's public key, as it prints at its start (BERTH_PIN)")
	f.StringVar(&o.ca, "ca", os.Getenv("BERTH_CA"), "file of authorities to trust instead of the system's (BERTH_CA)")
	f.StringVar(&o.data, "data", "", "state directory of a server on this host, whose socket is used when no --url is given")
	f.BoolVar(&o.json, "json", false, "print JSON for programs instead of tables")
}

// client makes the client: by URL and token, or through the socket of the server on this host. The token comes from BERTH_TOKEN alone,
// because what stands on a command line is read by every user of the host.
func (o *clientOptions) client() (*api.Client, error) {
	o.token = os.Getenv("BERTH_TOKEN")
	if o.url == "" {
		return o.local()
	}
	trust, err := o.trust()
	if err != nil {
		return nil, err
	}
	return &api.Client{URL: o.url, Token: o.token, TLS: trust, UserAgent: "berth/" + version}, nil
}

// with makes a command's run function of one that needs the client, and explains what the server answers.
func (o *clientOptions) with(run func(c *cobra.Command, client *api.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		client, err := o.client()
		if err != nil {
			return err
		}
		if err := run(c, client, args); err != nil {
			return explain(err)
		}
		return nil
	}
}

func (o *clientOptions) trust() (*tls.Config, error) {
	switch {
	case o.pin != "":
		return api.Pinned(o.pin), nil
	case o.ca != "":
		pem, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, usageError(err, "")
		}
		trust, err := api.TrustCA(pem)
		if err != nil {
			return nil, usageError(fmt.Errorf("%s: %w", o.ca, err), "")
		}
		return trust, nil
	}
	return nil, nil
}

// local finds the socket of a server on this host.
func (o *clientOptions) local() (*api.Client, error) {
	dirs := []string{"/var/lib/berth", "var"}
	if o.data != "" {
		dirs = []string{o.data}
	}
	for _, dir := range dirs {
		path, err := filepath.Abs(filepath.Join(dir, "berth.sock"))
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(path); err == nil {
			return &api.Client{URL: "http+unix://" + path, UserAgent: "berth/" + version}, nil
		}
	}
	return nil, usageError(errors.New("no server is named, and none runs on this host"),
		"Set BERTH_URL and BERTH_TOKEN, or give --data, the state directory of a server on this host.")
}

// explain turns the server's answer into an exit code and a hint.
func explain(err error) error {
	if done := (exitError{}); errors.As(err, &done) {
		return err // explained already, further down
	}
	var p *api.Problem
	if !errors.As(err, &p) {
		var unknown *tls.CertificateVerificationError
		if errors.As(err, &unknown) {
			return exitError{err: err, code: exitFailed, hint: "The server made its certificate itself: give the pin it prints at its start (BERTH_PIN), or a CA."}
		}
		return err
	}
	e := exitError{err: err, code: exitRefused}
	switch p.Code {
	case api.CodeUnauthorized:
		e.hint = "Set BERTH_TOKEN to a token; `berth token create` on the server's host makes one."
	case api.CodeConsent:
		e.hint = "Look at what would be lost with --plan, then repeat with --consent."
	case api.CodeInternal, api.CodeUnavailable:
		e.code = exitFailed
	}
	return e
}

// printJSON writes what programs read.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table writes columns for people.
func table(w io.Writer, header []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, strings.ToUpper(strings.Join(header, "\t")))
	for _, r := range rows {
		for i := range r {
			r[i] = printable(r[i])
		}
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	return t.Flush()
}

// printable keeps a machine's own words from speaking to the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := time.Since(t)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return t.Format("2006-01-02")
}

func size(n int64) string {
	switch {
	case n >= 1<<40:
		return fmt.Sprintf("%.1f TiB", float64(n)/(1<<40))
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

// column renders one field of an object for a table.
func column(f inventory.Field, obj inventory.Object, names map[inventory.UID]string) string {
	switch v := f.Value(obj).(type) {
	case inventory.UID:
		if name := names[v]; name != "" {
			return name
		}
		if len(v) > 8 {
			return string(v[:8])
		}
		return string(v)
	case time.Time:
		return ago(v)
	case *time.Time:
		if v == nil {
			return ""
		}
		return ago(*v)
	case int64:
		if f.Unit == "B" {
			return size(v)
		}
		return fmt.Sprint(v)
	case []string:
		return strings.Join(v, ",")
	case map[string]string:
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, name+"="+v[name])
		}
		return strings.Join(parts, ",")
	case *int:
		if v == nil {
			return ""
		}
		return fmt.Sprint(*v)
	case *int64:
		if v == nil {
			return ""
		}
		return fmt.Sprint(*v)
	case *float64:
		if v == nil {
			return ""
		}
		return fmt.Sprint(*v)
	default:
		return fmt.Sprint(v)
	}
}

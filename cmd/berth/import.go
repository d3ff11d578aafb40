package main

import (
	"archive/zip"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"berth/api"
	"berth/inventory"
	"berth/inventory/importer"
	"berth/inventory/importer/sample"
)

// importOptions are the settings of `berth import`.
type importOptions struct {
	api.ImportOptions
	pairs   []string
	mapFile string
}

// importCommand brings in what people move in with.
func importCommand(o *clientOptions) *cobra.Command {
	var in importOptions
	c := &cobra.Command{
		Use: "import FORMAT PATH", Short: "Move in: NetBox, Snipe-IT, Ralph, RackTables, openDCIM, Homebox, device types, any table", Args: cobra.ExactArgs(2),
		Long: "Reads a file, an archive, a directory or - (standard input) and brings it into the record.\n\nFormats: auto (found out from the columns), " + formatList() +
			".\n\nThe source is checked whole first. If rows have errors, all of them are listed, nothing is changed and the exit code is 3. A repeated import changes nothing;\none that was cut off goes on where it ended. All of an import can be taken back by its request: `berth undo`, or its page.\n\n" +
			"Exit codes: 0 done, or nothing to do; 1 it failed on the way; 2 the command line is wrong; 3 rows have errors, or the server refused.",
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			if err := in.settle(args[0], args[1]); err != nil {
				return usageError(err, "See `berth import --help`.")
			}
			return in.run(c, client, o.json, args[1])
		}),
	}
	f := c.Flags()
	f.BoolVar(&in.DryRun, "dry-run", false, "say what would happen, and change nothing")
	f.StringVar(&in.Noun, "noun", "", "of a plain table: what its rows are (asset, component, …)")
	f.StringArrayVar(&in.pairs, "map", nil, `column=field, as in --map "Seriennummer=serial"; may be repeated`)
	f.StringVar(&in.mapFile, "map-file", "", "file of such lines")
	f.StringVar(&in.KeepUnknown, "keep-unknown", "", "keep columns without a field: notes, or fields (custom fields)")
	f.StringVar(&in.Currency, "currency", "", "ISO 4217 code of amounts that have none beside them")
	f.StringVar(&in.Site, "site", "", "site of what says nothing of its site")
	f.StringVar(&in.Dates, "dates", "", "how dates such as 03/04/2024 are meant: dmy or mdy")
	f.BoolVar(&in.Parts, "parts", false, "new devices get the interfaces, ports and bays that their types list")
	f.StringVar(&in.Why, "why", "", "reason, for the change log")
	return c
}

func formatList() string {
	var names []string
	for _, f := range importer.Formats {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

// settle completes the options from the command line.
func (o *importOptions) settle(format, path string) error {
	o.Format, o.Name = format, filepath.Base(path)
	if path == "-" {
		o.Name = "standard input"
	}
	if o.mapFile != "" {
		text, err := os.ReadFile(o.mapFile)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				o.pairs = append(o.pairs, line)
			}
		}
	}
	o.Map = map[string]string{}
	for _, pair := range o.pairs {
		from, to, ok := strings.Cut(pair, "=")
		if !ok {
			return fmt.Errorf("--map %q is not column=field", pair)
		}
		o.Map[strings.TrimSpace(from)] = strings.TrimSpace(to)
	}
	o.Run = inventory.NewUID()
	return nil
}

func (o *importOptions) run(c *cobra.Command, client *api.Client, asJSON bool, path string) error {
	body, err := openSource(path)
	if err != nil {
		return usageError(err, "")
	}
	defer body.Close() // it was only read
	stop := func() {}
	if !asJSON && !o.DryRun && isTerminal(os.Stderr) {
		stop = showProgress(c.Context(), client, o.Run)
	}
	report, err := client.Import(c.Context(), o.ImportOptions, body)
	stop()
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(c.OutOrStdout(), report)
	} else {
		err = printReport(c.OutOrStdout(), report)
	}
	if err == nil && len(report.Errors) > 0 {
		return exitError{err: fmt.Errorf("%d rows have errors; nothing was changed", len(report.Errors)+report.MoreErrors), code: exitRefused}
	}
	return err
}

// openSource opens a file, standard input, or a directory as a zip of what is in it.
func openSource(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return os.Open(path)
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(packDirectory(w, path)) }()
	return r, nil
}

// packed are the ends of files that an import may read; a library of device types comes with a gigabyte of pictures beside them.
var packed = []string{".csv", ".tsv", ".txt", ".xlsx", ".sql", ".yaml", ".yml"}

// packDirectory writes the files below dir as a zip. It compresses lightly: the way to the server is short.
func packDirectory(w io.Writer, dir string) error {
	buffered := bufio.NewWriterSize(w, 1<<20)
	archive := zip.NewWriter(buffered)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !slices.Contains(packed, strings.ToLower(filepath.Ext(path))) {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return packFile(archive, path, filepath.ToSlash(name))
	})
	return errors.Join(err, archive.Close(), buffered.Flush())
}

func packFile(archive *zip.Writer, path, name string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	// Stored, not deflated: packing thousands of small files costs more time than sending them.
	entry, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	if err != nil {
		return err
	}
	_, err = entry.Write(data)
	return err
}

// showProgress draws a bar of the run until the returned function is called.
func showProgress(ctx context.Context, client *api.Client, run inventory.UID) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		drawn := false
		for {
			select {
			case <-time.After(300 * time.Millisecond):
			case <-ctx.Done():
				if drawn {
					fmt.Fprintln(os.Stderr)
				}
				return
			}
			obj, err := client.GetObject(ctx, inventory.NounFor[inventory.ImportRun](), string(run))
			if err != nil {
				continue // it is still being read, or checked
			}
			r := obj.(*inventory.ImportRun)
			const width = 40
			n := width * r.Done / max(r.Total, 1)
			fmt.Fprintf(os.Stderr, "\r[%s%s] %d of %d", strings.Repeat("#", n), strings.Repeat(".", width-n), r.Done, r.Total)
			drawn = true
		}
	}()
	return func() { cancel(); <-done }
}

// maxPrinted bounds what a terminal is told of warnings; errors are all printed.
const maxPrinted = 20

func printReport(w io.Writer, r *api.ImportReport) error {
	var rows [][]string
	for _, n := range r.Nouns {
		rows = append(rows, []string{n.Noun, fmt.Sprint(n.Created), fmt.Sprint(n.Updated), fmt.Sprint(n.Unchanged)})
	}
	if len(rows) > 0 {
		if err := table(w, []string{"noun", "created", "changed", "unchanged"}, rows); err != nil {
			return err
		}
	}
	if err := printErrors(w, "errors", r.Errors, len(r.Errors)); err != nil {
		return err
	}
	if err := printErrors(w, "worth knowing", r.Warnings, maxPrinted); err != nil {
		return err
	}
	if err := printUnknown(w, r.Unknown); err != nil {
		return err
	}
	sentence := fmt.Sprintf("%d created, %d changed, %d as they were; request %s", r.Created, r.Updated, r.Unchanged, r.Request)
	switch {
	case len(r.Errors) > 0:
		return nil
	case r.DryRun:
		sentence = fmt.Sprintf("Would create %d and change %d; %d are as the source has them.", r.Created, r.Updated, r.Unchanged)
	case r.Run == "":
		sentence = fmt.Sprintf("Nothing to do: all %d are as the source has them.", r.Unchanged)
	}
	_, err := fmt.Fprintln(w, sentence)
	return err
}

func printErrors(w io.Writer, title string, list []api.ImportError, most int) error {
	if len(list) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%s:\n", title)
	var rows [][]string
	for _, e := range list[:min(len(list), most)] {
		rows = append(rows, []string{e.File, fmt.Sprint(e.Row), e.Column, e.Value, e.Why})
	}
	if err := table(w, []string{"file", "row", "column", "value", "why"}, rows); err != nil {
		return err
	}
	if len(list) > most {
		fmt.Fprintf(w, "and %d more; --json lists all\n", len(list)-most)
	}
	return nil
}

func printUnknown(w io.Writer, list []api.ImportColumn) error {
	if len(list) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\ncolumns without a field (--keep-unknown keeps them):")
	var rows [][]string
	for _, u := range list {
		kept := u.Kept
		if kept == "" {
			kept = "left out"
		}
		rows = append(rows, []string{u.File, u.Column, fmt.Sprint(u.Rows), u.Example, kept})
	}
	return table(w, []string{"file", "column", "rows", "for example", "what becomes of it"}, rows)
}

// partsCommand gives a device the parts of its type: `berth device parts NAME`.
func partsCommand(o *clientOptions) *cobra.Command {
	var why string
	c := &cobra.Command{
		Use: "parts NAME", Short: "Give a device the interfaces, ports and bays that its type lists and it lacks", Args: cobra.ExactArgs(1),
		RunE: o.with(func(c *cobra.Command, client *api.Client, args []string) error {
			made, err := client.Equip(c.Context(), args[0], why)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), made)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d parts created\n", made.Created)
			return err
		}),
	}
	c.Flags().StringVar(&why, "why", "", "reason, for the change log")
	return c
}

// sampleCommand writes made-up sources to import: `berth dev sample DIR`.
func sampleCommand() *cobra.Command {
	var rows, files int
	var seed uint64
	c := &cobra.Command{
		Use: "sample DIR", Short: "Write made-up sources to import: assets.csv, devices.csv and a library of device types", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := args[0]
			if err := os.MkdirAll(filepath.Join(dir, "library"), 0o755); err != nil {
				return err
			}
			for name, write := range map[string]func(io.Writer, int, uint64) error{"assets.csv": sample.Assets, "devices.csv": sample.Devices} {
				if err := writeSample(filepath.Join(dir, name), rows, seed, write); err != nil {
					return err
				}
			}
			return sample.Library(filepath.Join(dir, "library"), files, seed)
		},
	}
	c.Flags().IntVar(&rows, "rows", 10_000, "rows of each table")
	c.Flags().IntVar(&files, "files", 3_000, "device types in the library")
	c.Flags().Uint64Var(&seed, "seed", 1, "the same seed writes the same files")
	return c
}

func writeSample(path string, rows int, seed uint64, write func(io.Writer, int, uint64) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f, rows, seed), f.Close())
}

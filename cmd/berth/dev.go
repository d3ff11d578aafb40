package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"berth/internal/devseed"
	"berth/inventory/blob"
)

// devCommand is for developers of berth: `berth dev seed`.
func devCommand() *cobra.Command {
	c := &cobra.Command{Use: "dev", Short: "Tools for developers of berth", Hidden: true}
	o := serveOptions{documentLimit: blob.DefaultLimit >> 20} // what serve itself is checked for
	var size devseed.Size
	var seed int64
	s := &cobra.Command{
		Use: "seed", Short: "Fill a database with plausible machines, the same for the same seed", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			srv := &server{serveOptions: o, out: c.OutOrStdout(), log: discard()}
			srv.dhcp = "off"
			if err := srv.check(); err != nil {
				return err
			}
			if err := srv.openRecord(c.Context()); err != nil {
				return err
			}
			defer srv.store.Close()
			start := time.Now()
			size := crowd(size, c.Flags().Changed("machines"), c.Flags().Changed("components"))
			if err := devseed.SeedAll(c.Context(), srv.store, size, seed); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%d machines, %d assets and %d components asked for; made in %s\n", size.Machines, size.Assets, size.Components, time.Since(start).Round(time.Millisecond))
			return nil
		},
	}
	s.Flags().IntVar(&size.Machines, "machines", 100, "how many machines that berth boots, with all that belongs to them (a tenth of --assets, where only that is given)")
	s.Flags().IntVar(&size.Assets, "assets", 0, "how many assets in all: the others stand in racks, lie on shelves and travel in shipments")
	s.Flags().IntVar(&size.Components, "components", 0, "how many components in all (ten for each asset, where --assets is given)")
	s.Flags().Int64Var(&seed, "seed", 1, "the same seed makes the same machines")
	s.Flags().StringVar(&o.data, "data", "", "state directory; no server may be running on it")
	s.Flags().StringVar(&o.key, "key", "", "key file (default the state directory's name with .key)")
	s.Flags().StringVar(&o.database, "database", "", "postgres://… instead of the embedded database")
	c.AddCommand(s, sampleCommand())
	return c
}

// crowd fills in what was not said.
func crowd(size devseed.Size, machines, components bool) devseed.Size {
	if size.Assets > 0 && !machines {
		size.Machines = size.Assets / 10
	}
	if size.Assets > 0 && !components {
		size.Components = 10 * size.Assets
	}
	return size
}

package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"berth/internal/devseed"
)

// devCommand is for developers of berth: `berth dev seed`.
func devCommand() *cobra.Command {
	c := &cobra.Command{Use: "dev", Short: "Tools for developers of berth", Hidden: true}
	o := serveOptions{}
	var machines int
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
			if err := devseed.Seed(c.Context(), srv.store, machines, seed); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%d machines in %s\n", machines, time.Since(start).Round(time.Millisecond))
			return nil
		},
	}
	s.Flags().IntVar(&machines, "machines", 100, "how many")
	s.Flags().Int64Var(&seed, "seed", 1, "the same seed makes the same machines")
	s.Flags().StringVar(&o.data, "data", "", "state directory; no server may be running on it")
	s.Flags().StringVar(&o.key, "key", "", "key file (default the state directory's name with .key)")
	s.Flags().StringVar(&o.database, "database", "", "postgres://… instead of the embedded database")
	c.AddCommand(s)
	return c
}

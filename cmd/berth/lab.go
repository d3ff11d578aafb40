package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"berth/internal/lab"
	"berth/internal/lab/stand"
)

// labCommand is `berth lab`: virtual servers to try berth with.
func labCommand() *cobra.Command {
	c := &cobra.Command{Use: "lab", Short: "A rack of virtual servers to try berth with"}
	dir := c.PersistentFlags().String("rack", "/var/tmp/berth-lab", "directory of the rack: disks, consoles, state")
	c.AddCommand(demoCommand(), labUp(dir), labDown(dir), labStatus(dir), labPower(dir))
	return c
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func labUp(dir *string) *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use: "up", Short: "Put up two virtual servers and a berth server, and stay until Ctrl-C", Args: cobra.NoArgs,
		Long: `Put up a network namespace with two virtual servers, switched off, and a berth server in it. Then use the pages at the address that is
printed, press power buttons with "berth lab power", and end it with Ctrl-C or "berth lab down". Exit codes: 0 ended as asked, 1 failed.`,
		RunE: func(c *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			spec := demoSpec()
			spec.Logger = discard()
			s, err := stand.Start(c.Context(), stand.Options{Spec: spec, Dir: *dir, Berth: self, Listen: listen})
			if err != nil {
				return err
			}
			defer s.Stop()
			fmt.Fprintf(c.OutOrStdout(), "pages: %s\nfirst password: %s/first-password (good for one hour)\nexport BERTH_URL=%s BERTH_TOKEN=%s BERTH_PIN=%s\n",
				s.URL, s.State(), s.URL, s.Token(), s.Pin())
			<-c.Context().Done()
			return s.Stop()
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8443", "address on this host for the web pages")
	return c
}

func labDown(dir *string) *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "Take the rack away", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := context.WithTimeout(c.Context(), 2*time.Minute)
			defer stop()
			return lab.Down(ctx, *dir)
		},
	}
}

func labStatus(dir *string) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "status", Short: "Show the rack and its machines", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			control, err := lab.Connect(*dir)
			if err != nil {
				return err
			}
			s, err := control.Status(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), s)
			}
			var rows [][]string
			for _, m := range s.Machines {
				bmc := "none"
				if m.BMC != nil {
					bmc = string(m.BMC.Protocol) + " " + m.BMC.Addr
				}
				rows = append(rows, []string{m.Name, string(m.Firmware), fmt.Sprint(m.Power), m.Serial, strings.Join(m.MACs, " "), bmc, fmt.Sprint(m.Boots), m.Console})
			}
			return table(c.OutOrStdout(), []string{"machine", "firmware", "power", "serial", "addresses", "bmc", "boots", "console"}, rows)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON for programs")
	return c
}

func labPower(dir *string) *cobra.Command {
	return &cobra.Command{
		Use: "power MACHINE on|off|reset|button", Short: "Do to a virtual server what a hand would do", Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			control, err := lab.Connect(*dir)
			if err != nil {
				return err
			}
			return control.Power(c.Context(), args[0], args[1])
		},
	}
}

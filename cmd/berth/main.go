// Command berth is the server, its command line and its lab: `berth serve`, `berth machine list`, `berth lab up`.
//
// This package builds the parts and joins them: flags, lists of drivers, construction. It holds no rule and no SQL.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"berth/api"
	"berth/inventory"
)

// version is set by the linker.
var version = "development"

func main() {
	os.Exit(run(os.Args[1:]))
}

// run is the program: what it returns is the exit code.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second Ctrl-C ends at once what the first one asked to stop.
	context.AfterFunc(ctx, stop)
	root := command()
	root.SetArgs(args)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(os.Stderr, "berth:", told(c, err))
	var coded exitError
	if errors.As(err, &coded) {
		if coded.hint != "" {
			fmt.Fprintln(os.Stderr, coded.hint)
		}
		return coded.code
	}
	return exitFailed
}

// told names what was not found: the server's sentence does not.
func told(c *cobra.Command, err error) string {
	var p *api.Problem
	if args := c.Flags().Args(); errors.As(err, &p) && p.Code == api.CodeNotFound && len(args) > 0 {
		return printable(fmt.Sprintf("%s %s: %v", strings.TrimPrefix(c.CommandPath(), "berth "), args[0], err))
	}
	return printable(err.Error())
}

// Exit codes, as the help of each command promises them.
const (
	exitOK      = 0
	exitFailed  = 1 // what was asked for did not happen
	exitUsage   = 2 // the command line or the configuration is wrong
	exitRefused = 3 // the server refused: not allowed, or a conflict with the record
)

// exitError is an error with its exit code and, where we know one, a hint.
type exitError struct {
	err  error
	code int
	hint string
}

func (e exitError) Error() string { return e.err.Error() }
func (e exitError) Unwrap() error { return e.err }

// usageError marks an error as the caller's.
func usageError(err error, hint string) error {
	return exitError{err: err, code: exitUsage, hint: hint}
}

// command is the tree of commands. A command is a file; the list is written out here.
func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "berth",
		Short:         "Bare-metal provisioning and inventory for people who own their hardware",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError(err, fmt.Sprintf("See `%s --help`.", c.CommandPath()))
	})
	root.AddCommand(serveCommand(), labCommand(), devCommand())
	var o clientOptions
	o.add(root)
	nouns := nounCommands(&o)
	machineCommands(&o, nouns["machine"])
	operationCommands(&o, nouns["operation"])
	imageCommands(&o, nouns["image"])
	documentCommands(&o, nouns["document"])
	nouns["shipment"].AddCommand(customsCommand(&o))
	tokenCommands(&o, nouns["token"])
	shipmentCommands(&o, nouns["shipment"])
	rackCommands(&o, nouns["rack"])
	moveCommands(&o, nouns["move"])
	nouns["device"].AddCommand(partsCommand(&o))
	claimCommands(&o, nouns["claim"])
	nouns["deadline"].Aliases = nil // `berth deadlines` is the agenda
	for _, n := range inventory.Nouns {
		root.AddCommand(nouns[n.Name])
	}
	root.AddCommand(
		deployCommand(&o, "deploy", "Write an image to a machine that has nothing of ours on it", (*api.Client).Deploy),
		deployCommand(&o, "reimage", "Write an image to a machine that has one", (*api.Client).Reimage),
		labelCommand(&o), releaseCommand(&o), inspectCommand(&o), powerCommand(&o), importCommand(&o), moneyCommand(&o), donationCommand(&o),
		deadlinesCommand(&o), lossCommand(&o), exportCommand(&o), planCommand(&o), applyCommand(&o), undoCommand(&o), backupCommand(&o), restoreCommand(&o), forgetCommand(&o), custodyCommand(&o),
	)
	arrange(root)
	return root
}

// arrange sorts the commands into groups for the help, and makes every misuse of one an error with its exit code.
func arrange(root *cobra.Command) {
	root.AddGroup(&cobra.Group{ID: "work", Title: "Work on machines:"}, &cobra.Group{ID: "record", Title: "The record:"}, &cobra.Group{ID: "server", Title: "The server and its lab:"})
	groups := map[string]string{"serve": "server", "lab": "server", "deploy": "work", "reimage": "work", "release": "work", "inspect": "work",
		"power": "work", "machine": "work", "operation": "work", "image": "work"}
	for _, c := range root.Commands() {
		if c.GroupID = groups[c.Name()]; c.GroupID == "" && !c.Hidden {
			c.GroupID = "record"
		}
	}
	root.SetHelpCommandGroupID("server")
	root.SetCompletionCommandGroupID("server")
	each(root, func(c *cobra.Command) {
		check := c.Args
		if !c.Runnable() {
			// cobra shows the help of a group and calls a mistyped sub-command a success.
			c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
			check = func(c *cobra.Command, args []string) error {
				if len(args) == 0 {
					return nil
				}
				return fmt.Errorf("there is no command %q", c.CommandPath()+" "+args[0])
			}
		}
		if check == nil {
			return
		}
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError(err, fmt.Sprintf("See `%s --help`.", c.CommandPath()))
			}
			return nil
		}
	})
}

func each(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, sub := range c.Commands() {
		each(sub, do)
	}
}

//go:build linux

// Berth-agent looks at the machine it runs on, tells a berth server what it saw, and does what it is told.
//
// As process 1 it is /init of the image that machines boot over the network. Started by a person or a test it is an ordinary process
// that leaves the host's network, clock, drivers and power alone:
//
//	berth-agent --url https://HOST:PORT --pin SHA256 --token TOKEN [--disks /dev/loop0,/dev/loop1]
//	berth-agent --inspect | --record FILE
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"berth/agent"
	"berth/agent/look"
)

// version is set by the build.
var version = "dev"

// Exit codes of an ordinary process.
const (
	exitReboot   = 0 // told to reboot, or an inspection was printed
	exitFailed   = 1
	exitUsage    = 2
	exitPowerOff = 10 // told to power off
	exitGaveUp   = 11 // no work, or no server, for too long
)

const usage = `usage: berth-agent --url https://HOST:PORT --pin SHA256 --token TOKEN [--disks /dev/loop0,...]
       berth-agent --inspect | --record FILE

Flags:
`

const exitCodes = `
Exit codes: 0 told to reboot, or the inspection was printed; 10 told to power off; 11 gave up waiting for a server or for work;
1 failed; 2 wrong usage. This host itself is never restarted.
`

func main() {
	if os.Getpid() == 1 {
		runInit()
	}
	code, err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "berth-agent:", err)
	}
	os.Exit(code)
}

// options are the flags of an ordinary process.
type options struct {
	url, pin, token, disks, state, record string
	inspect, showVersion                  bool
}

// only are the disks that exist for the agent; nil is every physical one.
func (o options) only() []string {
	if o.disks == "" {
		return nil
	}
	return strings.Split(o.disks, ",")
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("berth-agent", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
		fmt.Fprint(stderr, exitCodes)
	}
	flags.StringVar(&o.url, "url", "", "`address` of the berth server, https://host:port")
	flags.StringVar(&o.pin, "pin", "", "SHA-256 of the server's public key, 64 hexadecimal `digits`")
	flags.StringVar(&o.token, "token", "", "one-time `token` for this start")
	flags.StringVar(&o.disks, "disks", "", "the only `devices` that exist for the agent, with commas between; loop devices only exist if named here")
	flags.StringVar(&o.state, "state", "none", "where to keep state between starts: only none")
	flags.BoolVar(&o.inspect, "inspect", false, "print what a look at this machine finds, as JSON, and end")
	flags.StringVar(&o.record, "record", "", "write the raw material of a look at this machine to `file` (tar.gz, serial numbers included) and end")
	flags.BoolVar(&o.showVersion, "version", false, "print the version and end")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is not a flag", flags.Arg(0))
	case o.state != "none":
		return o, fmt.Errorf("--state %q: an agent keeps no state, only none is possible", o.state)
	case !o.inspect && !o.showVersion && o.record == "" && (o.url == "" || o.pin == "" || o.token == ""):
		return o, errors.New("--url, --pin and --token are needed, or --inspect or --record; see --help")
	}
	return o, nil
}

// run is an ordinary process from its flags to its exit code.
func run(args []string, stdout, stderr io.Writer) (int, error) {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitReboot, nil
	case err != nil:
		return exitUsage, err
	case o.showVersion:
		fmt.Fprintln(stdout, version)
		return exitReboot, nil
	}
	h := newHost(o.only())
	if o.inspect || o.record != "" {
		if err := inspect(h, o, stdout); err != nil {
			return exitFailed, err
		}
		return exitReboot, nil
	}
	server, err := agent.NewClient(o.url, o.pin)
	if err != nil {
		return exitUsage, err
	}
	defer server.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &agent.Agent{
		Server: server, Token: o.token, Version: version, Identify: h.identify, Look: h.look,
		Disks: &agent.Disks{Only: o.only()},
		Log:   slog.New(slog.NewTextHandler(stderr, nil)),
	}
	ending, err := a.Run(ctx)
	if err != nil {
		return exitFailed, err
	}
	switch ending {
	case agent.EndPowerOff:
		return exitPowerOff, nil
	case agent.EndGaveUp:
		return exitGaveUp, nil
	}
	return exitReboot, nil
}

// inspect looks once, and prints or records what was seen.
func inspect(h *host, o options, stdout io.Writer) error {
	recording, facts := look.Record(h.source, time.Now())
	if o.record != "" {
		file, err := os.Create(o.record)
		if err != nil {
			return fmt.Errorf("record: %w", err)
		}
		if err := errors.Join(recording.Write(file), file.Close()); err != nil {
			return fmt.Errorf("record to %s: %w", o.record, err)
		}
	}
	if !o.inspect {
		return nil
	}
	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(facts); err != nil {
		return fmt.Errorf("print the facts: %w", err)
	}
	return nil
}

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"berth/agent"
	"berth/agent/boot"
	"berth/agent/look"
	"berth/inventory"
)

// runInit is process 1. It never returns: what would end it becomes a sentence and a restart.
func runInit() {
	system := boot.New()
	ending, err := workAsInit(context.Background(), system)
	if err == nil {
		err = system.End(ending == agent.EndPowerOff)
	}
	for {
		// Only a kernel that refuses to restart comes back here.
		err = system.Fail(err)
	}
}

func workAsInit(ctx context.Context, system *boot.System) (ending agent.Ending, err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("the agent broke: %v\n%s", broken, debug.Stack())
		}
	}()
	if err := system.Start(ctx); err != nil {
		return "", err
	}
	line := system.CommandLine
	if line.URL == "" || line.Pin == "" || line.Token == "" {
		return "", errors.New("the kernel's command line lacks berth.url, berth.pin or berth.token")
	}
	server, err := agent.NewClient(line.URL, line.Pin)
	if err != nil {
		return "", err
	}
	h := newHost(nil)
	if h.bootMAC = line.BootMAC.String(); h.bootMAC == "" {
		h.bootMAC = system.Lease.MAC().String()
	}
	h.source.LLDP = look.NewListener()
	later := make(chan inventory.Facts)
	go system.Network.Keep(ctx, system.Lease)
	go hearNeighbors(ctx, system, h, later)
	a := &agent.Agent{
		Server: server, Token: line.Token, Version: version, Identify: h.identify,
		Look:  func(ctx context.Context) inventory.Facts { return lookWhenFound(ctx, system, h) },
		Later: later, SetClock: boot.SetClock, Disks: &agent.Disks{},
		Say: func(sentence string) { system.Console.Say("%s", sentence) },
	}
	go func() {
		if err := boot.HearKernel(ctx, a.Note); err != nil {
			system.Console.Say("the kernel's log cannot be read: %v", err)
		}
	}()
	return a.Run(ctx)
}

// lookWhenFound waits for the drivers, so that no disk is missed, and tells the person at the machine what was found.
func lookWhenFound(ctx context.Context, system *boot.System, h *host) inventory.Facts {
	h.finding.Lock()
	system.FindAgain(ctx)
	h.finding.Unlock()
	facts := h.look(ctx)
	for _, line := range agent.Describe(facts) {
		system.Console.Say("%s", line)
	}
	return facts
}

// hearNeighbors reports switches as they speak up, some at once where several do.
func hearNeighbors(ctx context.Context, system *boot.System, h *host, later chan<- inventory.Facts) {
	listener := h.source.LLDP
	go func() {
		<-system.Found()
		if err := listener.Listen(ctx, system.Network.Ports()); err != nil {
			system.Console.Say("%v", err)
		}
	}()
	// A switch may speak before the first look is done. Reporting what there is then would be a machine without disks.
	<-h.looked
	for range listener.Heard() {
		time.Sleep(time.Second)
		later <- h.lookAgain()
	}
}

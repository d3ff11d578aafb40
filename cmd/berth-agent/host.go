//go:build linux

package main

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"berth/agent/look"
	"berth/api"
	"berth/inventory"
)

// host is the machine as the agent looks at it.
type host struct {
	source  *look.Live
	bootMAC string
	finding sync.Mutex // held while drivers of new devices are looked for

	mu     sync.Mutex
	last   inventory.Facts
	once   sync.Once
	looked chan struct{} // closed after the first look
}

// newHost is the machine this process runs on, with only the disks that are named; naming none is every physical one.
func newHost(disks []string) *host {
	source := look.NewLive()
	source.Only = disks
	return &host{source: source, looked: make(chan struct{})}
}

// identify is what is known without asking any device.
func (h *host) identify(context.Context) api.Registration {
	r := api.Registration{UUID: look.SystemUUID(h.source), MACs: look.Ports(h.source), BootMAC: h.bootMAC}
	var age unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &age) == nil {
		r.UptimeSeconds = time.Duration(age.Nano()).Seconds()
	}
	return r
}

func (h *host) look(context.Context) inventory.Facts {
	facts := look.Facts(h.source, time.Now(), h.bootMAC)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = facts
	h.once.Do(func() { close(h.looked) })
	return facts
}

// lookAgain takes the neighbours heard since into the last look, of which there must be one: see looked.
func (h *host) lookAgain() inventory.Facts {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = look.Again(h.source, h.last, time.Now(), h.bootMAC)
	return h.last
}

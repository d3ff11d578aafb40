package vbmc

import (
	"sync"
	"time"

	"berth/internal/lab/hardware"
)

// eventKind is what an event is in the words of IPMI: a sensor and an offset
// (IPMI 2.0, table 42-3).
type eventKind struct {
	sensorType byte // 09h power unit, 1Dh system boot initiated, 2Bh version change ...
	offset     byte
}

var (
	eventPowerOff   = eventKind{0x09, 0x00}
	eventPowerCycle = eventKind{0x09, 0x01}
	eventPowerOn    = eventKind{0x1d, 0x00} // initiated by power up
	eventReset      = eventKind{0x1d, 0x01} // initiated by hard reset
	eventNMI        = eventKind{0x13, 0x00} // front panel NMI
	eventBMCReady   = eventKind{0x28, 0x04} // management subsystem health
)

// eventOf is the event that a power action leaves.
func eventOf(a hardware.Action) eventKind {
	switch a {
	case hardware.PowerOn:
		return eventPowerOn
	case hardware.Cycle:
		return eventPowerCycle
	case hardware.Reset, hardware.Reboot:
		return eventReset
	case hardware.NMI:
		return eventNMI
	default:
		return eventPowerOff
	}
}

// event is one line of the system event log.
type event struct {
	id   uint16 // from 1
	at   time.Time
	kind eventKind
	text string
}

// eventLog is the system event log. Like a real one it is bounded; unlike most
// it drops the oldest, so that a lab may run for weeks.
type eventLog struct {
	mu      sync.Mutex
	events  []event
	next    uint16
	cleared time.Time
}

const eventsKept = 512

func newEventLog() *eventLog { return &eventLog{next: 1, cleared: time.Now()} }

func (l *eventLog) add(kind eventKind, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, event{id: l.next, at: time.Now(), kind: kind, text: text})
	if len(l.events) > eventsKept {
		l.events = append(l.events[:0:0], l.events[len(l.events)-eventsKept:]...)
	}
	if l.next++; l.next >= 0xfffe { // 0 and FFFFh mean first and last on the wire
		l.next = 1
	}
}

func (l *eventLog) list() []event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]event(nil), l.events...)
}

// clearedAt is when the log was last emptied.
func (l *eventLog) clearedAt() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cleared
}

func (l *eventLog) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events, l.cleared = nil, time.Now()
}

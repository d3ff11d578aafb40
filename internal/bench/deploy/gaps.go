package main

import (
	"slices"
	"strings"
	"time"

	"berth/inventory"
)

// gap is a time in which the machine had asked and the server had not answered.
type gap struct {
	what string
	at   time.Time
	took time.Duration
}

// flow is one conversation.
type flow struct {
	udp            bool
	client, server uint16
}

// span is a time that is not the server's: a person makes up their mind.
type span struct{ from, to time.Time }

// overlap is how much of the time between two moments lies in s.
func (s span) overlap(from, to time.Time) time.Duration {
	if s.from.After(from) {
		from = s.from
	}
	if s.to.Before(to) {
		to = s.to
	}
	return max(to.Sub(from), 0)
}

// waits finds each time the machine asked, and how long the answer took to begin: from the last packet of a question (over UDP, where
// a question may be repeated, the first) to the first of its answer. On the agent's connections it is to the last packet of the
// answer, because TLS may put tickets before it. An answer that hung on a person is counted without that person's time, and one
// that comes after the machine started anew (at the times in boots) was waited for by nobody.
func waits(seen []packet, person span, boots []time.Time) []gap {
	var gaps []gap
	asked := map[flow]time.Time{}
	growing := map[flow]int{} // answers of which more may come, by their place in gaps
	for _, p := range seen {
		for len(boots) > 0 && p.at.After(boots[0]) {
			boots = boots[1:]
			clear(asked)
			clear(growing)
		}
		if p.payload <= 0 {
			continue
		}
		f := flow{p.udp, p.client, p.server}
		if p.udp {
			f.server = 0 // TFTP answers from another port than it was asked at
		}
		at, waiting := asked[f]
		switch i, more := growing[f]; {
		case p.fromMachine:
			if !waiting || !p.udp {
				asked[f] = p.at
			}
			delete(growing, f)
		case waiting:
			delete(asked, f)
			gaps = append(gaps, gap{what: kind(p), at: at, took: p.at.Sub(at) - person.overlap(at, p.at)})
			if !p.udp && p.server == portAgent {
				growing[f] = len(gaps) - 1
			}
		case more:
			gaps[i].took = p.at.Sub(gaps[i].at) - person.overlap(gaps[i].at, p.at)
		}
	}
	return gaps
}

// Ports of the stand's server.
const (
	portDHCP, portProxyDHCP = 67, 4011
	portBoot, portAgent     = 8081, 8443
)

// kind says by its ports what a packet of an answer belongs to.
func kind(p packet) string {
	switch {
	case p.udp && (p.server == portDHCP || p.server == portProxyDHCP):
		return "DHCP"
	case p.udp:
		return "TFTP"
	case p.server == portBoot:
		return "boot files and image"
	case p.server == portAgent:
		return "agent and report"
	}
	return "other"
}

// handovers are the places of a deploy where the machine or the operation changes hands: two lines of the timeline, by how they begin
// or what they hold. The first line is the last thing one side did, the second the first that the other did with it.
var handovers = []struct{ what, from, to string }{
	{"deploy asked for, agent has its order", "deploy was asked for", "told to write"},
	{"disk written, result taken", "is written and read back", "image written to disk"},
	{"result taken, agent has its next order", "image written to disk", "told to reboot"},
	{"system is up, deploy done", " is up: ", "deploy is done"},
}

// passed finds the handovers in a timeline. Those it lacks are left out.
func passed(timeline []inventory.Event) []gap {
	find := func(text string) (time.Time, bool) {
		i := slices.IndexFunc(timeline, func(e inventory.Event) bool { return strings.Contains(e.Text, text) })
		if i < 0 {
			return time.Time{}, false
		}
		return timeline[i].At, true
	}
	var all []gap
	for _, h := range handovers {
		from, began := find(h.from)
		to, ended := find(h.to)
		if began && ended {
			all = append(all, gap{what: h.what, at: from, took: to.Sub(from)})
		}
	}
	return all
}

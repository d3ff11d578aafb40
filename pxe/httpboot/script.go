package httpboot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"berth/pxe"
)

// script answers GET /ipxe.
func (x *exchange) script() {
	if x.r.Method == http.MethodHead {
		// The length of a script is known only when a ticket has been minted for it.
		x.w.Header().Set("Allow", "GET")
		x.fail(http.StatusMethodNotAllowed, "only GET is served here")
		return
	}
	c, err := pxe.ParseScriptQuery(x.r.URL.Query())
	if err != nil {
		x.refuse(x.client(), http.StatusBadRequest, err.Error())
		return
	}
	c.Addr, c.Interface = x.from, x.Interface
	// The subnet is that of the client's address, wherever it came in by.
	n, ok := x.Book.Subnet(x.Interface, x.from)
	if !ok {
		x.refuse(c, http.StatusForbidden, fmt.Sprintf("no subnet on record has the address %v", x.from))
		return
	}
	if err := x.verify(c, n); err != nil {
		x.refuse(c, http.StatusForbidden, err.Error())
		return
	}
	sit := x.Book.Situation(c)
	a := pxe.Decide(c, sit, n)
	if a.File == "" {
		x.refuse(c, http.StatusNotFound, a.Reason)
		return
	}
	x.render(c, sit, a)
}

func (x *exchange) render(c pxe.Client, sit pxe.Situation, a pxe.Answer) {
	var ticket pxe.Ticket
	var err error
	if a.Boot == pxe.BootAgent {
		ticket, err = x.ticket(c, sit)
	}
	var body []byte
	if err == nil {
		body, err = pxe.Script(a, ticket)
	}
	if err != nil {
		x.logger().Error("make a boot script", "client", c.String(), "err", err)
		x.refuse(c, http.StatusServiceUnavailable, "the script could not be made; the server's log says why")
		return
	}
	x.note(pxe.Event{Kind: pxe.EventScript, Client: c, Size: int64(len(body)), Text: fmt.Sprintf("%v is told to boot %v: %s", c, a.Boot, a.Reason)})
	h := x.w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	_, _ = x.w.Write(body) // a client that is gone asks again
}

func (x *exchange) ticket(c pxe.Client, sit pxe.Situation) (pxe.Ticket, error) {
	if x.Tickets == nil {
		return pxe.Ticket{}, errors.New("this server mints no tickets")
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), ticketTimeout)
	defer cancel()
	return x.Tickets.Ticket(ctx, c, sit)
}

func (x *exchange) refuse(c pxe.Client, code int, why string) {
	x.note(pxe.Event{Kind: pxe.EventRefused, Client: c, Size: -1, Text: fmt.Sprintf("no script for %v at %v: %s", c, x.from, why)})
	x.fail(code, "no script: "+why)
}

// verify checks that the request comes from the machine it names. Where berth
// gives the addresses, its lease tells; beside another server, the kernel's
// neighbour table does, which knows only machines on our own wires. A machine
// nobody can vouch for gets nothing, and boots its disk.
func (x *exchange) verify(c pxe.Client, n pxe.Subnet) error {
	key := c.Key()
	if key == "" {
		return errors.New("it names no machine")
	}
	if x.Owner != nil {
		if owner, ok := x.Owner(x.from); ok {
			if owner != key {
				return errors.New("the address is leased to another machine")
			}
			return nil
		}
	}
	if n.Mode != pxe.ModeProxy {
		return errors.New("the address is not leased to it")
	}
	mac, ok := x.awaitNeighbour()
	if !ok {
		return errors.New("its address is not one of a neighbour")
	}
	if mac.String() != key {
		return fmt.Errorf("the machine at that address is %v", mac)
	}
	return nil
}

// awaitNeighbour asks for a second. The kernel doubts an entry while a machine
// goes from its firmware to iPXE and answers nobody, and learns it again from
// the next packets of this very connection.
func (x *exchange) awaitNeighbour() (net.HardwareAddr, bool) {
	for range 5 {
		if mac, ok := x.neighbour(x.from); ok {
			return mac, true
		}
		select {
		case <-x.r.Context().Done():
			return nil, false
		case <-time.After(200 * time.Millisecond):
		}
	}
	return x.neighbour(x.from)
}

// KernelNeighbour looks an address up in the kernel's neighbour table
// (/proc/net/arp). Of a client that is being answered the entry is fresh.
func KernelNeighbour(addr netip.Addr) (net.HardwareAddr, bool) {
	table, err := os.ReadFile("/proc/net/arp")
	if err != nil {
		return nil, false
	}
	return findNeighbour(string(table), addr)
}

func findNeighbour(table string, addr netip.Addr) (net.HardwareAddr, bool) {
	for line := range strings.Lines(table) {
		f := strings.Fields(line) // address, type, flags, hardware address, mask, device
		if len(f) < 4 || f[0] != addr.String() || f[2] == "0x0" {
			continue
		}
		mac, err := net.ParseMAC(f[3])
		return mac, err == nil
	}
	return nil, false
}

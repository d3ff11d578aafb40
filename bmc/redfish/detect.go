package redfish

import (
	"context"
	"crypto/tls"
	"maps"
	"slices"

	"berth/bmc"
)

// Service is what a BMC says of itself to anybody.
type Service struct {
	Vendor  string `json:"vendor,omitempty"`
	Product string `json:"product,omitempty"`
	Version string `json:"version,omitempty"` // of Redfish
	UUID    string `json:"uuid,omitempty"`    // of the BMC, lower case
	// Pin is its TLS key, to be kept as Target.Pin at first contact.
	Pin string `json:"pin"`
	// Trusted says that a root of this system vouches for the certificate.
	Trusted bool `json:"trusted"`
}

// Detect reads the root of the service at address (host or host:port), which is open to all. It presents no credentials.
// ErrUnsupported means that something else answers there, ErrUnreachable that nothing does.
func Detect(ctx context.Context, address string) (Service, error) {
	var s Service
	d, err := connect(ctx, bmc.Target{Kind: bmc.KindRedfish, Address: address, Insecure: true})
	if err != nil {
		return s, err
	}
	d.wire.base.CloseIdleConnections()
	s = Service{
		Vendor: d.root.str("Vendor"), Product: d.root.first("Product", "Name"), Version: d.root.str("RedfishVersion"), UUID: lower(d.root.str("UUID")),
	}
	if s.Vendor == "" {
		// Before Redfish 1.5 the vendor shows only as the name of its own part of the root.
		if names := slices.Sorted(maps.Keys(d.root.obj("Oem"))); len(names) > 0 {
			s.Vendor = clip(names[0], 64)
		}
	}
	if state := d.wire.peer(); state != nil {
		s.Pin = pinOf(state.PeerCertificates[0])
		s.Trusted = checkPin(bmc.Target{})(*state) == nil
	}
	return s, nil
}

// peer is the state of the last connection, nil before the first.
func (w *wire) peer() *tls.ConnectionState {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tls
}

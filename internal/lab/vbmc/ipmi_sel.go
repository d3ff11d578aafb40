package vbmc

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/types"
)

// selReservation is the one reservation there is: the log is never changed
// below a reader, it only grows.
const selReservation = 0x0001

// selInfo answers Get SEL Info, IPMI 2.0 section 31.2.
func (s *ipmiServer) selInfo(context.Context, *handlers.HandlerContext, []byte) ([]byte, types.CompletionCode, error) {
	events := s.bmc.sel.list()
	added := time.Time{}
	if len(events) > 0 {
		added = events[len(events)-1].at
	}
	resp := []byte{0x51} // version 1.5 and 2.0
	resp = binary.LittleEndian.AppendUint16(resp, uint16(len(events)))
	resp = binary.LittleEndian.AppendUint16(resp, uint16((eventsKept-len(events))*16))
	resp = binary.LittleEndian.AppendUint32(resp, ipmiTime(added))
	resp = binary.LittleEndian.AppendUint32(resp, ipmiTime(s.bmc.sel.clearedAt()))
	return append(resp, 0x02), types.CodeOK, nil // it knows reservations
}

func (s *ipmiServer) selReserve(context.Context, *handlers.HandlerContext, []byte) ([]byte, types.CompletionCode, error) {
	return binary.LittleEndian.AppendUint16(nil, selReservation), types.CodeOK, nil
}

// selEntry answers Get SEL Entry, section 31.5: record 0 is the first, FFFFh
// the last.
func (s *ipmiServer) selEntry(_ context.Context, _ *handlers.HandlerContext, req []byte) ([]byte, types.CompletionCode, error) {
	if len(req) < 6 {
		return nil, types.CodeRequestDataTruncated, nil
	}
	events := s.bmc.sel.list()
	i := findEvent(events, binary.LittleEndian.Uint16(req[2:]))
	if i < 0 {
		return nil, types.CodeRequestedDataNotPresent, nil
	}
	next := uint16(0xffff)
	if i+1 < len(events) {
		next = events[i+1].id
	}
	record := selRecord(events[i])
	from, count := int(req[4]), int(req[5])
	if from >= len(record) {
		return nil, types.CodeParameterOutOfRange, nil
	}
	record = record[from:]
	if count < len(record) { // FFh asks for all
		record = record[:count]
	}
	return append(binary.LittleEndian.AppendUint16(nil, next), record...), types.CodeOK, nil
}

func findEvent(events []event, id uint16) int {
	switch {
	case len(events) == 0:
		return -1
	case id == 0:
		return 0
	case id == 0xffff:
		return len(events) - 1
	}
	for i, e := range events {
		if e.id == id {
			return i
		}
	}
	return -1
}

// selRecord is a system event record, table 32-1.
func selRecord(e event) []byte {
	const systemEvent, revision, bmcAddress, sensorSpecific = 0x02, 0x04, 0x20, 0x6f
	r := binary.LittleEndian.AppendUint16(nil, e.id)
	r = append(r, systemEvent)
	r = binary.LittleEndian.AppendUint32(r, ipmiTime(e.at))
	return append(r, bmcAddress, 0x00, revision, e.kind.sensorType, 0x01, sensorSpecific, e.kind.offset, 0xff, 0xff)
}

// selClear answers Clear SEL, section 31.9: the request spells CLR and then AAh
// to begin or 00h to ask how far it is.
func (s *ipmiServer) selClear(_ context.Context, _ *handlers.HandlerContext, req []byte) ([]byte, types.CompletionCode, error) {
	if len(req) < 6 || string(req[2:5]) != "CLR" {
		return nil, types.CodeRequestDataFieldInvalid, nil
	}
	if req[5] == 0xaa {
		s.bmc.sel.clear()
	}
	return []byte{0x01}, types.CodeOK, nil // completed
}

func (s *ipmiServer) selTime(context.Context, *handlers.HandlerContext, []byte) ([]byte, types.CompletionCode, error) {
	return binary.LittleEndian.AppendUint32(nil, ipmiTime(time.Now())), types.CodeOK, nil
}

// ipmiTime is seconds since 1970, or "unspecified".
func ipmiTime(t time.Time) uint32 {
	if t.IsZero() {
		return 0xffffffff
	}
	return uint32(t.Unix())
}

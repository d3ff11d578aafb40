package inventory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// The chain of custody: every event carries the hash of the one before it, in the order in which berth was told. Whoever alters, removes
// or slips in an entry in the database has to forge all that follow, and a copy of any later hash, on paper or in an insurer's mail,
// shows that. People are hashed as references: to forget a person leaves the chain whole.

// CheckIn makes the event the next link of the chain. One that brings its place in the chain along, from a backup or a text, must be
// just that next link. Two writers who want to be next at the same time meet on the newest link, and one of them is run again.
// Errors: *Invalid.
func (e *CustodyEvent) CheckIn(tx Tx, before Object) error {
	if before != nil {
		return nil // the store refuses to change it
	}
	last, err := TxList[CustodyEvent](tx, Query{Sort: "-sequence", Limit: 1})
	if err != nil {
		return fmt.Errorf("look for the end of the chain of custody: %w", err)
	}
	given, hash := e.Sequence != 0 || e.Hash != "", e.Hash
	sequence, previous := int64(1), ""
	if len(last) == 1 {
		sequence, previous = last[0].Sequence+1, last[0].Hash
	}
	if given && (e.Sequence != sequence || e.PreviousHash != previous) {
		return NotAllowed("custody-event", "sequence", "link %d does not follow the end of the chain, which is link %d", e.Sequence, sequence-1)
	}
	e.Sequence, e.PreviousHash = sequence, previous
	e.Hash = e.Link()
	if given && e.Hash != hash {
		return NotAllowed("custody-event", "hash", "does not fit what the entry says")
	}
	return nil
}

// Link is the hash of the event: SHA-256, in hexadecimal digits, over its fields in the order of the struct, each with its length before
// it, so that nothing can be moved from one field to the next.
func (e *CustodyEvent) Link() string {
	h := sha256.New()
	for _, text := range []string{
		"berth custody 1", e.PreviousHash, strconv.FormatInt(e.Sequence, 10), string(e.UID), e.At.UTC().Truncate(timeQuantum).Format(time.RFC3339Nano),
		string(e.Asset), string(e.Parcel), string(e.Shipment), e.Kind, string(e.FromOrganization), string(e.ToOrganization), string(e.Contact),
		string(e.Site), e.Place, string(e.Document), e.Note, e.By, string(e.Corrects),
	} {
		fmt.Fprintf(h, "%d:%s", len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// CustodyReport is what a walk along the chain of custody found.
type CustodyReport struct {
	Links int64 `json:"links"`
	// Hash is that of the last good link: kept elsewhere, it proves later that nothing up to here was changed.
	Hash string `json:"hash"`
	// Broken is the first link that does not hold, and Problem why; both are empty while the chain is whole.
	Broken  UID    `json:"broken,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// VerifyCustody walks along the chain and stops at the first link that does not hold.
func VerifyCustody(ctx context.Context, r interface {
	List(context.Context, *Noun, Query) (Page, error)
}) (CustodyReport, error) {
	var report CustodyReport
	q := Query{Sort: "sequence", Limit: MaxPage, NoNames: true}
	for {
		page, err := r.List(ctx, NounFor[CustodyEvent](), q)
		if err != nil {
			return report, fmt.Errorf("read the chain of custody: %w", err)
		}
		for _, e := range Items[CustodyEvent](page) {
			if report.Problem = e.fault(report); report.Problem != "" {
				report.Broken = e.UID
				return report, nil
			}
			report.Links, report.Hash = e.Sequence, e.Hash
		}
		if q.Cursor = page.Next; page.Next == "" {
			return report, nil
		}
	}
}

// fault says why the event is not the next link, or "".
func (e *CustodyEvent) fault(so CustodyReport) string {
	switch {
	case e.Sequence == so.Links:
		return fmt.Sprintf("there are two links %d: the chain was forked", e.Sequence)
	case e.Sequence != so.Links+1:
		return fmt.Sprintf("link %d follows link %d: what stood between them was taken out", e.Sequence, so.Links)
	case e.PreviousHash != so.Hash:
		return fmt.Sprintf("link %d does not carry the hash of link %d", e.Sequence, so.Links)
	case e.Link() != e.Hash:
		return fmt.Sprintf("link %d says something else than when it was written", e.Sequence)
	}
	return ""
}

// Correction is an entry that takes this one back.
func (e *CustodyEvent) Correction(now time.Time, req Request) Object {
	return &CustodyEvent{
		At: now, Asset: e.Asset, Parcel: e.Parcel, Shipment: e.Shipment, Kind: "corrected", FromOrganization: e.ToOrganization, ToOrganization: e.FromOrganization,
		Site: e.Site, Place: e.Place, By: req.By.Name, Corrects: e.UID, Note: fmt.Sprintf("Entry %d does not hold: %s", e.Sequence, reason(req)),
	}
}

// Correction is an entry that takes this one back.
func (e *ClaimEntry) Correction(now time.Time, req Request) Object {
	return &ClaimEntry{Claim: e.Claim, At: now, Direction: "note", Channel: e.Channel, By: req.By.Name, Corrects: e.UID,
		Text: fmt.Sprintf("The entry of %s does not hold: %s", e.At.UTC().Format("2006-01-02 15:04 UTC"), reason(req))}
}

func reason(req Request) string {
	if req.Why == "" {
		return "it was undone"
	}
	return req.Why
}

package api

import (
	"time"

	"berth/inventory"
)

// LossRequest writes off many assets in one act. Shipment, Parcel, Site and Assets are references (uid, reference, slug or tag); what is named by
// several is taken once.
type LossRequest struct {
	Shipment string   `json:"shipment,omitempty"` // what of it has not arrived
	Parcel   string   `json:"parcel,omitempty"`
	Site     string   `json:"site,omitempty"` // everything that is there
	Assets   []string `json:"assets,omitempty"`
	// Kind is how it ended: lost, stolen, abandoned, destroyed, scrapped, sold, …
	Kind string `json:"kind"`
	// OnDate is the day whose book values are kept.
	OnDate inventory.Date `json:"on_date"`
	Reason string         `json:"reason"`
	// Book is the slug or uid of the book whose values stand on the schedule; they are frozen in all books.
	Book      string `json:"book,omitempty"`
	Recipient string `json:"recipient,omitempty"` // an organization, where somebody got it
	Why       string `json:"why,omitempty"`
}

// LossResult is what a loss took, or in a preview would take.
type LossResult struct {
	// Disposition is what was written; absent in a preview.
	Disposition *inventory.Disposition `json:"disposition,omitempty"`
	Items       []LossItem             `json:"items"`
	Totals      []LossTotal            `json:"totals"`
	Notes       []string               `json:"notes,omitempty"`
}

// LossItem is one asset of a loss. Amounts are absent for who may not see money.
type LossItem struct {
	Asset         inventory.UID `json:"asset"`
	AssetTag      string        `json:"asset_tag"`
	Name          string        `json:"name,omitempty"`
	Serial        string        `json:"serial,omitempty"`
	Stood         string        `json:"stood"`
	Frees         []string      `json:"frees,omitempty"`
	BasisAmount   *int64        `json:"basis_amount,omitempty"` // minor units
	BookAmount    *int64        `json:"book_amount,omitempty"`
	InsuredAmount *int64        `json:"insured_amount,omitempty"`
	Currency      string        `json:"currency,omitempty"`
}

// LossTotal sums a loss in one currency.
type LossTotal struct {
	Currency    string `json:"currency"`
	BasisAmount int64  `json:"basis_amount"`
	BookAmount  int64  `json:"book_amount"`
}

// ReverseRequest takes a disposition back. With Storage, what cannot stand where it stood goes to storage; without it, any conflict
// refuses the whole.
type ReverseRequest struct {
	Why     string `json:"why"`
	Storage bool   `json:"storage,omitempty"`
	Preview bool   `json:"preview,omitempty"` // say what would happen, and change nothing
}

// ReverseResult is what came back, or in a preview would.
type ReverseResult struct {
	Disposition *inventory.Disposition `json:"disposition,omitempty"` // absent in a preview
	Items       []ReverseItem          `json:"items"`
}

// ReverseItem is one asset that came back.
type ReverseItem struct {
	Asset     inventory.UID `json:"asset"`
	AssetTag  string        `json:"asset_tag"`
	To        string        `json:"to"`
	Conflicts []string      `json:"conflicts,omitempty"`
}

// ClaimWord is one word to (out) or from (in) the other side of a claim, or a note.
type ClaimWord struct {
	Direction string        `json:"direction"`
	Channel   string        `json:"channel,omitempty"` // email, phone, letter, web, other
	Text      string        `json:"text"`
	Contact   inventory.UID `json:"contact,omitempty"`
	Document  inventory.UID `json:"document,omitempty"`
	At        *time.Time    `json:"at,omitempty"` // now when absent
}

// ClaimWordResult is the word as it was kept, and the claim as it is now.
type ClaimWordResult struct {
	Entry inventory.ClaimEntry `json:"entry"`
	Claim inventory.Claim      `json:"claim"`
}

// AgendaEntry is one day on which something must be done or ends.
type AgendaEntry struct {
	Key       string         `json:"key"` // names it for ever
	DueOn     inventory.Date `json:"due_on"`
	DaysLeft  int            `json:"days_left"` // negative: days ago
	Kind      string         `json:"kind"`      // notice, claim, suit, lost, earliest, warranty, lease, notice_day, loan, hold, policy, returned_goods, other
	Title     string         `json:"title"`
	Milestone bool           `json:"milestone,omitempty"` // nothing is missed afterwards
	State     string         `json:"state"`
	Source    string         `json:"source,omitempty"`
	Assumes   string         `json:"assumes,omitempty"`
	Cap       string         `json:"cap,omitempty"`
	Unsure    bool           `json:"unsure,omitempty"` // the rule was not held against a source yet
	Noun      string         `json:"noun"`
	Object    inventory.UID  `json:"object"`
	About     string         `json:"about,omitempty"`
	Deadline  inventory.UID  `json:"deadline,omitempty"` // of a stored one
}

// Agenda is what falls due, the earliest first.
type Agenda struct {
	Today inventory.Date `json:"today"`
	Until inventory.Date `json:"until"`
	Items []AgendaEntry  `json:"items"`
}

// FinishRequest says that a deadline was met (done), does not matter (waived, with a note) or is open again.
type FinishRequest struct {
	State string         `json:"state"`
	On    inventory.Date `json:"on,omitempty"` // today when absent
	Note  string         `json:"note,omitempty"`
}

// AsideRequest puts a notification aside until a day.
type AsideRequest struct {
	Until inventory.Date `json:"until"`
}

// FeedCreated shows the addresses of one's calendar and feeds, this once.
type FeedCreated struct {
	Calendar      string `json:"calendar"`
	Deadlines     string `json:"deadlines"`
	Notifications string `json:"notifications"`
}

// Path is the page of what an entry is about.
func (e AgendaEntry) Path() string {
	if n, ok := inventory.NounOf(e.Noun); ok && e.Object.Valid() {
		return "/" + n.Plural + "/" + string(e.Object)
	}
	return "/agenda"
}

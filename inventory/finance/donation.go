package finance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"berth/inventory"
)

// Expected is a line of what is announced with an acquisition: one thing by its serial, or a number of things of a model.
type Expected struct {
	Line   int // of the text it stands in, from 1
	Count  int
	Serial string
	Model  string
}

// LineError says what is wrong with a line of a pasted list.
type LineError struct {
	Line int    `json:"line"`
	Why  string `json:"why"`
}

// Bounds of a pasted list.
const (
	maxExpected = 2000
	maxLine     = 300 // bytes
)

// ParseExpected reads a pasted list: on each line a serial number ("79OH8D2"), a serial and a model ("79OH8D2, PowerEdge R640", also with a semicolon
// or a tab between), or a number of things of a model ("8 x PowerEdge R640"). A line with blanks and nothing else is a model, once. Empty
// lines and those that begin with # are passed over. All that is wrong is said at once.
func ParseExpected(text string) ([]Expected, []LineError) {
	var list []Expected
	var wrong []LineError
	seen := map[string]int{}
	total := 0
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		e, err := parseLine(line)
		e.Line = i + 1
		serial := strings.ToUpper(e.Serial)
		if first := seen[serial]; err == nil && serial != "" && first > 0 {
			err = fmt.Errorf("the serial %s stands on line %d already", e.Serial, first)
		}
		if total += e.Count; err == nil && total > maxExpected {
			return nil, append(wrong, LineError{i + 1, fmt.Sprintf("these are more than %d things; divide the list", maxExpected)})
		}
		if err != nil {
			wrong = append(wrong, LineError{i + 1, err.Error()})
			continue
		}
		seen[serial] = i + 1
		list = append(list, e)
	}
	return list, wrong
}

func parseLine(line string) (Expected, error) {
	if len(line) > maxLine {
		return Expected{}, fmt.Errorf("is longer than %d bytes", maxLine)
	}
	if number, model, ok := counted(line); ok {
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > maxExpected {
			return Expected{}, fmt.Errorf("%q is not a number from 1 to %d", number, maxExpected)
		}
		return Expected{Count: n, Model: model}, nil
	}
	if i := strings.IndexAny(line, ",;\t"); i >= 0 {
		serial, model := strings.TrimSpace(line[:i]), strings.TrimSpace(strings.Trim(line[i:], ",;\t"))
		if serial == "" || strings.ContainsAny(serial, " ") {
			return Expected{}, errors.New("before the comma stands a serial number, which has no blanks")
		}
		return Expected{Count: 1, Serial: serial, Model: model}, nil
	}
	if strings.Contains(line, " ") {
		return Expected{Count: 1, Model: line}, nil
	}
	return Expected{Count: 1, Serial: line}, nil
}

// counted reads "8 x MODEL", "8 × MODEL" and "8x MODEL".
func counted(line string) (number, model string, ok bool) {
	digits := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsDigit(r) })
	if digits <= 0 {
		return "", "", false
	}
	rest := strings.TrimLeft(line[digits:], " ")
	for _, sign := range []string{"x ", "X ", "×", "* "} {
		if model, found := strings.CutPrefix(rest, sign); found && strings.TrimSpace(model) != "" {
			return line[:digits], strings.TrimSpace(model), true
		}
	}
	return "", "", false
}

// Expect writes down what is to come with an acquisition: an asset for each thing, in custody expected. Errors: *inventory.Conflict for a
// serial that an asset has already.
func Expect(tx inventory.Tx, a *inventory.Acquisition, list []Expected) ([]*inventory.Asset, error) {
	var made []*inventory.Asset
	types := map[string]inventory.UID{}
	for _, e := range list {
		if err := freeSerial(tx, e.Serial); err != nil {
			return nil, err
		}
		kind, err := typeOf(tx, types, e.Model)
		if err != nil {
			return nil, err
		}
		for range e.Count {
			asset := &inventory.Asset{Kind: "device", Name: e.Model, Serial: e.Serial, DeviceType: kind, Custody: "expected", Acquisition: a.UID, Currency: a.Currency}
			if err := tx.Create(asset); err != nil {
				return nil, err
			}
			made = append(made, asset)
		}
	}
	return made, nil
}

func freeSerial(tx inventory.Tx, serial string) error {
	if serial == "" {
		return nil
	}
	list, err := inventory.TxList[inventory.Asset](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("serial", serial)}, Limit: 1})
	if err != nil || len(list) == 0 {
		return err
	}
	return &inventory.Conflict{Noun: "asset", UID: list[0].UID, Why: fmt.Sprintf("asset %s has the serial %s already", list[0].AssetTag, serial)}
}

// typeOf finds a device type by its model, in any case; "" when there is none or more than one.
func typeOf(tx inventory.Tx, known map[string]inventory.UID, model string) (inventory.UID, error) {
	if uid, ok := known[model]; ok || model == "" {
		return uid, nil
	}
	list, err := inventory.TxList[inventory.DeviceType](tx, inventory.Query{Filters: []inventory.Filter{{Field: "model", Op: inventory.OpContains, Value: model}}, Limit: 50})
	if err != nil {
		return "", err
	}
	list = slices.DeleteFunc(list, func(t *inventory.DeviceType) bool { return !strings.EqualFold(t.Model, model) })
	if len(list) == 1 {
		known[model] = list[0].UID
	} else {
		known[model] = ""
	}
	return known[model], nil
}

// acquisitionSteps says by which status an acquisition may go on from each.
var acquisitionSteps = map[string][]string{
	"offered":   {"accepted", "ordered", "declined", "cancelled"},
	"accepted":  {"received", "cancelled"},
	"ordered":   {"received", "cancelled"},
	"received":  {"closed"},
	"declined":  {"offered"},
	"cancelled": {"offered"},
	"closed":    {"received"},
}

// NextStatuses are what an acquisition may become now.
func NextStatuses(a *inventory.Acquisition) []string { return acquisitionSteps[a.Status] }

// Advance leads an acquisition on to a status. Received is special: on is the day (today when empty), from which a donation is held, and what was
// expected is here from then on. Errors: *inventory.Conflict for a step that does not follow.
func Advance(tx inventory.Tx, a *inventory.Acquisition, to string, on inventory.Date) error {
	if !slices.Contains(acquisitionSteps[a.Status], to) {
		return &inventory.Conflict{Noun: "acquisition", UID: a.UID, Why: fmt.Sprintf("what is %s does not become %s", a.Status, to)}
	}
	reopened := a.Status == "closed"
	a.Status = to
	if to != "received" || reopened {
		return tx.Update(a)
	}
	today := inventory.DateOf(tx.Now())
	a.ReceivedOn = cmp.Or(on, a.ReceivedOn, today)
	if a.ReceivedOn > today {
		return inventory.NotAllowed("acquisition", "received_on", "is in the future")
	}
	if err := tx.Update(a); err != nil {
		return err
	}
	return arrive(tx, a)
}

// arrive writes into the assets of an acquisition when they came and until when they are held.
func arrive(tx inventory.Tx, a *inventory.Acquisition) error {
	assets, err := txAll[inventory.Asset](tx, inventory.Is("acquisition", a.UID))
	if err != nil {
		return err
	}
	for _, asset := range assets {
		Arrived(asset, a)
		if err := tx.Update(asset); err != nil {
			return err
		}
	}
	return nil
}

// Arrived notes on an asset that it came by an acquisition that was received. What is known of it already stays.
func Arrived(asset *inventory.Asset, a *inventory.Acquisition) {
	asset.Acquisition = a.UID
	if asset.Custody == "expected" || asset.Custody == "in_transit" {
		asset.Custody = "received"
	}
	if asset.AcquiredAt == nil && a.ReceivedOn != "" {
		at := a.ReceivedOn.Time()
		asset.AcquiredAt = &at
	}
	if asset.HoldUntil == "" {
		asset.HoldUntil = a.HoldUntil
	}
	if asset.Currency == "" {
		asset.Currency = a.Currency
	}
	if (a.Kind == "lease" || a.Kind == "loan") && asset.Owner == "" {
		asset.Owner = a.Organization // it is theirs, and in none of our books
	}
}

// TakeIn finds which expected asset of an acquisition a machine is that has booted: the one with its serial, else the first of its model that has no
// serial yet, else any that has neither. nil means that it was not announced. A machine's words are never trusted further than this: they choose
// among what is expected.
func TakeIn(tx inventory.Tx, a *inventory.Acquisition, serial, product string) (*inventory.Asset, error) {
	assets, err := txAll[inventory.Asset](tx, inventory.Is("acquisition", a.UID), inventory.Is("custody", "expected"))
	if err != nil {
		return nil, err
	}
	received, err := txAll[inventory.Asset](tx, inventory.Is("acquisition", a.UID), inventory.Is("custody", "received"))
	if err != nil {
		return nil, err
	}
	var byModel, blank *inventory.Asset
	for _, asset := range append(assets, received...) {
		switch {
		case serial != "" && strings.EqualFold(asset.Serial, serial):
			return asset, nil
		case asset.Serial != "":
		case byModel == nil && asset.Name != "" && product != "" && (sameModel(asset.Name, product) || sameModel(product, asset.Name)):
			byModel = asset
		case blank == nil && asset.Name == "":
			blank = asset
		}
	}
	return cmp.Or(byModel, blank), nil
}

// sameModel tells whether every word of a stands in b: "PowerEdge R640" in "Dell Inc. PowerEdge R640".
func sameModel(a, b string) bool {
	words := strings.Fields(strings.ToLower(b))
	for _, w := range strings.Fields(strings.ToLower(a)) {
		if !slices.Contains(words, w) {
			return false
		}
	}
	return true
}

// HoldWarning says what speaks against disposing of an asset on a day, or "": it came as a donation, or under terms, that hold it until later. a may be
// nil. Whoever goes on needs a reason.
func HoldWarning(asset *inventory.Asset, a *inventory.Acquisition, on inventory.Date) string {
	until := asset.HoldUntil
	if until == "" && a != nil {
		until = a.HoldUntil
	}
	if until == "" || on >= until {
		return ""
	}
	text := fmt.Sprintf("%s is held until %s", asset.AssetTag, until)
	if a == nil {
		return text + "."
	}
	if a.Kind == "donation" {
		text += fmt.Sprintf(": it was donated (%s), and disposing of it within three years of its receipt may have to be reported (in the United States on Form 8282) and may cost the donor a deduction", a.Reference)
	} else {
		text += fmt.Sprintf(" by the terms of %s", a.Reference)
	}
	if a.Restriction != "" {
		text += ". Asked of us: " + a.Restriction
	}
	return strings.TrimSuffix(text, ".") + "."
}

// DonationLine is one donation in a report.
type DonationLine struct {
	Acquisition *inventory.Acquisition
	Donor       string
	Things      int
	// Fair is what the things count as, by currency, for those who may see amounts.
	Fair Totals
}

// Donations lists what was donated in a calendar year (0 is every year), by donor and then by day. donor narrows it to one organization. Assets are read once.
func Donations(ctx context.Context, r Lister, year int, donor inventory.UID) ([]DonationLine, error) {
	filters := []inventory.Filter{inventory.Is("kind", "donation")}
	if donor != "" {
		filters = append(filters, inventory.Is("organization", donor))
	}
	list, err := all[inventory.Acquisition](ctx, r, filters...)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(a *inventory.Acquisition) bool {
		return a.ReceivedOn == "" || year != 0 && a.ReceivedOn.Time().Year() != year
	})
	var uids, donors []inventory.UID
	for _, a := range list {
		uids, donors = append(uids, a.UID), append(donors, a.Organization)
	}
	organizations, err := allOf[inventory.Organization](ctx, r, "uid", donors)
	if err != nil {
		return nil, err
	}
	assets, err := allOf[inventory.Asset](ctx, r, "acquisition", uids)
	if err != nil {
		return nil, err
	}
	return donationLines(list, organizations, assets), nil
}

func donationLines(list []*inventory.Acquisition, organizations []*inventory.Organization, assets []*inventory.Asset) []DonationLine {
	names := map[inventory.UID]string{}
	for _, o := range organizations {
		names[o.UID] = o.Name
	}
	at := map[inventory.UID]int{}
	lines := make([]DonationLine, len(list))
	for i, a := range list {
		at[a.UID] = i
		lines[i] = DonationLine{Acquisition: a, Donor: cmp.Or(names[a.Organization], "(no donor named)"), Fair: Totals{}}
	}
	for _, asset := range assets {
		line := &lines[at[asset.Acquisition]]
		line.Things++
		if asset.FairValueAmount != nil {
			line.Fair.Add(Value{Currency: asset.Currency, Basis: *asset.FairValueAmount, Amount: *asset.FairValueAmount})
		}
	}
	slices.SortStableFunc(lines, func(a, b DonationLine) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Donor), strings.ToLower(b.Donor)), cmp.Compare(a.Acquisition.ReceivedOn, b.Acquisition.ReceivedOn), cmp.Compare(a.Acquisition.Reference, b.Acquisition.Reference))
	})
	return lines
}

// LongDate writes a day for letters: 3 March 2026.
func LongDate(d inventory.Date) string {
	if d == "" {
		return ""
	}
	return d.Time().Format("2 January 2006")
}

// dated is an instant on a day, for the metadata of a paper: papers carry no clock.
func dated(d inventory.Date) time.Time { return d.Time() }

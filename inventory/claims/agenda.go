package claims

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"berth/inventory"
)

// Entry is one day of the agenda: a stored deadline, or one that follows from a field of another object (a warranty, a lease, a loan).
type Entry struct {
	// Key names the entry for ever, so that a calendar that subscribes sees the same entry move and not a new one.
	Key      string         `json:"key"`
	DueOn    inventory.Date `json:"due_on"`
	DaysLeft int            `json:"days_left"` // negative: that many days ago
	Kind     string         `json:"kind"`      // notice, claim, suit, lost, earliest, other; warranty, lease, notice_day, loan, hold, policy, returned_goods
	Title    string         `json:"title"`
	// Milestone: something becomes possible or certain on the day, and nothing is missed afterwards.
	Milestone bool           `json:"milestone,omitempty"`
	State     string         `json:"state"` // of a stored deadline; open for the others
	Source    string         `json:"source,omitempty"`
	Assumes   string         `json:"assumes,omitempty"`
	Cap       string         `json:"cap,omitempty"`
	Unsure    bool           `json:"unsure,omitempty"`
	Noun      string         `json:"noun"` // what it is about
	Object    inventory.UID  `json:"object"`
	About     string         `json:"about"` // what that is called
	Deadline  *inventory.UID `json:"deadline,omitempty"`
}

// maxEntries bounds what of one kind stands on an agenda.
const maxEntries = 500

// Agenda lists what falls due from one day to another, both included, and what is open and was due before. today is the day it is asked.
func Agenda(r Reader, today, from, to inventory.Date) ([]Entry, error) {
	a := &agenda{r: r, today: today, from: from, to: to}
	err := errors.Join(a.deadlines(), a.assets(), a.sites(), a.acquisitions(), a.policies(), a.exports())
	slices.SortStableFunc(a.out, func(x, y Entry) int { return cmp.Or(cmp.Compare(x.DueOn, y.DueOn), cmp.Compare(x.Key, y.Key)) })
	return a.out, err
}

type agenda struct {
	r               Reader
	today, from, to inventory.Date
	out             []Entry
}

func (a *agenda) add(e Entry) {
	e.DaysLeft = a.today.Until(e.DueOn)
	if e.State == "" {
		e.State = "open"
	}
	a.out = append(a.out, e)
}

func (a *agenda) holds(day inventory.Date) bool { return day != "" && a.from <= day && day <= a.to }

// between are the filters for a date of the agenda's span.
func (a *agenda) between(field string) []inventory.Filter {
	return []inventory.Filter{{Field: field, Op: inventory.OpMore, Value: string(a.from.AddDays(-1))}, {Field: field, Op: inventory.OpLess, Value: string(a.to.AddDays(1))}}
}

func (a *agenda) deadlines() error {
	open := inventory.Filter{Field: "state", Op: inventory.OpIn, Value: "open,missed"}
	page, err := a.r.List(inventory.NounFor[inventory.Deadline](), inventory.Query{Filters: []inventory.Filter{open, {Field: "due_on", Op: inventory.OpLess, Value: string(a.to.AddDays(1))}}, Sort: "due_on", Limit: maxEntries})
	if err != nil {
		return err
	}
	for _, d := range inventory.Items[inventory.Deadline](page) {
		e := EntryOf(d, a.today)
		if e.About = page.Names[e.Object]; e.About == "" && e.Noun == "deadline" {
			e.About = "by hand"
		}
		a.add(e)
	}
	return nil
}

// EntryOf is a stored deadline as an entry; About is left to who knows names.
func EntryOf(d *inventory.Deadline, today inventory.Date) Entry {
	uid := d.UID
	e := Entry{Key: "deadline/" + string(uid), DueOn: d.DueOn, DaysLeft: today.Until(d.DueOn), Kind: orWord(d.Kind, "other"), Title: d.Title, State: d.State, Source: d.Source,
		Assumes: d.Assumes, Cap: d.Cap, Unsure: d.Unsure, Deadline: &uid, Milestone: What(d.Kind).Milestone()}
	e.Noun, e.Object = "deadline", uid
	for _, ref := range []struct {
		noun string
		uid  inventory.UID
	}{{"claim", d.Claim}, {"shipment", d.Shipment}, {"acquisition", d.Acquisition}, {"asset", d.Asset}, {"site", d.Site}, {"insurance-policy", d.Policy}, {"customs-declaration", d.Declaration}} {
		if ref.uid != "" {
			e.Noun, e.Object = ref.noun, ref.uid
			break
		}
	}
	return e
}

func (a *agenda) assets() error {
	mine := inventory.Filter{Field: "disposition", Op: inventory.OpEmpty, Value: "true"}
	ends, err := all[inventory.Asset](a.r, maxEntries, "warranty_end", append(a.between("warranty_end"), mine)...)
	if err != nil {
		return err
	}
	for _, x := range ends {
		a.add(Entry{Key: "warranty/" + string(x.UID), DueOn: x.WarrantyEnd, Kind: "warranty", Title: "Warranty ends", Noun: "asset", Object: x.UID, About: assetName(x)})
	}
	// What came by an acquisition is held as long as that says, which is one entry and not one for each thing.
	holds, err := all[inventory.Asset](a.r, maxEntries, "hold_until", append(a.between("hold_until"), mine, inventory.Filter{Field: "acquisition", Op: inventory.OpEmpty, Value: "true"})...)
	for _, x := range holds {
		a.add(Entry{Key: "hold/" + string(x.UID), DueOn: x.HoldUntil, Kind: "hold", Title: "Hold ends: from the day after it may be disposed of", Milestone: true, Noun: "asset", Object: x.UID, About: assetName(x)})
	}
	return err
}

func assetName(a *inventory.Asset) string {
	if a.Name != "" {
		return a.AssetTag + " " + a.Name
	}
	return a.AssetTag
}

func (a *agenda) sites() error {
	sites, err := all[inventory.Site](a.r, maxEntries, "lease_end", inventory.Filter{Field: "lease_end", Op: inventory.OpEmpty, Value: "false"})
	for _, x := range sites {
		if a.holds(x.LeaseEnd) {
			a.add(Entry{Key: "lease/" + string(x.UID), DueOn: x.LeaseEnd, Kind: "lease", Title: "Lease ends", Noun: "site", Object: x.UID, About: x.Name, Source: x.LeaseRef})
		}
		if notice := x.LeaseEnd.AddDays(-x.NoticeDays); x.NoticeDays > 0 && a.holds(notice) {
			a.add(Entry{Key: "notice-day/" + string(x.UID), DueOn: notice, Kind: "notice_day", Title: fmt.Sprintf("Last day to give notice of %d days before the lease ends on %s", x.NoticeDays, x.LeaseEnd),
				Noun: "site", Object: x.UID, About: x.Name, Source: x.LeaseRef})
		}
	}
	return err
}

func (a *agenda) acquisitions() error {
	ends, err := all[inventory.Acquisition](a.r, maxEntries, "ends_on", a.between("ends_on")...)
	if err != nil {
		return err
	}
	for _, x := range ends {
		if x.Status == "closed" || x.Status == "declined" || x.Status == "cancelled" {
			continue
		}
		title := firstUpper(x.Kind) + " ends"
		if x.Kind == "loan" {
			title = "Loan ends: what was lent goes back"
		}
		a.add(Entry{Key: "acquisition/" + string(x.UID), DueOn: x.EndsOn, Kind: map[bool]string{true: "loan", false: "lease"}[x.Kind == "loan"], Title: title, Noun: "acquisition", Object: x.UID, About: x.Reference})
	}
	holds, err := all[inventory.Acquisition](a.r, maxEntries, "hold_until", a.between("hold_until")...)
	for _, x := range holds {
		a.add(Entry{Key: "hold/" + string(x.UID), DueOn: x.HoldUntil, Kind: "hold", Title: "Hold ends: from the day after, what was given may be disposed of", Milestone: true, Noun: "acquisition", Object: x.UID, About: x.Reference})
	}
	return err
}

func (a *agenda) policies() error {
	ends, err := all[inventory.InsurancePolicy](a.r, maxEntries, "ends_on", a.between("ends_on")...)
	for _, x := range ends {
		a.add(Entry{Key: "policy/" + string(x.UID), DueOn: x.EndsOn, Kind: "policy", Title: "Insurance cover ends", Noun: "insurance-policy", Object: x.UID, About: x.PolicyNo})
	}
	return err
}

// returnedMonths is how long goods that were exported may come back without duty (EU, IE, UK: returned-goods relief).
const returnedMonths = 36

func (a *agenda) exports() error {
	filters := []inventory.Filter{inventory.Is("kind", "export"),
		{Field: "declared_on", Op: inventory.OpMore, Value: string(a.from.AddMonths(-returnedMonths).AddDays(-2))}, {Field: "declared_on", Op: inventory.OpLess, Value: string(a.to.AddMonths(-returnedMonths).AddDays(2))}}
	list, err := all[inventory.CustomsDeclaration](a.r, maxEntries, "declared_on", filters...)
	for _, x := range list {
		if due := x.DeclaredOn.AddMonths(returnedMonths); a.holds(due) {
			a.add(Entry{Key: "returned-goods/" + string(x.UID), DueOn: due, Kind: "returned_goods", Title: "Last day to bring exported goods back free of duty (returned-goods relief)",
				Source: "revenue.ie, temporary admission and exports", Noun: "customs-declaration", Object: x.UID, About: x.Reference})
		}
	}
	return err
}

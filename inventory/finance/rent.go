package finance

import (
	"context"

	"berth/inventory"
)

// Rent is what something costs each month.
type Rent struct {
	Kind     string `json:"kind"` // lease, loan or site
	Name     string `json:"name"`
	UID      inventory.UID
	EndsOn   inventory.Date `json:"ends_on"`
	Monthly  int64          `json:"monthly"`
	Currency string         `json:"currency"`
	// Things is what shares it: the machines of a lease, the racks of a site. PerThing is the share of one, rounded down.
	Things   int    `json:"things"`
	Unit     string `json:"unit"` // machine or rack
	PerThing int64  `json:"per_thing"`
}

// Rents lists what is paid each month on a day: leased and borrowed machines, and sites, with what that is for each machine or rack. It counts the
// things in one pass over assets and one over racks.
func Rents(ctx context.Context, r Lister, on inventory.Date) ([]Rent, error) {
	var rents []Rent
	filters := []inventory.Filter{{Field: "kind", Op: inventory.OpIn, Value: "lease,loan"}}
	err := pages(ctx, r, filters, func(list []*inventory.Acquisition) error {
		for _, a := range list {
			if a.MonthlyAmount != 0 && within(on, a.StartsOn, a.EndsOn) && a.Status != "declined" && a.Status != "cancelled" {
				rents = append(rents, Rent{Kind: a.Kind, Name: a.Reference, UID: a.UID, EndsOn: a.EndsOn, Monthly: a.MonthlyAmount, Currency: a.Currency, Unit: "machine"})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = pages(ctx, r, nil, func(list []*inventory.Site) error {
		for _, s := range list {
			if s.MonthlyAmount != 0 && within(on, s.LeaseStart, s.LeaseEnd) {
				rents = append(rents, Rent{Kind: "site", Name: s.Name, UID: s.UID, EndsOn: s.LeaseEnd, Monthly: s.MonthlyAmount, Currency: s.Currency, Unit: "rack"})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return rents, countThings(ctx, r, rents)
}

// countThings fills in what shares each rent.
func countThings(ctx context.Context, r Lister, rents []Rent) error {
	for i := range rents {
		rent := &rents[i]
		var err error
		if rent.Kind == "site" {
			err = pages(ctx, r, []inventory.Filter{inventory.Is("site", rent.UID)}, func(list []*inventory.Rack) error {
				rent.Things += len(list)
				return nil
			})
		} else {
			err = pages(ctx, r, []inventory.Filter{inventory.Is("acquisition", rent.UID)}, func(list []*inventory.Asset) error {
				for _, a := range list {
					if a.Kind == "device" && a.Disposition == "" {
						rent.Things++
					}
				}
				return nil
			})
		}
		if err != nil {
			return err
		}
		if rent.Things > 0 {
			rent.PerThing = rent.Monthly / int64(rent.Things)
		}
	}
	return nil
}

// within tells whether a day lies between two, each of which may be open.
func within(day, from, to inventory.Date) bool {
	return (from == "" || day >= from) && (to == "" || day <= to)
}

// Package stocktake is what a person with a scanner does: find what a code means, put a thing in its place, and walk along shelves to see
// what is really there.
//
// A code is whatever a label says: the address on one of berth's own labels, a uid, an asset tag, a vendor's serial, a parcel's or a rack's
// name. A scanner types it in full, a person with cold hands in part or with a slip; only the whole code counts.
package stocktake

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"berth/inventory"
)

// MaxCode bounds a code, in bytes. A QR code of the largest size we print holds far less; what is longer is no label.
const MaxCode = 512

// MaxScope bounds the assets of one stock-take. Who has more walks one room at a time.
const MaxScope = 20_000

// Reader is what looking needs: a transaction, or the record as it is now.
type Reader interface {
	Get(n *inventory.Noun, ref string) (inventory.Object, error)
	List(n *inventory.Noun, q inventory.Query) (inventory.Page, error)
}

func get[T any](r Reader, ref string) (*T, error) {
	obj, err := r.Get(inventory.NounFor[T](), ref)
	if err != nil {
		return nil, err
	}
	return any(obj).(*T), nil
}

func list[T any](r Reader, q inventory.Query) ([]*T, error) {
	q.NoNames = true
	page, err := r.List(inventory.NounFor[T](), q)
	if err != nil {
		return nil, err
	}
	return inventory.Items[T](page), nil
}

// Hit is one meaning of a code.
type Hit struct {
	Noun   *inventory.Noun
	Object inventory.Object
	Field  string // what of it is the code: serial, asset_tag, …
}

// meanings are the fields that labels bear, in the order in which a code is taken for them.
var meanings = []struct{ noun, field string }{
	{"asset", "asset_tag"}, {"asset", "serial"}, {"device", "name"}, {"device", "serial"}, {"rack", "name"}, {"parcel", "label"},
	{"parcel", "tracking_code"}, {"shipment", "reference"}, {"shipment", "tracking_code"}, {"location", "slug"}, {"component", "serial"}, {"shipment-item", "serial"},
}

// Resolve finds what a code means: at most a few things, the likeliest first, and none for a code that the record does not know. Serials are
// also tried in capitals, since that is how they are printed.
// Errors: *inventory.Invalid for what is no code.
func Resolve(r Reader, code string) ([]Hit, error) {
	code, err := Code(code)
	if err != nil {
		return nil, err
	}
	if uid := inventory.UID(strings.ToLower(code)); uid.Valid() {
		return byUID(r, uid)
	}
	var hits []Hit
	seen := map[inventory.UID]bool{}
	for _, m := range meanings {
		n, _ := inventory.NounOf(m.noun)
		page, err := r.List(n, inventory.Query{Filters: []inventory.Filter{{Field: m.field, Op: inventory.OpIn, Value: spellings(code)}}, Limit: 5, NoNames: true})
		if err != nil {
			return nil, fmt.Errorf("look for %q among the %s: %w", code, n.Plural, err)
		}
		for _, obj := range page.Items {
			if !seen[obj.Head().UID] {
				seen[obj.Head().UID] = true
				hits = append(hits, Hit{n, obj, m.field})
			}
		}
	}
	return hits, nil
}

// spellings are the code as it was read and in capitals, as a filter lists values. A comma would make two values of one.
func spellings(code string) string {
	if strings.Contains(code, ",") {
		return strings.ReplaceAll(code, ",", " ")
	}
	if upper := strings.ToUpper(code); upper != code {
		return code + "," + upper
	}
	return code
}

// labelled are the nouns that labels are printed for, so that a uid can be one of them.
var labelled = []string{"asset", "device", "rack", "parcel", "component", "location", "shipment"}

func byUID(r Reader, uid inventory.UID) ([]Hit, error) {
	for _, name := range labelled {
		n, _ := inventory.NounOf(name)
		obj, err := r.Get(n, string(uid))
		if errors.Is(err, inventory.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look for %s %s: %w", name, uid, err)
		}
		return []Hit{{n, obj, "uid"}}, nil
	}
	return nil, nil
}

// Code takes from what was scanned the part that names a thing: of the address on one of our labels, what follows /q/.
// Errors: *inventory.Invalid.
func Code(text string) (string, error) {
	text = strings.TrimSpace(text)
	if u, err := url.Parse(text); err == nil && u.Scheme != "" && u.Host != "" {
		if i := strings.Index(strings.ToLower(u.Path), "/q/"); i >= 0 {
			text = u.Path[i+len("/q/"):]
		}
		// Labels are printed in capitals, which make a smaller QR code.
		if uid := strings.ToLower(text); inventory.UID(uid).Valid() {
			text = uid
		}
	}
	switch {
	case text == "":
		return "", inventory.NotAllowed("scan", "code", "is empty")
	case len(text) > MaxCode:
		return "", inventory.NotAllowed("scan", "code", "is longer than any label")
	case strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0:
		return "", inventory.NotAllowed("scan", "code", "holds characters that no label has")
	}
	return text, nil
}

// AssetOf finds the asset behind a hit, which may be the asset itself, or the device or part that it is.
// It returns nil, and no error, for what is no asset.
func AssetOf(r Reader, h Hit) (*inventory.Asset, error) {
	var uid inventory.UID
	switch obj := h.Object.(type) {
	case *inventory.Asset:
		return obj, nil
	case *inventory.Device:
		uid = obj.Asset
	case *inventory.Component:
		uid = obj.Asset
	case *inventory.ShipmentItem:
		uid = obj.Asset
	}
	if uid == "" {
		return nil, nil
	}
	return get[inventory.Asset](r, string(uid))
}

// Expected lists the assets that the record has where the stock-take walks: by the place of the device that they are, or by their own. Errors: *inventory.Invalid for a stock-take that covers more than MaxScope.
func Expected(r Reader, st *inventory.StockTake) ([]*inventory.Asset, error) {
	devices, err := devicesIn(r, st)
	if err != nil {
		return nil, err
	}
	var uids []inventory.UID
	for _, d := range devices {
		if d.Asset != "" {
			uids = append(uids, d.Asset)
		}
	}
	standing, err := assets(r, uids)
	if err != nil {
		return nil, err
	}
	found := map[inventory.UID]*inventory.Asset{}
	for _, a := range standing {
		found[a.UID] = a
	}
	if st.Rack == "" {
		if err := addLoose(r, st, found); err != nil {
			return nil, err
		}
	}
	out := make([]*inventory.Asset, 0, len(found))
	for _, a := range found {
		if here(a) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b *inventory.Asset) int { return cmp.Compare(a.AssetTag, b.AssetTag) })
	return out, nil
}

// here tells whether an asset is somewhere at all that a person could find it.
func here(a *inventory.Asset) bool {
	switch a.Custody {
	case "received", "storage", "installed", "missing":
		return a.Disposition == ""
	}
	return false
}

// scope is the filter of what lies where the stock-take walks.
func scope(st *inventory.StockTake, withRack bool) []inventory.Filter {
	switch {
	case withRack && st.Rack != "":
		return []inventory.Filter{inventory.Is("rack", st.Rack)}
	case st.Location != "":
		return []inventory.Filter{inventory.Is("location", st.Location)}
	case st.Site != "":
		return []inventory.Filter{inventory.Is("site", st.Site)}
	}
	return nil
}

func devicesIn(r Reader, st *inventory.StockTake) ([]*inventory.Device, error) {
	return all[inventory.Device](r, scope(st, true))
}

// addLoose adds the assets that lie on shelves of the place.
func addLoose(r Reader, st *inventory.StockTake, found map[inventory.UID]*inventory.Asset) error {
	loose, err := all[inventory.Asset](r, scope(st, false))
	if err != nil {
		return err
	}
	for _, a := range loose {
		found[a.UID] = a
	}
	return nil
}

// all reads what a filter finds, page by page.
func all[T any](r Reader, filters []inventory.Filter) ([]*T, error) {
	n := inventory.NounFor[T]()
	out, err := inventory.ListAll[T](r.List, inventory.Query{Filters: filters, Sort: "created_at"}, MaxScope+1)
	if err != nil {
		return nil, fmt.Errorf("list the %s of a stock-take: %w", n.Plural, err)
	}
	if len(out) > MaxScope {
		return nil, inventory.NotAllowed("stock-take", "", "covers more than %d %s: take one room or rack at a time", MaxScope, n.Plural)
	}
	return out, nil
}

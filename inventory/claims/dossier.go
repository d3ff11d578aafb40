package claims

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"berth/inventory"
)

// Dossier is everything that proves a claim, gathered at one moment.
type Dossier struct {
	Claim     *inventory.Claim
	At        time.Time
	Today     inventory.Date
	Money     bool // amounts may be shown
	Shipment  *inventory.Shipment
	Parcel    *inventory.Parcel
	Against   *inventory.Organization
	Policy    *inventory.InsurancePolicy
	Contact   *inventory.Contact
	Carrier   *inventory.Organization
	Parcels   []*inventory.Parcel
	Items     []Thing
	Tracking  []*inventory.TrackingEvent // oldest first
	Custody   []*inventory.CustodyEvent  // oldest first
	Chase     []*inventory.ClaimEntry    // oldest first
	Deadlines []Entry
	Documents []Paper
}

// Thing is a line of the packing list with the asset it is about.
type Thing struct {
	Line  *inventory.ShipmentItem
	Asset *inventory.Asset // nil: loose things
}

// Paper is a document, and what it belongs to.
type Paper struct {
	Document *inventory.Document
	Of       string // the claim, the shipment, parcel 2
}

// Bounds of a dossier.
const (
	maxTracking  = 2000
	maxDocuments = 200
	maxDocBytes  = 256 << 20 // of all documents together
)

// Gather reads what belongs to a claim. The deadlines are computed now.
func Gather(r Reader, rules *Rules, c *inventory.Claim, now time.Time, money bool) (*Dossier, error) {
	d := &Dossier{Claim: c, At: now, Today: inventory.DateOf(now.UTC()), Money: money}
	err := errors.Join(find(r, c.Shipment, &d.Shipment), find(r, c.Parcel, &d.Parcel), find(r, c.Against, &d.Against), find(r, c.Policy, &d.Policy), find(r, c.Contact, &d.Contact))
	if err != nil {
		return nil, err
	}
	if d.Chase, err = all[inventory.ClaimEntry](r, 5000, "at", inventory.Is("claim", c.UID)); err != nil {
		return nil, err
	}
	if err := d.gatherShipment(r); err != nil {
		return nil, err
	}
	if err := d.gatherDeadlines(r, rules); err != nil {
		return nil, err
	}
	return d, d.gatherDocuments(r)
}

func (d *Dossier) gatherShipment(r Reader) (err error) {
	if d.Shipment == nil {
		return nil
	}
	of := inventory.Is("shipment", d.Shipment.UID)
	if err := find(r, d.Shipment.Carrier, &d.Carrier); err != nil {
		return err
	}
	if d.Parcels, err = all[inventory.Parcel](r, inventory.MaxPage, "label", of); err != nil {
		return err
	}
	if d.Tracking, err = all[inventory.TrackingEvent](r, maxTracking, "occurred_at", of); err != nil {
		return err
	}
	lines, err := all[inventory.ShipmentItem](r, 5*inventory.MaxPage, "created_at", of)
	if err != nil {
		return err
	}
	for _, line := range lines {
		if d.Parcel != nil && line.Parcel != d.Parcel.UID {
			continue
		}
		thing := Thing{Line: line}
		if err := find(r, line.Asset, &thing.Asset); err != nil {
			return err
		}
		d.Items = append(d.Items, thing)
	}
	slices.SortStableFunc(d.Items, func(a, b Thing) int { return strings.Compare(a.Line.Serial, b.Line.Serial) })
	return d.gatherCustody(r, of)
}

// gatherCustody finds the links that speak of the shipment, its parcels or its things, in the order of the chain.
func (d *Dossier) gatherCustody(r Reader, of inventory.Filter) error {
	found := map[inventory.UID]*inventory.CustodyEvent{}
	keep := func(filter inventory.Filter) error {
		list, err := all[inventory.CustodyEvent](r, maxTracking, "sequence", filter)
		for _, e := range list {
			found[e.UID] = e
		}
		return err
	}
	if err := keep(of); err != nil {
		return err
	}
	var parcels, assets []inventory.UID
	for _, p := range d.Parcels {
		parcels = append(parcels, p.UID)
	}
	for _, thing := range d.Items {
		if thing.Asset != nil {
			assets = append(assets, thing.Asset.UID)
		}
	}
	for _, part := range []struct {
		field string
		uids  []inventory.UID
	}{{"parcel", parcels}, {"asset", assets}} {
		for chunk := range slices.Chunk(part.uids, inChunk) {
			if err := keep(oneOf(part.field, chunk)); err != nil {
				return err
			}
		}
	}
	for _, e := range found {
		d.Custody = append(d.Custody, e)
	}
	slices.SortFunc(d.Custody, func(a, b *inventory.CustodyEvent) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return nil
}

func (d *Dossier) gatherDeadlines(r Reader, rules *Rules) error {
	own, err := all[inventory.Deadline](r, maxPerShipment, "due_on", inventory.Is("claim", d.Claim.UID))
	if err != nil {
		return err
	}
	for _, row := range own {
		if row.Shipment == "" || d.Shipment == nil || row.Shipment != d.Shipment.UID {
			d.Deadlines = append(d.Deadlines, EntryOf(row, d.Today))
		}
	}
	if d.Shipment == nil {
		return nil
	}
	stored, err := all[inventory.Deadline](r, maxPerShipment, "due_on", inventory.Is("shipment", d.Shipment.UID))
	if err != nil {
		return err
	}
	facts, err := FactsOf(r, d.Shipment)
	d.Deadlines = append(d.Deadlines, Merge(rules, facts, stored, d.Today)...)
	slices.SortStableFunc(d.Deadlines, func(a, b Entry) int { return cmp.Compare(a.DueOn, b.DueOn) })
	return err
}

// gatherDocuments finds what is attached to the claim, its shipment, its parcels and the words of the chase log.
func (d *Dossier) gatherDocuments(r Reader) error {
	seen := map[inventory.UID]bool{}
	keep := func(uid inventory.UID, of string) error {
		if uid == "" || seen[uid] || len(d.Documents) >= maxDocuments {
			return nil
		}
		seen[uid] = true
		var doc *inventory.Document
		if err := find(r, uid, &doc); err != nil || doc == nil {
			return err
		}
		d.Documents = append(d.Documents, Paper{doc, of})
		return nil
	}
	attached := func(uid inventory.UID, of string) error {
		list, err := all[inventory.Attachment](r, maxDocuments, "created_at", inventory.Is("object", uid))
		for _, a := range list {
			err = errors.Join(err, keep(a.Document, of))
		}
		return err
	}
	err := attached(d.Claim.UID, "the claim")
	if d.Shipment != nil {
		err = errors.Join(err, attached(d.Shipment.UID, "the shipment"))
	}
	for _, p := range d.Parcels {
		err = errors.Join(err, attached(p.UID, "parcel "+p.Label), keep(p.Photo, "parcel "+p.Label))
	}
	for _, e := range d.Chase {
		err = errors.Join(err, keep(e.Document, "the chase log"))
	}
	for _, e := range d.Custody {
		err = errors.Join(err, keep(e.Document, "the chain of custody"))
	}
	return err
}

// amount writes an amount for people, or nothing for who may not see it.
func (d *Dossier) amount(minor int64, currency string) string {
	if !d.Money || minor == 0 {
		return ""
	}
	return inventory.FormatMoney(minor, currency)
}

// Zip writes the dossier as one file: the report and the letter as PDF, the lists as CSV, the documents as they are, and a list of
// everything with its SHA-256. open gives the bytes of a document; a document that cannot be had is named, not left out in silence.
func (d *Dossier) Zip(w io.Writer, open func(*inventory.Document) (io.ReadCloser, error)) error {
	z := &bundle{zip: zip.NewWriter(w), at: d.At}
	report, err := d.PDF()
	if err != nil {
		return err
	}
	letter, err := d.LetterPDF()
	if err != nil {
		return err
	}
	z.add("claim.pdf", report)
	z.add("letter.pdf", letter)
	z.add("letter.txt", []byte(d.LetterText()))
	for _, list := range d.lists() {
		z.add(list.name, list.csv())
	}
	for i, p := range d.Documents {
		z.document(fmt.Sprintf("documents/%03d-%s", i+1, fileName(p.Document.Name)), p, open)
	}
	z.add("SHA256SUMS", z.sums.Bytes())
	if len(z.missing) > 0 {
		z.add("MISSING.txt", []byte(strings.Join(z.missing, "\n")+"\n"))
	}
	return z.end()
}

// bundle is a zip being written; the first error is kept.
type bundle struct {
	zip     *zip.Writer
	at      time.Time
	sums    bytes.Buffer
	missing []string
	bytes   int64
	err     error
}

func (z *bundle) create(name string) io.Writer {
	if z.err != nil {
		return io.Discard
	}
	w, err := z.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: z.at.UTC()})
	if err != nil {
		z.err = err
		return io.Discard
	}
	return w
}

func (z *bundle) add(name string, data []byte) {
	z.copy(name, bytes.NewReader(data), int64(len(data)))
}

// copy writes a file of at most limit bytes, and remembers its digest.
func (z *bundle) copy(name string, r io.Reader, limit int64) {
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(z.create(name), sum), io.LimitReader(r, limit))
	z.bytes += n
	if err != nil && z.err == nil {
		z.err = err
	}
	fmt.Fprintf(&z.sums, "%s  %s\n", hex.EncodeToString(sum.Sum(nil)), name)
}

func (z *bundle) document(name string, p Paper, open func(*inventory.Document) (io.ReadCloser, error)) {
	absent := func(why string) { z.missing = append(z.missing, fmt.Sprintf("%s: %s", p.Document.Name, why)) }
	switch {
	case open == nil:
		absent("documents cannot be read here")
		return
	case z.bytes+p.Document.SizeBytes > maxDocBytes:
		absent("the dossier would become too large; fetch it by itself")
		return
	}
	r, err := open(p.Document)
	if err != nil {
		absent("its bytes are not here")
		return
	}
	defer r.Close()
	z.copy(name, r, maxDocBytes)
}

func (z *bundle) end() error {
	if err := z.zip.Close(); z.err == nil {
		z.err = err
	}
	if z.err != nil {
		return fmt.Errorf("write the dossier: %w", z.err)
	}
	return nil
}

// fileName makes a name that is one file in any folder of any system.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, name)
	name = strings.Trim(shorten(name, 100), ". ")
	return orWord(name, "document")
}

// list is one table of the dossier.
type list struct {
	name, title string
	columns     []string
	wide        []float64 // shares of the page's width
	rows        [][]string
}

func (l list) csv() []byte {
	var out bytes.Buffer
	s := &sheet{w: csv.NewWriter(&out)}
	s.row(slices.Clone(l.columns)...)
	for _, row := range l.rows {
		s.row(slices.Clone(row)...)
	}
	_ = s.end() // a buffer takes everything
	return out.Bytes()
}

// lists are the tables, in the order in which they are read.
func (d *Dossier) lists() []list {
	return []list{d.items(), d.timeline(), d.chain(), d.words(), d.clock(), d.papers()}
}

func (d *Dossier) items() list {
	l := list{name: "items.csv", title: "What was in it", columns: []string{"Asset", "Serial", "Description", "State", "Declared value"}, wide: []float64{2, 3, 4, 2, 2}}
	for _, thing := range d.Items {
		tag, text := "", thing.Line.Description
		if thing.Asset != nil {
			tag, text = thing.Asset.AssetTag, orWord(text, thing.Asset.Name)
		}
		l.rows = append(l.rows, []string{tag, thing.Line.Serial, text, words(thing.Line.State), d.amount(thing.Line.DeclaredValueAmount, orWord(thing.Line.Currency, d.Shipment.Currency))})
	}
	return l
}

// moment is an instant as papers show it.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

func (d *Dossier) timeline() list {
	l := list{name: "timeline.csv", title: "What the carrier said", columns: []string{"When (UTC)", "Status", "What", "Where", "From"}, wide: []float64{2, 2, 5, 2, 1.5}}
	for _, e := range d.Tracking {
		l.rows = append(l.rows, []string{moment(e.OccurredAt), words(e.Status), strings.TrimSpace(e.Description + " " + e.Reason), strings.TrimSpace(e.City + " " + e.Country), words(e.Source)})
	}
	return l
}

func (d *Dossier) chain() list {
	l := list{name: "custody.csv", title: "Chain of custody", columns: []string{"Link", "When (UTC)", "What", "Place", "Note", "Hash"}, wide: []float64{1, 2.2, 2, 2.5, 4, 5}}
	for _, e := range d.Custody {
		l.rows = append(l.rows, []string{number(e.Sequence), moment(e.At), words(e.Kind), e.Place, e.Note, e.Hash})
	}
	return l
}

func (d *Dossier) words() list {
	l := list{name: "chase.csv", title: "What was asked and answered", columns: []string{"When (UTC)", "Way", "By", "Text"}, wide: []float64{2, 1.6, 1.4, 6}}
	ways := map[string]string{"out": "to them", "in": "from them", "note": "note"}
	for _, e := range d.Chase {
		l.rows = append(l.rows, []string{moment(e.At), ways[e.Direction] + ", " + e.Channel, e.By, e.Text})
	}
	return l
}

func (d *Dossier) clock() list {
	l := list{name: "deadlines.csv", title: "Deadlines", columns: []string{"Day", "What", "State", "Source", "Assumes"}, wide: []float64{1.5, 4, 1.2, 3, 3}}
	for _, e := range d.Deadlines {
		source := e.Source
		if e.Unsure {
			source += " (not verified)"
		}
		l.rows = append(l.rows, []string{string(e.DueOn), e.Title, e.State, source, e.Assumes})
	}
	return l
}

func (d *Dossier) papers() list {
	l := list{name: "documents.csv", title: "Documents", columns: []string{"Name", "Kind", "Of", "SHA-256"}, wide: []float64{3, 1.5, 2, 5}}
	for _, p := range d.Documents {
		l.rows = append(l.rows, []string{p.Document.Name, words(p.Document.Kind), p.Of, p.Document.Digest})
	}
	return l
}

package claims

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/inventory"
)

// chase says a word of the claim and returns the claim as it is then.
func (b *bench) say(c *inventory.Claim, w Word) *inventory.Claim {
	b.Helper()
	var out *inventory.Claim
	b.must(b.edit(func(tx inventory.Tx) (err error) {
		if out, err = inventory.TxGet[inventory.Claim](tx, string(c.UID)); err != nil {
			return err
		}
		_, err = Say(tx, out, w, "anna")
		return err
	}))
	return out
}

// A carrier is written to, does not answer, is found silent, and then does.
func TestChase(t *testing.T) {
	both(t, func(b *bench) {
		carrier := &inventory.Organization{Name: "Snail Mail", Slug: "snail", ChaseEveryDays: 5}
		b.create(carrier)
		c := &inventory.Claim{Against: carrier.UID, Party: "carrier", Kind: "loss", Currency: "EUR", RequestedAmount: 5000_00}
		b.create(c)
		c = b.say(c, Word{Direction: "note", Channel: "phone", Text: "nobody picks up"})
		if c.Status != "draft" || c.NextChaseOn != "" {
			t.Errorf("after a note the claim is %s, to be chased on %q", c.Status, c.NextChaseOn)
		}
		c = b.say(c, Word{Direction: "out", Channel: "letter", Text: "where is it?"})
		if c.Status != "filed" || c.FiledOn != "2026-11-22" || c.NextChaseOn != "2026-11-27" {
			t.Errorf("after a letter: %s, filed on %s, next chase on %s", c.Status, c.FiledOn, c.NextChaseOn)
		}
		silent := func(today inventory.Date) (n int) {
			t.Helper()
			b.must(b.edit(func(tx inventory.Tx) error {
				found, err := Chase(tx, today)
				n = len(found)
				return err
			}))
			return n
		}
		if n := silent("2026-11-27"); n != 0 {
			t.Error("the claim is unresponsive on the very day on which the answer may still come")
		}
		if n := silent("2026-11-28"); n != 1 {
			t.Error("the claim is not unresponsive on the day after")
		}
		if n := silent("2026-11-29"); n != 0 {
			t.Error("it became unresponsive twice")
		}
		b.now = b.now.AddDate(0, 0, 10)
		c = b.say(c, Word{Direction: "in", Channel: "email", Text: "we are looking"})
		if c.Status != "acknowledged" || c.NextChaseOn != "2026-12-07" || c.LastContactAt == nil {
			t.Errorf("after their answer: %s, next chase on %s", c.Status, c.NextChaseOn)
		}
		// What is told late does not turn the claim back.
		c = b.say(c, Word{Direction: "in", Channel: "phone", Text: "I forgot to write this down", At: b.now.AddDate(0, 0, -3)})
		if !c.LastContactAt.Equal(b.now) || c.NextChaseOn != "2026-12-07" {
			t.Errorf("a late word set the last contact to %s, the chase to %s", c.LastContactAt, c.NextChaseOn)
		}
		err := b.edit(func(tx inventory.Tx) error {
			_, err := Say(tx, c, Word{Direction: "out", Text: "from tomorrow", At: b.now.AddDate(0, 0, 2)}, "anna")
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "future") {
			t.Errorf("a word of the day after tomorrow: %v", err)
		}
	})
}

// The stored deadlines follow the dates of the shipment, and what a person said about them stays.
func TestSettle(t *testing.T) {
	both(t, func(b *bench) {
		w := newLostParcel(b)
		settle := func(today inventory.Date) (n int) {
			t.Helper()
			b.must(b.edit(func(tx inventory.Tx) error {
				s, err := inventory.TxGet[inventory.Shipment](tx, string(w.shipment.UID))
				if err != nil {
					return err
				}
				n, err = Settle(tx, Default(), s, today)
				return err
			}))
			return n
		}
		rows := func() map[string]*inventory.Deadline {
			t.Helper()
			list, err := inventory.List[inventory.Deadline](t.Context(), b.Store, inventory.Query{})
			b.must(err)
			out := map[string]*inventory.Deadline{}
			for _, d := range list {
				out[d.Rule] = d
			}
			return out
		}
		if n := settle("2026-11-22"); n != 0 {
			t.Errorf("%d deadlines of a shipment of which no date is known", n)
		}
		s := get[inventory.Shipment](b, w.shipment.UID)
		s.Mode, s.PromisedOn, s.HandedOverAt = "air", "2026-11-10", ptr(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC))
		b.update(s)
		if n := settle("2026-11-22"); n != 3 {
			t.Errorf("%d deadlines, want 3: %v", n, rows())
		}
		got := rows()
		if d := got["dhl-express-claim"]; d == nil || d.DueOn != "2026-12-01" || d.State != "open" || d.Kind != "claim" || !strings.Contains(d.Source, "looked at on 2026-11-22") {
			t.Errorf("the carrier's deadline: %+v", d)
		}
		if d := got["montreal-lost"]; d == nil || d.DueOn != "2026-11-17" || d.State != "open" || !d.Unsure {
			t.Errorf("the day from which it counts as lost: %+v", d)
		}
		if n := settle("2026-11-22"); n != 0 {
			t.Errorf("a second look changed %d deadlines", n)
		}
		if n := settle("2026-12-02"); n != 1 || rows()["dhl-express-claim"].State != "missed" {
			t.Errorf("the day after, %d changed, and it is %s", n, rows()["dhl-express-claim"].State)
		}
		b.must(b.edit(func(tx inventory.Tx) error {
			return Finish(tx, rows()["dhl-express-claim"], "done", "2026-11-30", "filed by mail")
		}))
		s = get[inventory.Shipment](b, w.shipment.UID)
		s.HandedOverAt, s.DeliveredAt = ptr(s.HandedOverAt.AddDate(0, 0, 3)), ptr(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
		b.update(s)
		settle("2026-11-25")
		got = rows()
		if d := got["dhl-express-claim"]; d.State != "done" || d.DueOn != "2026-12-01" || d.Note != "filed by mail" {
			t.Errorf("what was done was recomputed: %+v", d)
		}
		if got["montreal-lost"] != nil || got["montreal-damage"] == nil || got["montreal-damage"].DueOn != "2026-12-08" {
			t.Errorf("after delivery the deadlines are %v", got)
		}
	})
}

func TestFinishAsksForReasons(t *testing.T) {
	both(t, func(b *bench) {
		d := &inventory.Deadline{Title: "write to the landlord", DueOn: "2026-12-01"}
		b.create(d)
		for _, test := range []struct {
			state, on, note, want string
		}{{"lost", "", "", "done, waived or open"}, {"done", "", "", "is required"}, {"done", "soon", "", "not a date"}, {"waived", "", "", "why does it not matter"}, {"waived", "", "sold the cage", ""}} {
			err := b.edit(func(tx inventory.Tx) error {
				row, err := inventory.TxGet[inventory.Deadline](tx, string(d.UID))
				if err != nil {
					return err
				}
				return Finish(tx, row, test.state, inventory.Date(test.on), test.note)
			})
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%+v: %v", test, err)
			}
		}
	})
}

// Everything with a day on it stands on one agenda.
func TestAgenda(t *testing.T) {
	both(t, func(b *bench) {
		landlord := &inventory.Organization{Name: "Insurer AG", Slug: "insurer"}
		b.create(landlord)
		site := &inventory.Site{Name: "Cage 4", Slug: "cage4", LeaseEnd: "2027-02-20", NoticeDays: 90}
		shipment := &inventory.Shipment{Reference: "S-1"}
		loan := &inventory.Acquisition{Reference: "L-1", Kind: "loan", EndsOn: "2026-12-24"}
		gift := &inventory.Acquisition{Reference: "D-1", Kind: "donation", HoldUntil: "2026-12-01"}
		b.create(site, shipment, loan, gift)
		b.create(&inventory.Asset{AssetTag: "A-1", WarrantyEnd: "2026-12-02"}, &inventory.Asset{AssetTag: "A-2", WarrantyEnd: "2026-12-02", Disposition: "sold"},
			&inventory.Asset{AssetTag: "A-3", WarrantyEnd: "2030-01-01"}, &inventory.Asset{AssetTag: "A-4", HoldUntil: "2026-12-01", Acquisition: gift.UID},
			&inventory.InsurancePolicy{PolicyNo: "P-9", Insurer: landlord.UID, EndsOn: "2026-12-31", Currency: "EUR"},
			&inventory.CustomsDeclaration{Reference: "MRN1", Shipment: shipment.UID, Kind: "export", DeclaredOn: "2023-12-10"},
			&inventory.CustomsDeclaration{Reference: "MRN2", Shipment: shipment.UID, Kind: "import", DeclaredOn: "2023-12-10"},
			&inventory.Deadline{Title: "Claim", DueOn: "2026-11-01", State: "missed", Shipment: shipment.UID},
			&inventory.Deadline{Title: "Done", DueOn: "2026-11-30", State: "done", Shipment: shipment.UID})
		list, err := Agenda(Reading(t.Context(), b.Store), "2026-11-22", "2026-11-22", "2027-01-31")
		b.must(err)
		var got []string
		for _, e := range list {
			got = append(got, strings.Join([]string{string(e.DueOn), e.Kind, e.About, number(int64(e.DaysLeft))}, " "))
		}
		want := []string{"2026-11-01 other S-1 -21", "2026-11-22 notice_day Cage 4 0", "2026-12-01 hold D-1 9", "2026-12-02 warranty A-1 10", "2026-12-10 returned_goods MRN1 18", "2026-12-24 loan L-1 32", "2026-12-31 policy P-9 39"}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("the agenda is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// The dossier of a lost parcel holds every list, the letter, the documents, and a digest of each.
func TestDossier(t *testing.T) {
	both(t, func(b *bench) {
		w := newLostParcel(b)
		photo := &inventory.Document{Name: "../../etc/passwd\x7f", Kind: "photo", Digest: "sha256:" + strings.Repeat("ab", 32), SizeBytes: 5}
		gone := &inventory.Document{Name: "gone.pdf", Kind: "invoice", Digest: "sha256:" + strings.Repeat("cd", 32)}
		photo.Name = "../../photo.jpg"
		b.create(photo, gone)
		c := &inventory.Claim{Reference: "C-1", Shipment: w.shipment.UID, Against: w.shipment.Carrier, Party: "carrier", Kind: "loss", Currency: "EUR", RequestedAmount: 3000_00, Summary: "Two servers never came."}
		b.create(c, &inventory.TrackingEvent{Shipment: w.shipment.UID, OccurredAt: b.now.AddDate(0, -1, 0), Status: "in_transit", Description: "=HYPERLINK(1)", Source: "manual"})
		b.create(&inventory.Attachment{Document: photo.UID, Noun: "claim", Object: c.UID}, &inventory.Attachment{Document: gone.UID, Noun: "shipment", Object: w.shipment.UID})
		w.lose()
		c = b.say(c, Word{Direction: "out", Channel: "email", Text: "where is it?"})

		for _, money := range []bool{true, false} {
			d, err := Gather(Reading(t.Context(), b.Store), Default(), c, b.now, money)
			b.must(err)
			var out bytes.Buffer
			b.must(d.Zip(&out, func(doc *inventory.Document) (io.ReadCloser, error) {
				if doc.UID == gone.UID {
					return nil, os.ErrNotExist
				}
				return io.NopCloser(strings.NewReader("photo")), nil
			}))
			files := unzip(t, out.Bytes())
			for _, name := range []string{"claim.pdf", "letter.pdf", "letter.txt", "items.csv", "timeline.csv", "custody.csv", "chase.csv", "deadlines.csv", "documents.csv", "documents/001-.._.._photo.jpg", "SHA256SUMS", "MISSING.txt"} {
				if _, ok := files[strings.Replace(name, "001-.._.._photo.jpg", "001-_.._photo.jpg", 1)]; !ok {
					t.Errorf("the dossier has no %s, but %v", name, names(files))
				}
			}
			if strings.Contains(files["items.csv"], "1,000.00 EUR") != money || strings.Contains(files["letter.txt"], "3,000.00 EUR") != money {
				t.Errorf("amounts with money %v: %s\n%s", money, files["items.csv"], files["letter.txt"])
			}
			if !strings.Contains(files["timeline.csv"], "'=HYPERLINK(1)") {
				t.Errorf("a formula got through: %s", files["timeline.csv"])
			}
			if !strings.Contains(files["letter.txt"], "We wrote to you once") || !strings.Contains(files["letter.txt"], "Snode-1") {
				t.Errorf("the letter:\n%s", files["letter.txt"])
			}
			if n := strings.Count(files["custody.csv"], "\n"); n != 3 {
				t.Errorf("%d lines of custody, want a head and two links:\n%s", n, files["custody.csv"])
			}
			if !bytes.HasPrefix([]byte(files["claim.pdf"]), []byte("%PDF-")) || files["MISSING.txt"] != "gone.pdf: its bytes are not here\n" {
				t.Errorf("the PDF or the list of what is missing: %q", files["MISSING.txt"])
			}
			var again bytes.Buffer
			b.must(d.Zip(&again, nil))
			if bytes.Equal(out.Bytes(), again.Bytes()) {
				t.Error("a dossier without documents is the same as one with them")
			}
		}
	})
}

func unzip(t *testing.T, data []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		out[f.Name] = string(text)
	}
	return out
}

func names(files map[string]string) (list []string) {
	for name := range files {
		list = append(list, name)
	}
	return list
}

func TestSchedule(t *testing.T) {
	both(t, func(b *bench) {
		w := newLostParcel(b)
		lost := w.lose()
		for _, money := range []bool{true, false} {
			var out bytes.Buffer
			b.must(Schedule(&out, Reading(t.Context(), b.Store), lost.Disposition, money))
			want := lost.Disposition.Reference + ",lost,done,2026-11-20,A-node-1,Snode-1,,,,unit 4 of rack r12,"
			if money {
				want += "1000.00,1000.00,33.33,0.00,EUR"
			} else {
				want += ",,,,EUR"
			}
			if lines := strings.Split(out.String(), "\n"); len(lines) != 4 || lines[1] != want {
				t.Errorf("got\n%s\nwant in its second line\n%s", out.String(), want)
			}
		}
	})
}

// People are told in time, and not of what is settled.
func TestWarnings(t *testing.T) {
	both(t, func(b *bench) {
		carrier := &inventory.Organization{Name: "Snail", Slug: "snail"}
		b.create(carrier)
		open, well, claimed := &inventory.Shipment{Reference: "S-1", Phase: "handed_over"}, &inventory.Shipment{Reference: "S-2", Phase: "reconciled"}, &inventory.Shipment{Reference: "S-3", Phase: "lost"}
		b.create(open, well, claimed)
		for _, s := range []*inventory.Shipment{open, well, claimed} {
			b.create(&inventory.Deadline{Title: "Claim", Kind: "claim", DueOn: "2026-11-29", Shipment: s.UID}, &inventory.Deadline{Title: "Sue", Kind: "suit", DueOn: "2027-01-20", Shipment: s.UID})
		}
		b.create(&inventory.Deadline{Title: "far", Kind: "claim", DueOn: "2026-12-14", Shipment: open.UID}, &inventory.Deadline{Title: "long ago", Kind: "claim", State: "missed", DueOn: "2026-11-01", Shipment: open.UID},
			&inventory.Deadline{Title: "just missed", Kind: "claim", State: "missed", DueOn: "2026-11-20", Shipment: open.UID}, &inventory.Deadline{Title: "lost", Kind: "lost", DueOn: "2026-11-22", Shipment: open.UID, Unsure: true},
			&inventory.Asset{AssetTag: "A-1", WarrantyEnd: "2026-12-01"},
			&inventory.Claim{Reference: "C-1", Against: carrier.UID, Kind: "loss", Status: "filed", FiledOn: "2026-11-10", Shipment: claimed.UID, Currency: "EUR"},
			&inventory.Claim{Reference: "C-2", Against: carrier.UID, Kind: "loss", Status: "unresponsive", Currency: "EUR", NextChaseOn: "2026-11-15"},
			&inventory.Claim{Reference: "C-3", Against: carrier.UID, Kind: "loss", Status: "draft", Currency: "EUR"})
		list, err := Warnings(Reading(t.Context(), b.Store), "2026-11-22")
		b.must(err)
		var got []string
		for _, w := range list {
			got = append(got, w.Severity+" "+w.Title)
		}
		want := []string{"urgent S-1: just missed", "info S-1: lost", "urgent S-1: Claim", "warning A-1: Warranty ends", "warning S-1: Sue", "warning S-3: Sue", "urgent Claim C-2: they do not answer"}
		slices.Sort(got)
		slices.Sort(want)
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("told:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		later, err := Warnings(Reading(t.Context(), b.Store), "2026-11-26")
		b.must(err)
		if !slices.ContainsFunc(later, func(w Warning) bool { return w.Title == "Claim C-3 was never sent" }) {
			t.Error("nobody is told that a claim was never sent")
		}
	})
}

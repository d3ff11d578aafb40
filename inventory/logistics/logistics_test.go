package logistics

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/internal/pgtest"
	"berth/inventory"
	"berth/inventory/store"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// rig is a record on a real database with a clock that tests set.
type rig struct {
	*testing.T
	store *store.Store
	mu    sync.Mutex
	now   time.Time
}

func newRig(t *testing.T, o store.Options) *rig {
	t.Helper()
	g := &rig{T: t, now: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)}
	o.Now = func() time.Time {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.now
	}
	var err error
	if g.store, err = store.Open(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func onSQLite(t *testing.T) *rig { t.Helper(); return newRig(t, store.Options{Dir: t.TempDir()}) }

func onBoth(t *testing.T, story func(g *rig)) {
	t.Run("sqlite", func(t *testing.T) { story(onSQLite(t)) })
	t.Run("postgres", func(t *testing.T) { story(newRig(t, store.Options{DSN: pgtest.Database(t)})) })
}

func (g *rig) later(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now = g.now.Add(d)
}

var anna = inventory.Actor{Name: "anna", Level: inventory.LevelAdmin}

func (g *rig) try(fn func(tx inventory.Tx) error) error {
	g.Helper()
	return g.store.Edit(context.Background(), inventory.NewRequest(anna, "test"), fn)
}

func (g *rig) edit(fn func(tx inventory.Tx) error) {
	g.Helper()
	if err := g.try(fn); err != nil {
		g.Fatal(err)
	}
}

func (g *rig) create(objects ...inventory.Object) {
	g.Helper()
	g.edit(func(tx inventory.Tx) error {
		for _, obj := range objects {
			if err := tx.Create(obj); err != nil {
				return err
			}
		}
		return nil
	})
}

func get[T any](g *rig, ref inventory.UID) *T {
	g.Helper()
	obj, err := inventory.Get[T](context.Background(), g.store, string(ref))
	if err != nil {
		g.Fatal(err)
	}
	return obj
}

// look reads the record outside of an edit.
type look struct{ *store.Store }

func (l look) Get(n *inventory.Noun, ref string) (inventory.Object, error) {
	return l.Store.Get(context.Background(), n, ref)
}

func (l look) List(n *inventory.Noun, q inventory.Query) (inventory.Page, error) {
	return l.Store.List(context.Background(), n, q)
}

func (g *rig) load(ref string) *Load {
	g.Helper()
	l, err := Read(look{g.store}, ref)
	if err != nil {
		g.Fatal(err)
	}
	return l
}

// states are those of a shipment's lines, in the order in which they were listed.
func (g *rig) states(ref string) string {
	g.Helper()
	var out []string
	for _, i := range g.load(ref).Items {
		out = append(out, i.State)
	}
	return strings.Join(out, " ")
}

func refused(t *testing.T, err error, what string) {
	t.Helper()
	var conflict *inventory.Conflict
	var invalid *inventory.Invalid
	if !errors.As(err, &conflict) && !errors.As(err, &invalid) || !strings.Contains(err.Error(), what) {
		t.Errorf("got %v, want a refusal that says %q", err, what)
	}
}

// TestAShipmentFromDraftToClosed leads three servers through everything that goes well, and is refused what must be.
func TestAShipmentFromDraftToClosed(t *testing.T) {
	onBoth(t, func(g *rig) {
		dhl := &inventory.Organization{Name: "DHL Express"}
		photo := &inventory.Document{Name: "box.jpg", Kind: "photo"}
		home, away := &inventory.Site{Name: "Home"}, &inventory.Site{Name: "Away"}
		g.create(dhl, photo, home, away)
		s := &inventory.Shipment{Reference: "S-1", Direction: "transfer", Mode: "air", Origin: home.UID, Destination: away.UID, Currency: "EUR"}
		g.create(s)
		refused(g.T, g.try(func(tx inventory.Tx) error { _, err := Pack(tx, "anna", "S-1", Packing{}); return err }), "nothing on the packing list")
		g.edit(func(tx inventory.Tx) error {
			_, err := Add(tx, "S-1", Adding{Text: "SN-AAA1; Dell R640; 2000 EUR; 20 kg\nSN-AAA2, Dell R640, 2000 EUR, bmc d0:94:66:00:01:02\n\nSN-AAA3\tspare parts\t100.50 EUR"})
			return err
		})
		l := g.load("S-1")
		if len(l.Items) != 3 || l.Items[0].DeclaredValueAmount != 200000 || l.Items[0].WeightGrams != 20000 || l.Items[2].DeclaredValueAmount != 10050 || len(l.Items[1].Manifest) != 1 {
			g.Fatalf("lines: %+v", l.Items)
		}
		g.edit(func(tx inventory.Tx) error {
			_, err := Pack(tx, "anna", "S-1", Packing{Parcels: []inventory.Packed{{Label: "1 of 2", Items: []string{"SN-AAA1", "sn-aaa2"}, WeightGrams: 42000, SealNo: "77"}, {Label: "2 of 2", Items: []string{"SN-AAA3"}}}})
			return err
		})
		hand := func(h Handing) error {
			return g.try(func(tx inventory.Tx) error { _, err := HandOver(tx, "anna", "S-1", h); return err })
		}
		for _, what := range []string{"1 of 2 has no photo", "2 of 2 has no seal number", "2 of 2 has no weight", "nobody pays"} {
			refused(g.T, hand(Handing{Carrier: "dhl-express", Amounts: true}), what)
		}
		if err := hand(Handing{Carrier: "dhl-express"}); strings.Contains(err.Error(), "EUR") {
			g.Errorf("it tells amounts to somebody who may not see them: %v", err)
		}
		if err := hand(Handing{Carrier: "dhl-express", TrackingCode: "JD 0146", To: "Mr Brown", Override: "it is worth nothing to us"}); err != nil {
			g.Fatal(err)
		}
		l = g.load("S-1")
		if l.Shipment.OverrideReason == "" || l.Shipment.HandedOverAt == nil || l.Shipment.Phase != "handed_over" || g.states("S-1") != "sent sent sent" {
			g.Errorf("handed over: %+v, %s", l.Shipment, g.states("S-1"))
		}
		if a := get[inventory.Asset](g, l.Items[0].Asset); a.Custody != "in_transit" {
			g.Errorf("the asset is %s", a.Custody)
		}
		g.later(48 * time.Hour)
		receive := func(r Receipt) (out *Received) {
			g.edit(func(tx inventory.Tx) (err error) { out, err = Receive(tx, "otto", "S-1", r); return err })
			return out
		}
		out := receive(Receipt{Parcel: "1 of 2", Scans: []string{"SN-AAA1", "SN-AAAZ", "QQ-77777"}, Damaged: []string{"SN-AAA1"}, Damage: "the box is crushed"})
		if len(out.Items) != 2 || len(out.Doubtful) != 1 || !slices.Equal(out.Unknown, []string{"QQ-77777"}) || out.Open != 1 {
			g.Errorf("received: %+v", out)
		}
		refused(g.T, g.try(func(tx inventory.Tx) error { _, err := Reconcile(tx, "otto", "S-1", false); return err }), "SN-AAA3 did not come")
		receive(Receipt{Scans: []string{"SN-XYZ9"}, NotExpected: true})
		if got := g.states("S-1"); got != "damaged received sent not_expected" {
			g.Errorf("lines: %s", got)
		}
		if a := get[inventory.Asset](g, l.Items[0].Asset); a.Custody != "received" || a.Condition != "damaged" || a.Site != away.UID {
			g.Errorf("the damaged asset is %+v", a)
		}
		receive(Receipt{Parcel: "2 of 2"})
		g.edit(func(tx inventory.Tx) error {
			if _, err := Reconcile(tx, "otto", "S-1", false); err != nil {
				return err
			}
			_, err := Close(tx, "S-1")
			return err
		})
		if l = g.load("S-1"); l.Shipment.Phase != "closed" || l.Parcels[0].Damage == "" {
			g.Errorf("closed: %+v, %+v", l.Shipment, l.Parcels[0])
		}
		custody, err := inventory.List[inventory.CustodyEvent](context.Background(), g.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("asset", l.Items[0].Asset)}, Sort: "created_at"})
		var kinds []string
		for _, e := range custody {
			kinds = append(kinds, e.Kind)
		}
		slices.Sort(kinds)
		if err != nil || !slices.Equal(kinds, []string{"handed_over", "packed", "received"}) {
			g.Errorf("custody: %v, %v", kinds, err)
		}
	})
}

// TestOneOrderInTwoShipments: what one shipment carries, another does not take again; and one shipment takes lines of two orders.
func TestOneOrderInTwoShipments(t *testing.T) {
	g := onSQLite(t)
	order, gift := &inventory.Acquisition{Reference: "P-1", Kind: "purchase"}, &inventory.Acquisition{Reference: "D-1", Kind: "donation"}
	g.create(order, gift, &inventory.Shipment{Reference: "S-1"}, &inventory.Shipment{Reference: "S-2"})
	for _, tag := range []string{"A-1", "A-2", "A-3"} {
		g.create(&inventory.Asset{AssetTag: tag, Serial: "SER-" + tag, Acquisition: order.UID, CostAmount: 5000, Currency: "EUR"})
	}
	g.edit(func(tx inventory.Tx) error {
		if _, err := Add(tx, "S-1", Adding{Assets: []string{"A-1"}}); err != nil {
			return err
		}
		if _, err := Add(tx, "S-1", Adding{Text: "GIFT-0001", Acquisition: "D-1"}); err != nil {
			return err
		}
		_, err := Add(tx, "S-2", Adding{Acquisition: "P-1"})
		return err
	})
	one, two := g.load("S-1"), g.load("S-2")
	if len(one.Items) != 2 || one.Items[0].Acquisition != order.UID || one.Items[1].Acquisition != gift.UID {
		t.Errorf("the first: %+v", one.Items)
	}
	if len(two.Items) != 2 || two.Items[0].Serial != "SER-A-2" || two.Items[0].DeclaredValueAmount != 5000 {
		t.Errorf("the second: %+v", two.Items)
	}
	if a := get[inventory.Asset](g, one.Items[1].Asset); a.Custody != "expected" || a.Acquisition != gift.UID {
		t.Errorf("the gift: %+v", a)
	}
	refused(t, g.try(func(tx inventory.Tx) error { _, err := Add(tx, "S-2", Adding{Acquisition: "P-1"}); return err }), "nothing was named")
	refused(t, g.try(func(tx inventory.Tx) error {
		_, err := Add(tx, "S-2", Adding{Text: "X-1\n" + strings.Repeat("y", 1200)})
		return err
	}), "line 2")
}

func TestSteps(t *testing.T) {
	g := onSQLite(t)
	g.create(&inventory.Shipment{Reference: "S-1"})
	step := func(what string, fn func(tx inventory.Tx) error, phase, states string) {
		t.Helper()
		if err := g.try(fn); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if l := g.load("S-1"); l.Shipment.Phase != phase || g.states("S-1") != states {
			t.Errorf("after %s: %s, %s; want %s, %s", what, l.Shipment.Phase, g.states("S-1"), phase, states)
		}
	}
	step("add", func(tx inventory.Tx) error { _, err := Add(tx, "S-1", Adding{Text: "SN-1111\nSN-2222"}); return err }, "draft", "listed listed")
	step("pack", func(tx inventory.Tx) error { _, err := Pack(tx, "a", "S-1", Packing{}); return err }, "packed", "packed packed")
	step("unpack", func(tx inventory.Tx) error { _, err := Reopen(tx, "a", "S-1"); return err }, "draft", "listed listed")
	step("pack again", func(tx inventory.Tx) error { _, err := Pack(tx, "a", "S-1", Packing{}); return err }, "packed", "packed packed")
	step("send", func(tx inventory.Tx) error {
		_, err := HandOver(tx, "a", "S-1", Handing{Override: "a test"})
		return err
	}, "handed_over", "sent sent")
	step("receive one", func(tx inventory.Tx) error {
		_, err := Receive(tx, "a", "S-1", Receipt{Scans: []string{"SN-1111"}})
		return err
	}, "received", "received sent")
	step("lose the rest", func(tx inventory.Tx) error { _, err := Lose(tx, "a", "S-1", "no word for weeks"); return err }, "lost", "received missing")
	step("trace", func(tx inventory.Tx) error { _, err := Reopen(tx, "a", "S-1"); return err }, "handed_over", "received sent")
	step("it turns up", func(tx inventory.Tx) error {
		_, err := Receive(tx, "a", "S-1", Receipt{Scans: []string{"SN-2222"}})
		return err
	}, "received", "received received")
	refused(t, g.try(func(tx inventory.Tx) error { _, err := Cancel(tx, "a", "S-1", "why"); return err }), "cannot become cancelled")
	refused(t, g.try(func(tx inventory.Tx) error { _, err := Receive(tx, "a", "S-1", Receipt{}); return err }), "say what came")
	if l := g.load("S-1"); len(l.Parcels) != 1 || l.Parcels[0].Label != "1 of 1" {
		t.Errorf("parcels: %+v", l.Parcels)
	}
	g.create(&inventory.Shipment{Reference: "S-9"})
	refused(t, g.try(func(tx inventory.Tx) error { _, err := Cancel(tx, "a", "S-9", ""); return err }), "say why")
	g.edit(func(tx inventory.Tx) error {
		_, err := Cancel(tx, "a", "S-9", "the donor changed his mind")
		return err
	})
}

// TestCover is the worked example: a server of 20 kg by air is worth 520 SDR to the carrier, by road 167, whatever it cost.
func TestCover(t *testing.T) {
	g := onSQLite(t)
	insurer := &inventory.Organization{Name: "Insurer"}
	policy := &inventory.InsurancePolicy{PolicyNo: "T-1", Currency: "EUR", LimitAmount: 300000, DeductibleAmount: 25000}
	g.create(insurer)
	policy.Insurer = insurer.UID
	g.create(policy)
	for name, test := range map[string]struct {
		s       inventory.Shipment
		value   int64
		grams   int64
		boxes   int
		carrier int64
		insured int64
		gap     int64
		says    string
	}{
		"air":                     {inventory.Shipment{Mode: "air"}, 500000, 20000, 1, 65520, 0, 434480, "20 kg × 26 SDR/kg × 1.26 EUR/SDR = 655.20 EUR"},
		"road":                    {inventory.Shipment{Mode: "road"}, 500000, 20000, 1, 20991, 0, 479009, "20 kg × 8.33 SDR/kg × 1.26 EUR/SDR = 209.91 EUR"},
		"sea, by the parcel":      {inventory.Shipment{Mode: "sea"}, 500000, 20000, 1, 84000, 0, 416000, "1 × 666.67 SDR per parcel × 1.26 EUR/SDR = 840.00 EUR"},
		"sea, by weight":          {inventory.Shipment{Mode: "sea"}, 500000, 1000000, 1, 252000, 0, 248000, "1000 kg × 2 SDR/kg × 1.26 EUR/SDR = 2,520.00 EUR"},
		"worth less than the cap": {inventory.Shipment{Mode: "air"}, 10000, 20000, 1, 10000, 0, 0, ""},
		"insured":                 {inventory.Shipment{Mode: "air", InsuredAmount: 500000}, 500000, 20000, 1, 65520, 500000, 0, ""},
		"by a policy":             {inventory.Shipment{Mode: "air", Policy: policy.UID}, 500000, 20000, 1, 65520, 275000, 159480, ""},
		"over the policy's limit": {inventory.Shipment{Mode: "air", Policy: policy.UID, InsuredAmount: 900000}, 500000, 20000, 1, 65520, 275000, 159480, ""},
		"a mode without a cap":    {inventory.Shipment{Mode: "rail"}, 500000, 20000, 1, 0, 0, 500000, ""},
		"no mode":                 {inventory.Shipment{}, 500000, 20000, 1, 0, 0, 500000, ""},
		"a currency without rate": {inventory.Shipment{Mode: "air", Currency: "JPY"}, 500000, 20000, 1, 0, 0, 500000, ""},
		"the most that fits":      {inventory.Shipment{Mode: "air"}, 1_000_000_000_000_000, 50_000_000, 100, 163_800_000 * 100, 0, 1_000_000_000_000_000 - 163_800_000*100, ""},
	} {
		l := &Load{Shipment: &test.s, Items: []*inventory.ShipmentItem{{Serial: "X", DeclaredValueAmount: test.value, Currency: test.s.Currency}}}
		for range test.boxes {
			l.Parcels = append(l.Parcels, &inventory.Parcel{Label: "1", WeightGrams: test.grams})
		}
		c, err := CoverOf(look{g.store}, l)
		if err != nil || c.Carrier != test.carrier || c.Insured != test.insured || c.Gap != test.gap {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
		if test.says != "" && c.Arithmetic() != test.says {
			t.Errorf("%s: it says %q", name, c.Arithmetic())
		}
	}
	for _, limit := range StandardTerms().Caps {
		if limit.Source == "" || limit.CheckedOn == "" || limit.MilliPerKG <= 0 {
			t.Errorf("%+v says not where it comes from", limit)
		}
	}
}

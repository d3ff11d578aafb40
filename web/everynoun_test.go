package web

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/inventory"
)

// canaryAmount stands in every amount of money of everyNoun; canaries are the ways in which it could be written.
const canaryAmount = 987654321

var canaries = []string{"987654321", "9876543.2", "9,876,543", "9 876 543"}

// everyNoun stores one object of every noun with as many of its fields filled as its rules allow, each text made by say. It is derived
// from the descriptors: a new noun is in it by itself.
func (g *rig) everyNoun(say texter) map[string]inventory.Object {
	g.Helper()
	made := map[string]inventory.Object{}
	for _, n := range inventory.Nouns {
		if n.Where != nil || n.Name == "setting" || n.Name == "change" {
			continue
		}
		obj := filled(n, made, say)
		if err := g.settle(n, obj); err != nil {
			g.Fatalf("one %s cannot be made: %v", n.Name, err)
		}
		made[n.Name] = obj
	}
	if d, ok := made["device"].(*inventory.Device); ok {
		made["machine"] = d
	}
	return made
}

// settle stores obj. Optional fields that its rules do not take together with the rest are emptied, one after the other: those that a
// refusal names, else what is no text and no money.
func (g *rig) settle(n *inventory.Noun, obj inventory.Object) error {
	for range 60 {
		err := g.store.Edit(context.Background(), inventory.NewRequest(inventory.Berth, "test"), func(tx inventory.Tx) error {
			tried := reflect.New(reflect.TypeOf(obj).Elem())
			tried.Elem().Set(reflect.ValueOf(obj).Elem())
			return tx.Create(tried.Interface().(inventory.Object))
		})
		var invalid *inventory.Invalid
		var conflict *inventory.Conflict
		if !errors.As(err, &invalid) && !errors.As(err, &conflict) {
			return err
		}
		named := func(f inventory.Field) bool { return invalid != nil && invalid.Fields[f.Name] != "" }
		unnamed := func(f inventory.Field) bool { return f.Kind != inventory.KindText && !f.Money }
		if !emptyOne(n, obj, named) && !emptyOne(n, obj, unnamed) {
			return err
		}
	}
	return errors.New("its rules are never content")
}

// emptyOne empties the first optional field that which names.
func emptyOne(n *inventory.Noun, obj inventory.Object, which func(inventory.Field) bool) bool {
	for _, f := range n.Fields {
		_, fixed := formats[n.Name+"."+f.Name]
		if p := reflect.ValueOf(f.Pointer(obj)).Elem(); !fixed && !f.Required && !isMeta(f) && !p.IsZero() && which(f) {
			p.SetZero()
			return true
		}
	}
	return false
}

// formats are the fields whose rules ask for more than a text.
var formats = map[string]any{
	"bmc.kind": "redfish", "bmc.address": "10.77.9.9", "interface.mac": "ac:1f:6b:8d:11:77", "subnet.prefix": "10.77.0.0/24", "prefix.prefix": "10.78.0.0/24", "address.address": "10.77.0.9",
	"account.name": "somebody", "account.level": inventory.LevelViewer, "account.email": "a@example.org", "saved-filter.query": "sort=name", "saved-filter.noun": "site", "comment.noun": "site", "tagging.noun": "site",
	"attachment.noun": "site", "custom-value.noun": "site", "custom-field.noun": "site", "custom-field.name": "support_contract", "custom-field.kind": "text",
	"device.provision_state": inventory.StateDeployed, "vlan.vid": 77, "cable.status": "planned", "custody-event.sequence": 0, "custody-event.hash": "", "custody-event.previous_hash": "", "webhook.url": "https://hooks.example.org/x",
	"notification.state": "open", "notification.noun": "site", "image.arch": "amd64",
}

func filled(n *inventory.Noun, made map[string]inventory.Object, say texter) inventory.Object {
	obj := n.New()
	obj.Head().UID = inventory.NewUID()
	for _, f := range n.Fields {
		if isMeta(f) || f.Hidden {
			continue
		}
		p := reflect.ValueOf(f.Pointer(obj)).Elem()
		if v, ok := formats[n.Name+"."+f.Name]; ok {
			p.Set(reflect.ValueOf(v).Convert(p.Type()))
			continue
		}
		fillValue(n, f, p, made, say)
	}
	return obj
}

func fillValue(n *inventory.Noun, f inventory.Field, p reflect.Value, made map[string]inventory.Object, say texter) {
	if p.Kind() == reflect.Pointer {
		p.Set(reflect.New(p.Type().Elem()))
		p = p.Elem()
	}
	switch {
	case f.Money:
		p.SetInt(canaryAmount)
	case strings.HasSuffix(f.Name, "currency"):
		p.SetString("EUR")
	case f.Name == "slug" || f.Name == n.Natural:
		p.SetString("one-" + n.Name)
	case f.Name == "object" && f.Kind != inventory.KindRef:
		if site := made["site"]; site != nil {
			p.SetString(string(site.Head().UID))
		}
	case f.Kind == inventory.KindRef:
		if to := made[f.Ref]; to != nil && f.Ref != n.Name {
			p.SetString(string(to.Head().UID))
		}
	case f.Kind == inventory.KindText && p.Type() == reflect.TypeFor[inventory.UID]():
	case f.Kind == inventory.KindText:
		p.SetString(say(f.Title))
	case f.Kind == inventory.KindEnum:
		i := slices.IndexFunc(f.Values, func(v string) bool { return v != "" })
		p.SetString(f.Values[i])
	case f.Kind == inventory.KindInt:
		p.SetInt(1)
	case f.Kind == inventory.KindFloat:
		p.SetFloat(1)
	case f.Kind == inventory.KindTime:
		p.Set(reflect.ValueOf(time.Now().UTC().Add(-time.Hour)))
	case f.Kind == inventory.KindDate:
		p.SetString(string(inventory.DateOf(time.Now())))
	case f.Kind == inventory.KindSecret:
		p.Set(reflect.ValueOf(inventory.PlainSecret("hunter2")))
	case f.Kind == inventory.KindList:
		p.Set(reflect.ValueOf([]string{say(f.Title)}))
	case p.Type() == reflect.TypeFor[map[string]string]():
		p.Set(reflect.ValueOf(map[string]string{say(f.Title): say("value")}))
	case p.Type() == reflect.TypeFor[json.RawMessage]():
		p.Set(reflect.ValueOf(json.RawMessage(`{}`)))
	}
}

func TestEveryNounCanBeMade(t *testing.T) {
	g := newRig(t)
	made := g.everyNoun(plainText)
	for _, n := range inventory.Nouns {
		if made[n.Name] == nil && n.Name != "setting" && n.Name != "change" {
			t.Errorf("there is no %s", n.Name)
		}
	}
	for _, n := range inventory.Nouns {
		obj := made[n.Name]
		if obj == nil {
			continue
		}
		stored, err := g.store.Get(g.ctx(), n, string(obj.Head().UID))
		g.must(err)
		for _, f := range n.MoneyFields() {
			if minor, _ := f.AmountOf(stored); minor != canaryAmount {
				t.Errorf("%s.%s holds %d: the tests of the right to see money look past it", n.Name, f.Name, minor)
			}
		}
	}
}

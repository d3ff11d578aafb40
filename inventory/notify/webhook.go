package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"berth/inventory"
)

// body is what a webhook gets: NetBox's fields, and the event's own id. The timestamp is inside, so that the signature covers it.
type body struct {
	ID        inventory.UID     `json:"id"`
	Event     string            `json:"event"` // created, updated, deleted
	Timestamp time.Time         `json:"timestamp"`
	Model     string            `json:"model"`
	Username  string            `json:"username"`
	RequestID inventory.UID     `json:"request_id"`
	Data      inventory.Picture `json:"data"`
	Snapshots snapshots         `json:"snapshots"`
	// Shortened: the object was too large to be sent whole.
	Shortened bool `json:"shortened,omitempty"`
}

type snapshots struct {
	Before inventory.Picture `json:"prechange"`
	After  inventory.Picture `json:"postchange"`
}

var events = map[string]string{"create": "created", "update": "updated", "delete": "deleted"}

// maxBody bounds a message, in bytes.
const maxBody = 1 << 20

// Enqueue stores a message for each webhook that wants one of the changes, in the transaction that makes them.
func Enqueue(tx inventory.Tx, changes []*inventory.Change) error {
	if len(changes) == 0 {
		return nil
	}
	hooks, err := enabled(tx)
	if err != nil || len(hooks) == 0 {
		return err
	}
	for _, c := range changes {
		for _, h := range hooks {
			if err := h.enqueue(tx, c); err != nil {
				return fmt.Errorf("tell webhook %s of the %s of %s %s: %w", h.Name, c.Action, c.Noun, c.Object, err)
			}
		}
	}
	return nil
}

// hook is a webhook with its conditions read.
type hook struct {
	*inventory.Webhook
	conditions inventory.Conditions
	money      map[inventory.UID]bool // custom fields that hold money; nil until asked
}

func enabled(tx inventory.Tx) ([]*hook, error) {
	rows, err := inventory.TxList[inventory.Webhook](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("enabled", "true")}, Sort: "name", Limit: inventory.MaxPage})
	if err != nil {
		return nil, err
	}
	hooks := make([]*hook, 0, len(rows))
	for _, row := range rows {
		conditions, err := inventory.ParseConditions(row.Conditions)
		if err != nil {
			continue // an older version took it; it is shown when the webhook is edited next
		}
		hooks = append(hooks, &hook{Webhook: row, conditions: conditions})
	}
	return hooks, nil
}

// wants tells whether the webhook is about a change of this kind, before anything is decoded.
func (h *hook) wants(c *inventory.Change) bool {
	return h.Wants(c.Noun) && (len(h.Actions) == 0 || slices.Contains(h.Actions, c.Action))
}

// wouldEcho: that webhooks fail is not told through one that fails itself, or each try would bring forth the next message.
func (h *hook) wouldEcho(c *inventory.Change, after inventory.Picture) bool {
	return c.Noun == "notification" && after["kind"] == "webhook" && (h.Problem != "" || after["object"] == string(h.UID))
}

func (h *hook) enqueue(tx inventory.Tx, c *inventory.Change) error {
	if !h.wants(c) {
		return nil
	}
	before, err := inventory.ReadPicture(c.Before)
	if err != nil {
		return err
	}
	after, err := inventory.ReadPicture(c.After)
	if err != nil {
		return err
	}
	if !h.conditions.Hold(before, after) || h.wouldEcho(c, after) {
		return nil
	}
	if err := h.redact(tx, c.Noun, before, after); err != nil {
		return err
	}
	row := &inventory.WebhookDelivery{Webhook: h.UID, Change: c.UID, State: "pending", NextAt: c.CreatedAt}
	row.UID = inventory.NewUID()
	data := after
	if after == nil {
		data = before
	}
	row.Body, err = encode(body{ID: row.UID, Event: events[c.Action], Timestamp: c.CreatedAt.UTC(), Model: c.Noun, Username: c.Actor, RequestID: c.Request, Data: data, Snapshots: snapshots{before, after}})
	if err != nil {
		return err
	}
	return tx.Create(row)
}

// encode writes a message, and leaves out of one that is too large what can be asked for.
func encode(b body) ([]byte, error) {
	text, err := marshal(b)
	if err != nil || len(text) <= maxBody {
		return text, err
	}
	b.Shortened, b.Snapshots = true, snapshots{}
	if text, err = marshal(b); err != nil || len(text) <= maxBody {
		return text, err
	}
	b.Data = inventory.Picture{"uid": b.Data["uid"]}
	return marshal(b)
}

// marshal is JSON without HTML's escapes, as NetBox sends it.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("write a message: %w", err)
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

// redact takes out what a webhook must not carry: secrets always, amounts unless it is to send them.
func (h *hook) redact(tx inventory.Tx, noun string, pictures ...inventory.Picture) error {
	n, ok := inventory.NounOf(noun)
	if !ok {
		return nil
	}
	for _, f := range n.Fields {
		if f.Kind == inventory.KindSecret || f.Hidden || f.Money && !h.SendMoney {
			for _, p := range pictures {
				delete(p, f.Name)
			}
		}
	}
	if noun != "custom-value" || h.SendMoney {
		return nil
	}
	if err := h.readMoneyFields(tx); err != nil {
		return err
	}
	for _, p := range pictures {
		if uid, _ := p["custom_field"].(string); h.money[inventory.UID(uid)] {
			delete(p, "value")
		}
	}
	return nil
}

func (h *hook) readMoneyFields(tx inventory.Tx) error {
	if h.money != nil {
		return nil
	}
	fields, err := inventory.TxList[inventory.CustomField](tx, inventory.Query{Limit: inventory.MaxPage})
	h.money = map[inventory.UID]bool{}
	for _, f := range fields {
		h.money[f.UID] = f.Money
	}
	return err
}

// announce tells the webhooks that want notifications. Notifications are in no change log, so the change is made here for the message alone.
func announce(tx inventory.Tx, action string, before, after *inventory.Notification) error {
	c := &inventory.Change{Actor: inventory.Berth.Name, Action: action, Noun: "notification", Object: after.UID, Display: after.Title}
	c.UID, c.CreatedAt = "", tx.Now()
	var err error
	if before != nil {
		if c.Before, err = json.Marshal(before); err != nil {
			return err
		}
	}
	if c.After, err = json.Marshal(after); err != nil {
		return err
	}
	return Enqueue(tx, []*inventory.Change{c})
}

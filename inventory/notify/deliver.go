package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"berth/inventory"
)

// Message is one webhook message to be sent.
type Message struct {
	URL    string
	Body   []byte
	Secret string        // signs the body; empty sends it unsigned
	Event  inventory.UID // the same at each try, so that the receiver knows repeats
}

// Sender sends a message, and returns the status of the answer. An answer that is not 2xx is an error too. inventory/notify/hook is one.
type Sender interface {
	Send(ctx context.Context, m Message) (status int, err error)
}

// pauses stand between the tries of a message. After the last it is given up.
var pauses = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour, 12 * time.Hour, 24 * time.Hour}

// failingAfter is how many tries in a row must fail before people are told.
const failingAfter = 3

// Courier sends what is due.
type Courier struct {
	Record inventory.Record
	Sender Sender
	Now    func() time.Time
	Log    *slog.Logger
}

// Bounds of one round of deliveries.
const (
	roundSize    = 500 // messages
	roundWorkers = 8   // webhooks at once
)

// Deliver sends the messages that are due, each webhook's in their order, several webhooks at once. A webhook that fails is left alone for the rest
// of the round, so that a dead host costs one timeout. It returns how many arrived.
func (c *Courier) Deliver(ctx context.Context) (arrived int, err error) {
	due, err := c.due(ctx)
	if err != nil {
		return 0, err
	}
	byHook := map[inventory.UID][]*inventory.WebhookDelivery{}
	for _, d := range due {
		byHook[d.Webhook] = append(byHook[d.Webhook], d)
	}
	var mu sync.Mutex
	var work sync.WaitGroup
	slots := make(chan struct{}, roundWorkers)
	for hook, list := range byHook {
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			n, problem := c.deliverTo(ctx, hook, list)
			mu.Lock()
			defer mu.Unlock()
			arrived += n
			err = errors.Join(err, problem)
		})
	}
	work.Wait()
	return arrived, err
}

// due lists what is to be sent, in the order in which it happened: a message is due first at the instant of its change.
func (c *Courier) due(ctx context.Context) ([]*inventory.WebhookDelivery, error) {
	return inventory.List[inventory.WebhookDelivery](ctx, c.Record, inventory.Query{Sort: "next_at", Limit: roundSize,
		Filters: []inventory.Filter{inventory.Is("state", "pending"), {Field: "next_at", Op: inventory.OpLess, Value: c.Now().UTC().Add(time.Second).Format(time.RFC3339Nano)}}})
}

// Waiting tells whether anything is due.
func (c *Courier) Waiting(ctx context.Context) bool {
	due, err := c.due(ctx)
	return err == nil && len(due) > 0
}

func (c *Courier) deliverTo(ctx context.Context, uid inventory.UID, list []*inventory.WebhookDelivery) (arrived int, err error) {
	hook, err := inventory.Get[inventory.Webhook](ctx, c.Record, string(uid))
	if err != nil {
		return 0, fmt.Errorf("read webhook %s: %w", uid, err)
	}
	if !hook.Enabled {
		return 0, nil // it waits until somebody enables it again
	}
	secret, err := c.Record.Reveal(hook.Secret)
	if err != nil {
		return 0, fmt.Errorf("open the secret of webhook %s: %w", hook.Name, err)
	}
	for _, d := range list {
		status, problem := c.Sender.Send(ctx, Message{URL: hook.URL, Body: d.Body, Secret: secret, Event: d.UID})
		if ctx.Err() != nil {
			return arrived, ctx.Err() // our own end is not the receiver's fault
		}
		if err := c.store(ctx, hook, d, status, problem); err != nil {
			return arrived, err
		}
		if problem != nil {
			return arrived, nil
		}
		arrived++
	}
	return arrived, nil
}

// store keeps what came of a try.
func (c *Courier) store(ctx context.Context, hook *inventory.Webhook, d *inventory.WebhookDelivery, status int, problem error) error {
	return c.Record.Edit(ctx, inventory.NewRequest(inventory.Berth, "webhook"), func(tx inventory.Tx) error {
		row, err := inventory.TxGet[inventory.WebhookDelivery](tx, string(d.UID))
		if errors.Is(err, inventory.ErrNotFound) {
			return nil // its webhook was deleted meanwhile
		}
		if err != nil {
			return err
		}
		tried(row, tx.Now(), status, problem)
		if err := tx.Update(row); err != nil {
			return err
		}
		return c.judge(tx, hook, row)
	})
}

// tried notes a try on a delivery, and when the next one is.
func tried(row *inventory.WebhookDelivery, now time.Time, status int, problem error) {
	row.Attempts++
	row.Status, row.Problem = status, ""
	if problem == nil {
		row.State, row.SentAt = "delivered", &now
		return
	}
	row.Problem = problem.Error()
	if row.Attempts > len(pauses) {
		row.State = "failed"
		return
	}
	row.NextAt = now.Add(pauses[row.Attempts-1])
}

// judge shows on the webhook, and in a notification, whether it works.
func (c *Courier) judge(tx inventory.Tx, hook *inventory.Webhook, d *inventory.WebhookDelivery) error {
	key := "webhook/" + string(hook.UID)
	if hook.Problem != d.Problem {
		now, err := inventory.TxGet[inventory.Webhook](tx, string(hook.UID))
		if err != nil {
			return err
		}
		now.Problem = d.Problem
		if err := tx.Update(now); err != nil {
			return err
		}
		hook.Problem = d.Problem
	}
	switch {
	case d.Problem == "":
		return Clear(tx, key)
	case d.Attempts < failingAfter:
		return nil
	}
	// No number of the try in it: the same trouble is the same notification, and tells nobody anew.
	text := "The last try ended with: " + d.Problem
	if d.State == "failed" {
		text += "\nA message was given up; it stands among the deliveries and can be sent again by hand."
	}
	return Raise(tx, Notice{Kind: "webhook", Key: key, Severity: Warning, Title: "Webhook " + hook.Name + " does not arrive", Text: text, Noun: "webhook", Object: hook.UID})
}

// Retry makes a message due at once, whatever became of it. Errors: *inventory.Conflict for one that arrived.
func Retry(tx inventory.Tx, d *inventory.WebhookDelivery) error {
	if d.State == "delivered" {
		return &inventory.Conflict{Noun: "webhook-delivery", UID: d.UID, Why: "it arrived already"}
	}
	d.State, d.NextAt, d.Attempts = "pending", tx.Now(), 0
	return tx.Update(d)
}

// keepDeliveries is how long a message that arrived or was given up is kept.
const keepDeliveries = 30 * 24 * time.Hour

// Forget deletes old messages, at most limit of them, and returns how many.
func Forget(tx inventory.Tx, limit int) (int, error) {
	rows, err := inventory.TxList[inventory.WebhookDelivery](tx, inventory.Query{Sort: "created_at", Limit: limit,
		Filters: []inventory.Filter{{Field: "state", Op: inventory.OpIn, Value: "delivered,failed"}, {Field: "created_at", Op: inventory.OpLess, Value: tx.Now().Add(-keepDeliveries).Format(time.RFC3339)}}})
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		if err := tx.Delete(row); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

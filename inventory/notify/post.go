package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"berth/inventory"
)

// Mailer sends one mail to whoever is to be told. inventory/notify/mail is one.
type Mailer interface {
	// Send delivers a mail; id is the same if it is sent again.
	Send(ctx context.Context, id, subject, text string, at time.Time) error
}

// Post writes to people about notifications: of each that is urgent at once, and of all others once a day.
type Post struct {
	Record inventory.Record
	Mailer Mailer
	Now    func() time.Time
	// Home is the server's address, for links; empty leaves them out.
	Home string
	// Hour is the hour of the day (UTC) from which the day's digest goes out.
	Hour int
}

// atOnce bounds the urgent mails of one round; what is beyond stands in one mail.
const atOnce = 5

// digestSetting remembers the day of the last digest.
const digestSetting = "mail-digest"

// Round sends what is to be sent now, and returns how many mails that were. What was sent is remembered after it was sent: a crash in between
// sends it again, under the same id.
func (p *Post) Round(ctx context.Context) (sent int, err error) {
	urgent, err := p.unsent(ctx, inventory.Is("severity", Urgent))
	if err != nil {
		return 0, err
	}
	Worst(urgent)
	for len(urgent) > 0 {
		batch := urgent[:1]
		if len(urgent) > atOnce {
			batch = urgent
		}
		if err := p.urgent(ctx, batch); err != nil {
			return sent, err
		}
		sent++
		urgent = urgent[len(batch):]
	}
	n, err := p.digest(ctx)
	return sent + n, err
}

// Waiting tells whether anything urgent was not mailed yet.
func (p *Post) Waiting(ctx context.Context) bool {
	urgent, err := p.unsent(ctx, inventory.Is("severity", Urgent))
	return err == nil && len(urgent) > 0
}

func (p *Post) unsent(ctx context.Context, filters ...inventory.Filter) ([]*inventory.Notification, error) {
	filters = append(filters, inventory.Is("state", "open"))
	rows, err := inventory.List[inventory.Notification](ctx, p.Record, inventory.Query{Filters: filters, Sort: "created_at", Limit: inventory.MaxPage})
	var out []*inventory.Notification
	for _, row := range rows {
		if row.MailedAt == nil {
			out = append(out, row)
		}
	}
	return out, err
}

func (p *Post) urgent(ctx context.Context, batch []*inventory.Notification) error {
	subject := batch[0].Title
	if len(batch) > 1 {
		subject = fmt.Sprintf("%d urgent matters", len(batch))
	}
	id := fmt.Sprintf("%s.%d", batch[0].UID, batch[0].Revision)
	if err := p.Mailer.Send(ctx, id, "[berth] "+subject, p.text(batch), p.Now()); err != nil {
		return err
	}
	return p.remember(ctx, batch, nil)
}

// digest sends the day's digest, if its hour has come and there is anything that nobody was told yet.
func (p *Post) digest(ctx context.Context) (int, error) {
	now := p.Now().UTC()
	today := string(inventory.DateOf(now))
	if now.Hour() < p.Hour {
		return 0, nil
	}
	last, err := readSetting(ctx, p.Record, digestSetting)
	if err != nil || last >= today {
		return 0, err
	}
	fresh, err := p.unsent(ctx)
	if err != nil || len(fresh) == 0 {
		return 0, err
	}
	all, err := inventory.List[inventory.Notification](ctx, p.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("state", "open")}, Limit: inventory.MaxPage})
	if err != nil {
		return 0, err
	}
	Worst(all)
	subject := fmt.Sprintf("[berth] %d matters need somebody, %d of them new", len(all), len(fresh))
	if len(all) == 1 {
		subject = "[berth] " + all[0].Title
	}
	if err := p.Mailer.Send(ctx, "digest."+today, subject, p.text(all), now); err != nil {
		return 0, err
	}
	return 1, p.remember(ctx, fresh, func(tx inventory.Tx) error { return WriteSetting(tx, digestSetting, today) })
}

// remember notes that people were told.
func (p *Post) remember(ctx context.Context, rows []*inventory.Notification, also func(tx inventory.Tx) error) error {
	return p.Record.Edit(ctx, inventory.NewRequest(inventory.Berth, "mail"), func(tx inventory.Tx) error {
		for _, row := range rows {
			now, err := inventory.TxGet[inventory.Notification](tx, string(row.UID))
			if errors.Is(err, inventory.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			at := tx.Now()
			now.MailedAt = &at
			if err := tx.Update(now); err != nil {
				return err
			}
		}
		if also == nil {
			return nil
		}
		return also(tx)
	})
}

// text is the body of a mail.
func (p *Post) text(rows []*inventory.Notification) string {
	var b strings.Builder
	for _, row := range rows {
		fmt.Fprintf(&b, "%s: %s\n", strings.ToUpper(row.Severity), row.Title)
		if row.DueOn != "" {
			fmt.Fprintf(&b, "  due on %s\n", row.DueOn)
		}
		for line := range strings.Lines(row.Text) {
			b.WriteString("  " + strings.TrimRight(line, "\r\n") + "\n")
		}
		if p.Home != "" {
			fmt.Fprintf(&b, "  %s%s\n", p.Home, PathOf(row))
		}
		b.WriteString("\n")
	}
	if p.Home != "" {
		fmt.Fprintf(&b, "All of it: %s/notifications\n", p.Home)
	}
	return b.String()
}

// PathOf is the page of what a notification is about, else its own.
func PathOf(n *inventory.Notification) string {
	if noun, ok := inventory.NounOf(n.Noun); ok && n.Object.Valid() {
		return "/" + noun.Plural + "/" + string(n.Object)
	}
	return "/notifications/" + string(n.UID)
}

func readSetting(ctx context.Context, r inventory.Record, name string) (string, error) {
	s, err := inventory.Get[inventory.Setting](ctx, r, name)
	if errors.Is(err, inventory.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return s.Value, nil
}

// WriteSetting keeps a value that berth remembers for itself.
func WriteSetting(tx inventory.Tx, name, value string) error {
	s, err := inventory.TxGet[inventory.Setting](tx, name)
	if errors.Is(err, inventory.ErrNotFound) {
		return tx.Create(&inventory.Setting{Name: name, Value: value})
	}
	if err != nil {
		return err
	}
	s.Value = value
	return tx.Update(s)
}

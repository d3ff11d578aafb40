package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"berth/inventory"
	"berth/inventory/blob"
	"berth/inventory/carrier"
	"berth/inventory/claims"
	"berth/inventory/logistics"
	"berth/inventory/notify"
	"berth/inventory/notify/hook"
	"berth/inventory/notify/mail"
	"berth/provision"
)

// upkeepOptions are the settings of what the server does by itself.
type upkeepOptions struct {
	rules        string
	webhookAllow []string
	publicURL    string
	smtp         string
	smtpSecurity string
	smtpUser     string
	smtpPassword string
	mailFrom     string
	mailTo       []string
	mailHour     int
}

func (o *upkeepOptions) add(f *pflag.FlagSet) {
	f.StringVar(&o.rules, "deadline-rules", "", "rules of the claim clock (YAML) instead of the ones that come with berth (default deadline-rules.yaml in the state directory, if it is there)")
	f.StringSliceVar(&o.webhookAllow, "webhook-allow", nil, "addresses or networks of this host and the local link that webhooks and tracking polls may reach")
	f.StringVar(&o.publicURL, "public-url", "", "https://… under which people reach the server, for links in mail")
	f.StringVar(&o.smtp, "smtp", "", "host:port of the mail server; without one no mail is sent")
	f.StringVar(&o.smtpSecurity, "smtp-security", "starttls", "starttls, tls or none")
	f.StringVar(&o.smtpUser, "smtp-user", "", "name to log in to the mail server with")
	f.StringVar(&o.smtpPassword, "smtp-password-file", "", "file with the password for --smtp-user")
	f.StringVar(&o.mailFrom, "mail-from", "", "sender of mail: name <address>, or an address")
	f.StringSliceVar(&o.mailTo, "mail-to", nil, "who gets mail about notifications")
	f.IntVar(&o.mailHour, "mail-hour", 6, "hour of the day (UTC) from which the daily digest is sent")
}

// checkUpkeep judges the settings before anything is opened, and reads what they name.
func (s *server) checkUpkeep() error {
	var err error
	if s.clock, err = s.readRules(); err != nil {
		return usageError(fmt.Errorf("--deadline-rules: %w", err), "The rules that come with berth, with an explanation, are in inventory/claims/rules.yaml.")
	}
	allow, err := hook.ParseAllow(s.webhookAllow)
	if err != nil {
		return usageError(fmt.Errorf("--webhook-allow: %w", err), "")
	}
	s.sender = &hook.Sender{Allow: allow, UserAgent: "berth/" + version}
	if s.mailHour < 0 || s.mailHour > 23 {
		return usageError(errors.New("--mail-hour is from 0 to 23"), "")
	}
	if s.smtp == "" {
		if s.mailFrom != "" || len(s.mailTo) > 0 {
			return usageError(errors.New("--mail-from and --mail-to need --smtp"), "")
		}
		return nil
	}
	s.mailer = &mail.Server{Addr: s.smtp, Security: mail.Security(s.smtpSecurity), Username: s.smtpUser, From: s.mailFrom, To: s.mailTo}
	if s.smtpPassword != "" {
		if s.mailer.Password, err = readSecret("@" + s.smtpPassword); err != nil {
			return usageError(fmt.Errorf("--smtp-password-file: %w", err), "")
		}
	}
	if err := s.mailer.Check(); err != nil {
		return usageError(fmt.Errorf("mail cannot be sent like this: %w", err), "See --smtp, --smtp-security, --mail-from and --mail-to.")
	}
	return nil
}

// readRules reads the rules file that is named, or that lies in the state directory; else the rules that come with berth count.
func (s *server) readRules() (*claims.Rules, error) {
	path := s.rules
	if path == "" {
		path = filepath.Join(s.data, "deadline-rules.yaml")
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && s.rules == "" {
		return claims.Default(), nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return claims.ReadRules(f)
}

// upkeep is what the server does by itself. Its chores read and write the record through the packages that know how.
type upkeep struct {
	record    inventory.Record
	rules     *claims.Rules
	courier   *notify.Courier
	post      *notify.Post // nil: no mail server is named
	sender    *hook.Sender
	documents *blob.Store
	log       *slog.Logger
	now       func() time.Time

	mu       sync.Mutex
	began    time.Time // the turn of upkeep that ran last
	settled  time.Time // when all deadlines were looked at last
	swept    inventory.Date
	unmailed time.Time // when mail failed last
}

func (s *server) newUpkeep(documents *blob.Store) *upkeep {
	u := &upkeep{record: s.store, rules: s.clock, sender: s.sender, documents: documents, log: s.log, now: time.Now}
	u.sender.Forbid = u.isBMC
	u.courier = &notify.Courier{Record: s.store, Sender: s.sender, Now: time.Now, Log: s.log}
	if s.mailer != nil {
		u.post = &notify.Post{Record: s.store, Mailer: s.mailer, Now: time.Now, Home: strings.TrimSuffix(s.publicURL, "/"), Hour: s.mailHour}
	}
	return u
}

// routines lists what is done again and again, and how often.
func (u *upkeep) routines() []provision.Routine {
	return []provision.Routine{
		{Kind: "upkeep", Every: 2 * time.Minute, Due: u.upkeepDue, Wakes: upkeepNouns, Chores: []provision.Chore{
			{Name: "ask-carriers", Do: u.askCarriers}, {Name: "find-silent-parcels", Do: u.findSilent}, {Name: "settle-deadlines", Do: u.settleDeadlines},
			{Name: "chase-claims", Do: u.chase}, {Name: "raise-notifications", Do: u.raise}, {Name: "daily", Do: u.daily},
		}},
		{Kind: "deliver", Every: 5 * time.Minute, Due: u.messagesDue, Wakes: []*inventory.Noun{inventory.NounFor[inventory.WebhookDelivery](), inventory.NounFor[inventory.Notification]()},
			Chores: []provision.Chore{{Name: "send-webhooks", Do: u.sendWebhooks}, {Name: "send-mail", Do: u.sendMail}}},
	}
}

// upkeepNouns are those whose changes bring the next turn on.
var upkeepNouns = []*inventory.Noun{inventory.NounFor[inventory.Shipment](), inventory.NounFor[inventory.Claim](), inventory.NounFor[inventory.Deadline](), inventory.NounFor[inventory.Device](), inventory.NounFor[inventory.Deviation]()}

// upkeepPause is the least time between two turns: an import of a thousand shipments is not a thousand turns.
const upkeepPause = 10 * time.Second

// upkeepDue tells whether something changed since the last turn began that it would look at.
func (u *upkeep) upkeepDue(ctx context.Context) bool {
	now := u.now()
	u.mu.Lock()
	began := u.began
	u.mu.Unlock()
	if now.Sub(began) < upkeepPause || !u.changedSince(ctx, began) {
		return false
	}
	// The turn may be another server's: what was asked for once is not asked for again.
	u.mu.Lock()
	defer u.mu.Unlock()
	u.began = now
	return true
}

func (u *upkeep) changedSince(ctx context.Context, began time.Time) bool {
	since := inventory.Filter{Field: "updated_at", Op: inventory.OpMore, Value: began.UTC().Format(time.RFC3339Nano)}
	for _, n := range upkeepNouns {
		q := inventory.Query{Filters: []inventory.Filter{since}, Limit: 1, NoNames: true}
		if n.Name == "device" { // of thousands of machines that report all the time, only these matter
			q.Filters = append(q.Filters, inventory.Is("provision_state", inventory.StateQuarantined))
		}
		if page, err := u.record.List(ctx, n, q); err == nil && len(page.Items) > 0 {
			return true
		}
	}
	return false
}

func (u *upkeep) today() inventory.Date { return inventory.DateOf(u.now().UTC()) }

func (u *upkeep) edit(ctx context.Context, why string, fn func(tx inventory.Tx) error) error {
	return u.record.Edit(ctx, inventory.NewRequest(inventory.Berth, why), fn)
}

// findSilent calls parcels silent that are, and tells of those that are still.
func (u *upkeep) findSilent(ctx context.Context) error {
	return u.edit(ctx, "silent parcels", func(tx inventory.Tx) error {
		if _, err := logistics.Silent(tx, u.now()); err != nil {
			return err
		}
		silent, err := inventory.TxList[inventory.Shipment](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("status", "silent"), {Field: "phase", Op: inventory.OpIn, Value: "handed_over,received"}}, Limit: inventory.MaxPage})
		if err != nil {
			return err
		}
		var wanted []notify.Notice
		for _, s := range silent {
			wanted = append(wanted, silence(s, u.now()))
		}
		return notify.Settle(tx, "silent_parcel", wanted)
	})
}

func silence(s *inventory.Shipment, now time.Time) notify.Notice {
	n := notify.Notice{Kind: "silent_parcel", Key: "silent_parcel/" + string(s.UID), Severity: notify.Urgent, Title: s.Reference + " is silent", Noun: "shipment", Object: s.UID,
		Text: "No word of it since it was handed over. Ask the carrier now: its own clock for claims runs."}
	if s.LastEventAt != nil {
		n.Text = fmt.Sprintf("The last event is of %s. Ask the carrier now: its own clock for claims runs.", s.LastEventAt.UTC().Format("2 January 2006"))
	}
	return n
}

// settleEvery is how often the deadlines of all shipments are looked at; those of a shipment that was changed are at the next turn.
const (
	settleEvery = time.Hour
	settleSlice = 50 // shipments in one transaction
)

func (u *upkeep) settleDeadlines(ctx context.Context) error {
	u.mu.Lock()
	whole, since := u.now().Sub(u.settled) >= settleEvery, u.settled
	u.mu.Unlock()
	began := u.now()
	q := inventory.Query{Sort: "uid", Limit: settleSlice, NoNames: true, Filters: []inventory.Filter{{Field: "phase", Op: inventory.OpIn, Value: "draft,packed,handed_over,received,reconciled,lost,written_off"}}}
	if !whole {
		// What was changed while the last turn ran is looked at again: a minute is longer than any transaction.
		q.Filters = append(q.Filters, inventory.Filter{Field: "updated_at", Op: inventory.OpMore, Value: since.Add(-time.Minute).UTC().Format(time.RFC3339Nano)})
	}
	for {
		page, err := u.record.List(ctx, inventory.NounFor[inventory.Shipment](), q)
		if err != nil {
			return err
		}
		if err := u.settleSlice(ctx, inventory.Items[inventory.Shipment](page)); err != nil {
			return err
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if whole {
		u.settled = began
	}
	return nil
}

func (u *upkeep) settleSlice(ctx context.Context, list []*inventory.Shipment) error {
	if len(list) == 0 {
		return nil
	}
	return u.edit(ctx, "claim clock", func(tx inventory.Tx) error {
		for _, s := range list {
			now, err := inventory.TxGet[inventory.Shipment](tx, string(s.UID))
			if errors.Is(err, inventory.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if _, err := claims.Settle(tx, u.rules, now, u.today()); err != nil {
				return fmt.Errorf("deadlines of %s: %w", now.Reference, err)
			}
		}
		return nil
	})
}

func (u *upkeep) chase(ctx context.Context) error {
	return u.edit(ctx, "no answer", func(tx inventory.Tx) error {
		_, err := claims.Chase(tx, u.today())
		return err
	})
}

// raise makes the notifications those that the record asks for.
func (u *upkeep) raise(ctx context.Context) error {
	warnings, err := claims.Warnings(claims.Reading(ctx, u.record), u.today())
	if err != nil {
		return err
	}
	byKind := map[string][]notify.Notice{"deadline": nil, "claim": nil}
	for _, w := range warnings {
		byKind[w.Kind] = append(byKind[w.Kind], notify.Notice{Kind: w.Kind, Key: w.Key, Severity: w.Severity, Title: w.Title, Text: w.Text, Noun: w.Noun, Object: w.Object, DueOn: w.DueOn})
	}
	return u.edit(ctx, "notifications", func(tx inventory.Tx) error {
		quarantine, deviations, err := notify.Machines(tx)
		if err != nil {
			return err
		}
		return errors.Join(notify.Settle(tx, "deadline", byKind["deadline"]), notify.Settle(tx, "claim", byKind["claim"]),
			notify.Settle(tx, "quarantine", quarantine), notify.Settle(tx, "deviation", deviations))
	})
}

// forgetAtOnce bounds the old messages that one turn deletes.
const forgetAtOnce = 500

// daily tidies up.
func (u *upkeep) daily(ctx context.Context) error {
	u.mu.Lock()
	done := u.swept == u.today()
	u.swept = u.today()
	u.mu.Unlock()
	if done {
		return nil
	}
	for left := 20; left > 0; left-- {
		n := 0
		err := u.edit(ctx, "old messages", func(tx inventory.Tx) (err error) { n, err = notify.Forget(tx, forgetAtOnce); return err })
		if err != nil || n < forgetAtOnce {
			return errors.Join(err, u.sweep(ctx))
		}
	}
	return u.sweep(ctx)
}

// sweep removes the bytes of uploads that never became a document.
func (u *upkeep) sweep(ctx context.Context) error {
	files, bytes, err := u.documents.Sweep(ctx, u.record, u.now())
	if files > 0 {
		u.log.Info("files that nothing names were removed", "files", files, "bytes", bytes)
	}
	return err
}

func (u *upkeep) messagesDue(ctx context.Context) bool {
	if u.courier.Waiting(ctx) {
		return true
	}
	u.mu.Lock()
	failed := u.unmailed
	u.mu.Unlock()
	return u.post != nil && u.now().Sub(failed) > mailPause && u.post.Waiting(ctx)
}

// mailPause is how long a mail server that failed is left alone, but for the regular turns.
const mailPause = 5 * time.Minute

func (u *upkeep) sendWebhooks(ctx context.Context) error {
	_, err := u.courier.Deliver(ctx)
	return err
}

func (u *upkeep) sendMail(ctx context.Context) error {
	if u.post == nil {
		return nil
	}
	_, err := u.post.Round(ctx)
	if err != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.unmailed = u.now()
	}
	return err
}

// isBMC tells whether an address is that of a BMC on record, which nobody's URL may reach. What cannot be looked up is taken for one.
func (u *upkeep) isBMC(a netip.Addr) bool {
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	bmcs, err := inventory.List[inventory.BMC](ctx, u.record, inventory.Query{Filters: []inventory.Filter{{Field: "address", Op: inventory.OpContains, Value: a.String()}}, Limit: 100})
	if err != nil {
		return true
	}
	for _, b := range bmcs {
		host, _, err := net.SplitHostPort(b.Address)
		if err != nil {
			host = strings.Trim(b.Address, "[]")
		}
		if host == a.String() {
			return true
		}
	}
	return false
}

// askCarriers asks the sources that are due about every parcel under way. It is the first chore of a turn.
func (u *upkeep) askCarriers(ctx context.Context) error {
	u.mu.Lock()
	u.began = u.now()
	u.mu.Unlock()
	sources, err := inventory.List[inventory.TrackingSource](ctx, u.record, inventory.Query{Filters: []inventory.Filter{inventory.Is("kind", "poll"), inventory.Is("enabled", "true")}, Limit: 100})
	if err != nil {
		return err
	}
	var errs []error
	for _, source := range sources {
		every := time.Duration(max(source.EveryMinutes, 5)) * time.Minute
		if source.EveryMinutes == 0 {
			every = time.Hour
		}
		if source.URL == "" || source.SeenAt != nil && u.now().Sub(*source.SeenAt) < every {
			continue
		}
		errs = append(errs, u.ask(ctx, source))
	}
	return errors.Join(errs...)
}

// maxCodes bounds the codes that one source is asked for in a turn.
const maxCodes = 200

// ask asks one source, and notes on it how that went.
func (u *upkeep) ask(ctx context.Context, source *inventory.TrackingSource) error {
	secret, err := u.record.Reveal(source.Secret)
	if err != nil {
		return fmt.Errorf("open the secret of %s: %w", source.Name, err)
	}
	codes, err := u.codes(ctx)
	if err != nil {
		return err
	}
	client := u.sender.Client()
	defer client.CloseIdleConnections()
	client.Timeout = 20 * time.Second
	var problem error
	for _, code := range codes {
		events, err := carrier.Poll(ctx, client, source, secret, code)
		if err != nil {
			problem = err
			break // a source that fails for one code fails for the next, and a hundred timeouts are hours
		}
		if len(events) == 0 {
			continue
		}
		err = u.edit(ctx, source.Name, func(tx inventory.Tx) error {
			_, err := logistics.Track(tx, source.Name, events)
			return err
		})
		if err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return u.edit(ctx, source.Name, func(tx inventory.Tx) error {
		now, err := inventory.TxGet[inventory.TrackingSource](tx, string(source.UID))
		if errors.Is(err, inventory.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		at := tx.Now()
		now.SeenAt, now.Problem = &at, ""
		if problem != nil {
			now.Problem = problem.Error()
		}
		return tx.Update(now)
	})
}

// codes are the tracking codes of what is under way.
func (u *upkeep) codes(ctx context.Context) ([]string, error) {
	under, err := inventory.List[inventory.Shipment](ctx, u.record, inventory.Query{Filters: []inventory.Filter{{Field: "phase", Op: inventory.OpIn, Value: "handed_over,received"}}, Limit: inventory.MaxPage})
	if err != nil {
		return nil, err
	}
	var codes []string
	seen := map[string]bool{"": true}
	add := func(code string) {
		if !seen[code] && len(codes) < maxCodes {
			seen[code] = true
			codes = append(codes, code)
		}
	}
	for some := range slices.Chunk(under, 200) {
		missing, err := u.missing(ctx, some)
		if err != nil {
			return nil, err
		}
		for _, s := range some {
			// Of a shipment that came, only the boxes that did not are still asked about.
			if s.Phase == "handed_over" {
				add(s.TrackingCode)
			}
			for _, p := range missing[s.UID] {
				add(p.TrackingCode)
			}
		}
	}
	return codes, nil
}

// missing are the boxes of shipments that have not come, in one list for all of them.
func (u *upkeep) missing(ctx context.Context, shipments []*inventory.Shipment) (map[inventory.UID][]*inventory.Parcel, error) {
	uids := make([]string, len(shipments))
	for i, s := range shipments {
		uids[i] = string(s.UID)
	}
	parcels, err := inventory.List[inventory.Parcel](ctx, u.record, inventory.Query{Limit: inventory.MaxPage, Filters: []inventory.Filter{
		{Field: "shipment", Op: inventory.OpIn, Value: strings.Join(uids, ",")}, {Field: "received_at", Op: inventory.OpEmpty, Value: "true"}}})
	if err != nil {
		return nil, err
	}
	by := map[inventory.UID][]*inventory.Parcel{}
	for _, p := range parcels {
		by[p.Shipment] = append(by[p.Shipment], p)
	}
	return by, nil
}

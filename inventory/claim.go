package inventory

import (
	"net/url"
	"slices"
	"strings"
)

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (c *Claim) Check() error {
	bad := &findings{noun: "claim"}
	settleReference(&c.Reference, "C", c.UID)
	refuseNegative(bad, map[string]int64{"requested_amount": c.RequestedAmount, "approved_amount": c.ApprovedAmount, "paid_amount": c.PaidAmount, "salvage_amount": c.SalvageAmount})
	return bad.err()
}

func refuseNegative(bad *findings, amounts map[string]int64) {
	for name, amount := range amounts {
		if amount < 0 {
			bad.add(name, "cannot be negative")
		}
	}
}

// maxDays bounds a number of days that people set: ten years.
const maxDays = 3660

// Check judges the dates of a policy. Errors: *Invalid.
func (p *InsurancePolicy) Check() error {
	bad := &findings{noun: "insurance-policy"}
	if p.StartsOn != "" && p.EndsOn != "" && p.EndsOn < p.StartsOn {
		bad.add("ends_on", "is before it starts, %s", p.StartsOn)
	}
	if p.NoticeDays < 0 || p.NoticeDays > maxDays {
		bad.add("notice_days", "is from 0 (not known) to %d d", maxDays)
	}
	refuseNegative(bad, map[string]int64{"limit_amount": p.LimitAmount, "deductible_amount": p.DeductibleAmount})
	return bad.err()
}

// Check judges whether done and its day agree. Errors: *Invalid.
func (d *Deadline) Check() error {
	bad := &findings{noun: "deadline"}
	setDefault(&d.State, "open")
	if d.DoneOn != "" && d.State == "open" {
		d.State = "done" // who gives the day says that it was done
	}
	return bad.err()
}

// Check fills in what is left empty. Errors: *Invalid.
func (d *Disposition) Check() error {
	settleReference(&d.Reference, "X", d.UID)
	return nil
}

// Check judges the amounts. Errors: *Invalid.
func (i *DispositionItem) Check() error {
	bad := &findings{noun: "disposition-item"}
	refuseNegative(bad, map[string]int64{"insured_amount": i.InsuredAmount, "proceeds_amount": i.ProceedsAmount})
	return bad.err()
}

// Check brings names into their form, and judges what is sent where. Errors: *Invalid.
func (w *Webhook) Check() error {
	bad := &findings{noun: "webhook"}
	if why := hookURLProblem(w.URL); w.URL != "" && why != "" {
		bad.add("url", "%s", why)
	}
	for i, name := range w.NounNames {
		n, ok := NounOf(strings.ToLower(strings.TrimSpace(name)))
		switch {
		case !ok:
			bad.add("noun_names", "%q is no kind of record", abbreviate(name, 40))
		case n.Journal && n.Name != "notification":
			bad.add("noun_names", "a %s is written by the work of machines and is in no change log; only notifications are sent of those", n.Name)
		default:
			w.NounNames[i] = n.Name
		}
	}
	for i, action := range w.Actions {
		w.Actions[i] = strings.ToLower(strings.TrimSpace(action))
		if !slices.Contains([]string{"create", "update", "delete"}, w.Actions[i]) {
			bad.add("actions", "%q is not create, update or delete", abbreviate(action, 40))
		}
	}
	w.judgeConditions(bad)
	return bad.err()
}

// judgeConditions refuses a condition on a field that none of the webhook's nouns has: it would hold never, or always.
func (w *Webhook) judgeConditions(bad *findings) {
	list, err := ParseConditions(w.Conditions)
	if err != nil {
		bad.add("conditions", "%v", err)
		return
	}
	for _, c := range list {
		if !slices.ContainsFunc(Nouns, func(n *Noun) bool { return w.Wants(n.Name) && n.shows(c.Field) }) {
			bad.add("conditions", "no kind of record that is sent has a field %q", abbreviate(c.Field, 40))
		}
	}
}

func (n *Noun) shows(field string) bool {
	f, ok := n.Field(field)
	return ok && !f.Hidden && f.Kind != KindSecret
}

// Wants tells whether changes of a noun are sent, as far as its kind is concerned. Notifications are sent only to who names them.
func (w *Webhook) Wants(noun string) bool {
	if len(w.NounNames) == 0 {
		return noun != "notification"
	}
	return slices.Contains(w.NounNames, noun)
}

func hookURLProblem(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "is not an address such as https://hooks.example.org/berth"
	case u.User != nil:
		return "holds a name or password; the signature tells the receiver who sends"
	case u.Fragment != "":
		return "has a part behind #, which is never sent"
	}
	return ""
}

// Check fills in what is left empty.
func (n *Notification) Check() error {
	setDefault(&n.Severity, "warning")
	setDefault(&n.State, "open")
	return nil
}

// Check fills in the first state.
func (d *WebhookDelivery) Check() error {
	setDefault(&d.State, "pending")
	return nil
}

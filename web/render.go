package web

import (
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"berth/inventory"
	"berth/storage"
)

// funcs are what templates may do. All of them return text that html/template escapes, or template.HTML whose variable parts went
// through html(): what a machine says about itself is hostile wherever it is shown.
func (s *Server) funcs(p *pages) template.FuncMap {
	return template.FuncMap{
		"asset":     func(name string) string { return "/static/" + name + "?v=" + p.assets[name].hash },
		"path":      joinPath,
		"badge":     badge,
		"ago":       func(t any) template.HTML { return ago(t, s.now()) },
		"clock":     clock,
		"lasted":    func(from, to any) string { return lasted(from, to, s.now()) },
		"disksize":  diskSize,
		"memsize":   memorySize,
		"kilograms": kilograms,
		"worth":     worthText,
		"count":     count,
		"yesno":     yesNo,
		"money":     inventory.FormatMoney,
		"unknown":   orUnknown,
		"percent":   percent,
		"cell": func(n *inventory.Noun, f inventory.Field, obj inventory.Object, names map[inventory.UID]string) template.HTML {
			return cell(n, f, obj, names, s.now())
		},
		"listcell": func(n *inventory.Noun, f inventory.Field, obj inventory.Object, names map[inventory.UID]string) template.HTML {
			return listCell(n, f, obj, names, s.now())
		},
		"daysleft":     daysLeft,
		"pluralof":     pluralOf,
		"filledfields": filledFields,
		"emptyfields":  emptyFields,
		"lowertitle":   lowerTitle,
		"lowerplural":  lowerPlural,
		"nouns":        groupsFor,
		"nountitle":    pluralTitle,
		"short":        func(u inventory.UID) string { return u.Short() },
		"display":      func(n *inventory.Noun, obj inventory.Object) string { return n.Display(obj) },
		"objpath":      pageOf,
		"lower":        strings.ToLower,
		"title":        func(v any) string { return firstUpper(spaced.Replace(fmt.Sprint(v))) },
		"under":        func(at, section string) bool { return at == section || strings.HasPrefix(at, section+"/") },
		"dict":         dict,
		"live":         liveURL,
		"plural":       plural,
		"join":         strings.Join,
		"sub":          func(a, b int) int { return a - b },
		"cut":          truncate,
		"deref":        deref,
		"meta":         isMeta,
		"heading":      heading,
		"speed":        speed,
		"firstupper":   firstUpper,
		"powers":       func() []option { return powers },
		"bmckinds":     func() []option { return bmcKinds },
	}
}

// spaced turns names of steps and fields into words.
var spaced = strings.NewReplacer("_", " ", "-", " ")

// speed is that of a port, given in Mbit/s.
func speed(mbps int) string {
	switch {
	case mbps <= 0:
		return ""
	case mbps >= 1000:
		return trimZero(float64(mbps)/1000) + " Gbit/s"
	}
	return fmt.Sprintf("%d Mbit/s", mbps)
}

// heading is a column's title; the unit of a size is shown with each value.
func heading(f inventory.Field) string { return strings.TrimSuffix(f.Title, " bytes") }

// isMeta tells the fields that every object has.
func isMeta(f inventory.Field) bool {
	switch f.Name {
	case "uid", "revision", "created_at", "updated_at":
		return true
	}
	return false
}

// powers are what can be asked of a machine's power.
var powers = []option{{Value: "on", Text: "On"}, {Value: "soft", Text: "Shut down: ask the system"}, {Value: "off", Text: "Off, at once"},
	{Value: "cycle", Text: "Off and on again"}, {Value: "reset", Text: "Reset"}}

var bmcKinds = []option{{Value: "redfish", Text: "Redfish"}, {Value: "ipmi", Text: "IPMI"}, {Value: "wol", Text: "none, but it wakes on LAN"}, {Value: "none", Text: "none: a person presses the button"}}

// joinPath makes an address of parts; each part but the first is escaped, slashes too.
func joinPath(first string, parts ...any) string {
	for _, part := range parts {
		first += "/" + url.PathEscape(fmt.Sprint(part))
	}
	return first
}

// dict passes several values to a piece of a template.
func dict(pairs ...any) (map[string]any, error) {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		m[key] = pairs[i+1]
	}
	return m, nil
}

// liveURL is the stream that refreshes a page.
func liveURL(v view) string {
	if v.Live == "" || strings.HasPrefix(v.Live, "/") {
		return v.Live
	}
	return "/api/v1/watch?noun=" + url.QueryEscape(v.Live)
}

// colours of the badges: those that NetBox's users know, and alike for what is alike.
var colours = map[string]string{
	"planned": "cyan", "staged": "blue", "staging": "blue", "active": "green", "offline": "gray", "failed": "red", "decommissioning": "yellow",
	"reserved": "yellow", "available": "blue", "deprecated": "red",
	"unknown": "gray", "discovered": "cyan", "ready": "blue", "foreign": "purple", "deployed": "green", "quarantined": "red", "retired": "gray",
	"queued": "gray", "running": "blue", "waiting": "yellow", "done": "green", "cancelled": "gray", "pending": "gray", "skipped": "gray",
	"on": "green", "off": "gray", "ok": "green", "unreachable": "red", "refused": "red", "changed": "red",
	"importing": "blue", "missing": "red", "open": "yellow", "task": "blue", "resolved": "green", "take_observed": "green", "keep_intended": "green", "ignore": "gray",
	"expected": "cyan", "in_transit": "blue", "received": "blue", "storage": "gray", "installed": "green", "on_loan": "purple", "at_vendor": "purple", "gone": "gray",
	"new": "green", "used_good": "green", "degraded": "yellow", "damaged": "red", "for_parts": "gray",
	"warn": "yellow", "error": "red", "info": "gray", "admin": "purple", "operator": "blue", "viewer": "gray",
	"server": "green", "proxy": "blue", "listen": "gray", "agent": "cyan", "local": "green", "silent": "yellow",
	"draft": "gray", "packed": "cyan", "handed_over": "blue", "reconciled": "green", "closed": "gray", "lost": "red", "written_off": "gray",
	"listed": "gray", "sent": "blue", "verified": "green", "substituted": "red", "not_expected": "purple", "extra": "purple", "swapped": "red", "serial": "yellow", "gap": "red",
	"pre_transit": "cyan", "out_for_delivery": "blue", "available_for_pickup": "yellow", "delivered": "green", "return_to_sender": "red", "failure": "red",
	"create": "green", "update": "blue", "delete": "red", "enrol": "cyan",
	"urgent": "red", "warning": "yellow", "put_aside": "gray", "filed": "blue", "acknowledged": "cyan", "unresponsive": "red", "approved": "green", "partly_approved": "yellow", "rejected": "red", "paid": "green", "withdrawn": "gray", "stolen": "red", "destroyed": "red", "abandoned": "gray", "reversed": "purple", "waived": "gray", "missed": "red",
}

// badge is a word in its colour.
func badge(word any) template.HTML {
	text := fmt.Sprint(word)
	if text == "" {
		return ""
	}
	colour := colours[text]
	if colour == "" {
		colour = "gray"
	}
	return template.HTML(`<span class="badge ` + colour + `">` + html(strings.ReplaceAll(text, "_", " ")) + `</span>`)
}

func html(text string) string { return template.HTMLEscapeString(text) }

// instant reads a time out of what a template has; false is "never".
func instant(v any) (time.Time, bool) {
	switch t := v.(type) {
	case time.Time:
		return t, !t.IsZero()
	case *time.Time:
		if t != nil {
			return *t, !t.IsZero()
		}
	}
	return time.Time{}, false
}

// ago says how long ago a time was, with the exact one in the title.
func ago(v any, now time.Time) template.HTML {
	t, ok := instant(v)
	if !ok {
		return ""
	}
	exact := t.UTC().Format(time.RFC3339)
	return template.HTML(`<time datetime="` + exact + `" title="` + t.UTC().Format("2006-01-02 15:04:05") + ` UTC">` + relative(now.Sub(t)) + `</time>`)
}

func relative(d time.Duration) string {
	if d < 0 {
		return "in " + span(-d)
	}
	if d < 5*time.Second {
		return "just now"
	}
	return span(d) + " ago"
}

// span is a duration in its greatest unit.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func clock(v any) template.HTML {
	t, ok := instant(v)
	if !ok {
		return ""
	}
	return template.HTML(`<time datetime="` + t.UTC().Format(time.RFC3339) + `" data-clock title="` + t.UTC().Format("2006-01-02 15:04:05.000") + ` UTC">` + t.UTC().Format("15:04:05") + `</time>`)
}

// lasted is the time between two instants, the second being now while it is open.
func lasted(from, to any, now time.Time) string {
	a, ok := instant(from)
	if !ok {
		return ""
	}
	if b, ok := instant(to); ok {
		now = b
	}
	d := max(now.Sub(a), 0)
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// diskSize is in powers of ten, as it stands on the disk's label.
func diskSize(v any) string {
	n := toInt(v)
	if n <= 0 {
		return ""
	}
	return storage.FormatSize(n)
}

// memorySize takes MiB and says GiB, as memory is sold.
func memorySize(v any) string {
	mib := toInt(v)
	switch {
	case mib <= 0:
		return ""
	case mib < 1024:
		return fmt.Sprintf("%d MiB", mib)
	case mib >= 1024*1024:
		return trimZero(float64(mib)/1024/1024) + " TiB"
	}
	return trimZero(float64(mib)/1024) + " GiB"
}

func trimZero(f float64) string { return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) }

func toInt(v any) int64 {
	switch n := v.(type) {
	case int:
		return int64(n)
	case int64:
		return n
	case *int64:
		if n != nil {
			return *n
		}
	case *int:
		if n != nil {
			return int64(*n)
		}
	}
	return 0
}

// count writes a number with thin spaces between thousands.
func count(v any) string {
	text := strconv.FormatInt(toInt(v), 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + " " + text[i:]
	}
	return text
}

func yesNo(v any) string {
	switch b := v.(type) {
	case bool:
		return map[bool]string{true: "yes", false: "no"}[b]
	case *bool:
		if b != nil {
			return map[bool]string{true: "yes", false: "no"}[*b]
		}
	}
	return ""
}

// deref gives a template the number behind a pointer, or nothing for "not reported".
func deref(v any) any {
	switch p := v.(type) {
	case *int:
		if p != nil {
			return *p
		}
	case *int64:
		if p != nil {
			return *p
		}
	case *float64:
		if p != nil {
			return *p
		}
	case *bool:
		if p != nil {
			return *p
		}
	}
	return ""
}

// orUnknown says "unknown" where there is nothing: an absent fact is not a zero.
func orUnknown(v any) template.HTML {
	text := fmt.Sprint(v)
	if v == nil || text == "" || text == "0" || text == "<nil>" {
		return `<span class="none">unknown</span>`
	}
	return template.HTML(html(text))
}

func percent(done, total int64) int {
	if total <= 0 {
		return 0
	}
	return int(min(max(done, 0), total) * 100 / total)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func firstUpper(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// nothing stands in a cell that has no value.
const nothing = template.HTML(`<span class="none">–</span>`)

// cell draws the value of one field, as in a list or on an object's page.
func cell(n *inventory.Noun, f inventory.Field, obj inventory.Object, names map[inventory.UID]string, now time.Time) template.HTML {
	value := f.Value(obj)
	switch f.Kind {
	case inventory.KindRef:
		return reference(f.Ref, value.(inventory.UID), names)
	case inventory.KindTime:
		return orNothing(ago(value, now))
	case inventory.KindEnum:
		return orNothing(badge(value))
	case inventory.KindBool:
		return template.HTML(yesNo(value))
	case inventory.KindInt, inventory.KindFloat:
		if f.Money {
			return amount(n, f, obj)
		}
		return number(f, value)
	case inventory.KindList:
		return lines(value.([]string))
	case inventory.KindData:
		return data(value)
	}
	text := fmt.Sprint(value)
	if c, ok := obj.(*inventory.Change); ok && f.Name == "display" {
		return reference(c.Noun, c.Object, map[inventory.UID]string{c.Object: text})
	}
	if f.Name == n.Label() && text != "" {
		return template.HTML(`<a href="` + html(pageOf(n, obj)) + `">` + html(text) + `</a>`)
	}
	if text != "" && (f.Name == "digest" || f.Name == "tree_hash" || f.Name == "pin") {
		return template.HTML(`<span class="mono digest" title="` + html(text) + `">` + html(text) + `</span>`)
	}
	if f.Name == "object" || f.Name == "request" {
		text = inventory.UID(text).Short()
	}
	return orNothing(template.HTML(html(text)))
}

// Bounds of what a list shows of one value; the rest is on the object's page, and in the title.
const (
	listText    = 70 // characters
	listEntries = 3  // of a list
)

// listCell is a value in a list: one line, however long the value is.
func listCell(n *inventory.Noun, f inventory.Field, obj inventory.Object, names map[inventory.UID]string, now time.Time) template.HTML {
	switch value := f.Value(obj).(type) {
	case []string:
		if len(value) > listEntries {
			return template.HTML(html(truncate(strings.Join(value[:listEntries], ", "), listText)) + ` <span class="note">+` + strconv.Itoa(len(value)-listEntries) + `</span>`)
		}
		return orNothing(template.HTML(html(truncate(strings.Join(value, ", "), listText))))
	case map[string]string:
		return orNothing(template.HTML(html(truncate(strings.Join(strings.Fields(formText(n, f, obj)), " "), listText))))
	case string:
		if short := truncate(strings.Join(strings.Fields(value), " "), listText); f.Kind == inventory.KindText && short != value && f.Name != n.Label() {
			return template.HTML(`<span title="` + html(truncate(value, 1000)) + `">` + html(short) + `</span>`)
		}
	}
	if f.Kind == inventory.KindData {
		text, err := json.Marshal(f.Value(obj))
		if err != nil || string(text) == "null" {
			return nothing
		}
		return template.HTML(html(truncate(string(text), listText)))
	}
	return cell(n, f, obj, names, now)
}

func orNothing(h template.HTML) template.HTML {
	if h == "" {
		return nothing
	}
	return h
}

// reference links to the object that a field refers to.
func reference(noun string, uid inventory.UID, names map[inventory.UID]string) template.HTML {
	if uid == "" {
		return nothing
	}
	text := names[uid]
	if text == "" {
		text = uid.Short()
	}
	n, ok := inventory.NounOf(noun)
	if !ok {
		return template.HTML(html(text))
	}
	return template.HTML(`<a href="/` + n.Plural + `/` + url.PathEscape(string(uid)) + `">` + html(text) + `</a>`)
}

// isOpen tells whether a field was left open: there is nothing to show of it. A number that has a unit and is 0 was not given.
func isOpen(f inventory.Field, obj inventory.Object) bool {
	v := reflect.ValueOf(f.Value(obj))
	switch f.Kind {
	case inventory.KindBool:
		return false
	case inventory.KindInt, inventory.KindFloat:
		return v.IsZero() && (f.Unit != "" || f.Money || f.Nullable)
	case inventory.KindList, inventory.KindData:
		return v.IsZero() || (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
	case inventory.KindTime:
		_, ok := instant(f.Value(obj))
		return !ok
	}
	return v.IsZero()
}

// filledFields are those of an object's page that say something.
func filledFields(fields []inventory.Field, obj inventory.Object) []inventory.Field {
	return slices.DeleteFunc(slices.Clone(fields), func(f inventory.Field) bool { return isOpen(f, obj) })
}

// emptyFields names the others.
func emptyFields(fields []inventory.Field, obj inventory.Object) string {
	var names []string
	for _, f := range fields {
		if isOpen(f, obj) {
			names = append(names, withinSentence(heading(f)))
		}
	}
	return strings.Join(names, ", ")
}

// withinSentence is a title that stands within a sentence; capitals such as those of EORI stay.
func withinSentence(title string) string {
	if len(title) > 1 && title[1] >= 'A' && title[1] <= 'Z' {
		return title
	}
	return strings.ToLower(title[:1]) + title[1:]
}

// pluralOf is where the list of a noun is, by the name that a row has of it; what is no noun has no list.
func pluralOf(noun string) string {
	if n, ok := inventory.NounOf(noun); ok {
		return n.Plural
	}
	return "all"
}

// amount is money for people: "1,234.50 EUR". An amount of nothing in no currency was never given.
func amount(n *inventory.Noun, f inventory.Field, obj inventory.Object) template.HTML {
	minor, known := f.AmountOf(obj)
	currency := n.CurrencyOf(f, obj)
	if !known || minor == 0 && currency == "" {
		return nothing
	}
	return template.HTML(html(inventory.FormatMoney(minor, currency)))
}

func number(f inventory.Field, value any) template.HTML {
	switch p := value.(type) {
	case *float64:
		if p == nil {
			return nothing
		}
		value = *p
	case *int:
		if p == nil {
			return nothing
		}
		value = *p
	case *int64:
		if p == nil {
			return nothing
		}
		value = *p
	}
	switch {
	case f.Unit == "B" && strings.HasSuffix(f.Name, "bytes"):
		return orNothing(template.HTML(diskSize(value)))
	case f.Unit == "MiB":
		return orNothing(template.HTML(memorySize(value)))
	}
	text := html(fmt.Sprint(value))
	if f.Unit != "" {
		text += " " + html(f.Unit)
	}
	return template.HTML(text)
}

func lines(list []string) template.HTML {
	var b strings.Builder
	for i, text := range list {
		if i > 0 {
			b.WriteString("<br>")
		}
		b.WriteString(html(text))
	}
	return orNothing(template.HTML(b.String()))
}

func data(value any) template.HTML {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil || string(text) == "null" || len(text) == 0 {
		return nothing
	}
	return template.HTML(`<pre tabindex="0">` + html(string(text)) + "</pre>")
}

package carrier

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"

	"berth/inventory"
)

// Reading is what was understood of a pasted e-mail or text. It is shown to a person before anything of it is stored.
type Reading struct {
	Carrier string   `json:"carrier,omitempty"` // as people call it: "DHL Express"
	Codes   []string `json:"codes"`             // tracking codes, in the order in which they stand there
	// Events have no shipment; the first code is theirs, where the text names none beside them.
	Events []inventory.TrackingEvent `json:"events"`
	// Promised is the day on which the carrier says that it will deliver.
	Promised inventory.Date `json:"promised,omitempty"`
	// Notes say what was taken for granted.
	Notes []string `json:"notes,omitempty"`
}

// maxPasted is how much text is read, in bytes, and maxPastedLines how many lines of it.
const (
	maxPasted      = MaxBody
	maxPastedLines = 2000
)

// Read looks through a pasted text for the carrier, tracking codes, and what happened when; in English, German and French. now is when it
// was pasted: the time of what has no other. Errors: the text is too long.
func Read(pasted string, now time.Time) (*Reading, error) {
	if len(pasted) > maxPasted {
		return nil, fmt.Errorf("the text is longer than %d bytes; paste the part about the parcel", maxPasted)
	}
	body, sent := unwrap(pasted)
	lines := strings.Split(strings.ReplaceAll(body, "\r\n", "\n"), "\n")
	if len(lines) > maxPastedLines {
		return nil, fmt.Errorf("the text has more than %d lines; paste the part about the parcel", maxPastedLines)
	}
	r := &reader{now: now, sent: sent, language: languageOf(body)}
	r.out.Carrier = carrierOf(body)
	r.out.Codes = codesOf(body)
	if r.out.Carrier == "" && len(r.out.Codes) > 0 {
		r.out.Carrier = carrierByCode(r.out.Codes[0])
	}
	r.lines(lines)
	r.whole(body)
	r.finish(pasted)
	return &r.out, nil
}

type reader struct {
	now, sent time.Time
	language  string
	out       Reading
	noted     map[string]bool
}

func (r *reader) note(sentence string) {
	if r.noted == nil {
		r.noted = map[string]bool{}
	}
	if !r.noted[sentence] {
		r.noted[sentence] = true
		r.out.Notes = append(r.out.Notes, sentence)
	}
}

// lines reads each line that has a time and says what happened, as tables of tracking pages do. Where the words stand on the next line, as
// they do when such a table is copied, they count for it.
func (r *reader) lines(lines []string) {
	for n, line := range lines {
		at, hasTime, rest, ok := r.when(line)
		if !ok {
			continue
		}
		s, found := statusOf(rest)
		if !found && n+1 < len(lines) {
			if _, _, _, dated := r.when(lines[n+1]); !dated {
				rest = lines[n+1]
				s, found = statusOf(rest)
			}
		}
		switch {
		case !found:
		case s.promise:
			r.out.Promised = inventory.DateOf(at)
		default:
			r.add(at, hasTime, s.status, rest)
		}
	}
}

// whole takes the text as a whole where no line was an event: a letter that says that a parcel was delivered on Tuesday.
func (r *reader) whole(body string) {
	if len(r.out.Events) > 0 {
		return
	}
	s, found := statusOf(body)
	if !found || s.promise && r.out.Promised != "" {
		return
	}
	at, hasTime, _, ok := r.when(sentenceWith(body, s.phrase))
	if !ok {
		at, hasTime, ok = r.sent, true, !r.sent.IsZero()
		if ok {
			r.note("The text does not say when; the date of the e-mail was taken.")
		}
	}
	if !ok {
		at, hasTime = r.now, true
		r.note("The text does not say when; the moment at which it was pasted was taken.")
	}
	if s.promise {
		if !at.Equal(r.now) && !at.Equal(r.sent) {
			r.out.Promised = inventory.DateOf(at)
		}
		at, s.status = r.now, status{"in_transit", ""}
		if !r.sent.IsZero() {
			at = r.sent
		}
	}
	r.add(at, hasTime, s.status, sentenceWith(body, s.phrase))
}

func (r *reader) add(at time.Time, hasTime bool, s status, words string) {
	if len(r.out.Events) == maxEvents {
		return
	}
	if !hasTime {
		r.note("Where the text gives no time of day, noon was taken.")
	}
	r.note("Times are taken for UTC where the text names no zone.")
	words = cut(strings.Trim(words, " \t|·–-:,;"), 300)
	r.out.Events = append(r.out.Events, inventory.TrackingEvent{OccurredAt: at.UTC(), Status: s.status, StatusDetail: s.detail, Reason: reasonOf(s, words), Description: words, Source: "paste"})
}

// finish gives the events their code and order, and says what is missing.
func (r *reader) finish(pasted string) {
	slices.SortStableFunc(r.out.Events, func(a, b inventory.TrackingEvent) int { return a.OccurredAt.Compare(b.OccurredAt) })
	for i := range r.out.Events {
		if len(r.out.Codes) > 0 {
			r.out.Events[i].TrackingCode = r.out.Codes[0]
		}
		if r.out.Events[i].OccurredAt.After(r.now.Add(24 * time.Hour)) {
			r.note("Something is said to have happened in the future; look at the dates.")
		}
	}
	r.out.Events = dedupe(r.out.Events)
	if len(r.out.Events) > 0 {
		r.out.Events[0].Raw = strings.ToValidUTF8(pasted, "\uFFFD")
		if len(r.out.Codes) > 1 {
			r.note(fmt.Sprintf("The text names %d codes; the events were given to the first.", len(r.out.Codes)))
		}
	} else {
		r.note("Nothing was found that says what happened to the parcel.")
	}
}

// unwrap takes the text out of a pasted e-mail, with the time at which it was sent; any other text is left as it is.
func unwrap(pasted string) (body string, sent time.Time) {
	m, err := mail.ReadMessage(strings.NewReader(strings.TrimLeft(pasted, "\r\n ")))
	if err != nil || m.Header.Get("Subject") == "" && m.Header.Get("From") == "" {
		return pasted, time.Time{}
	}
	if at, err := m.Header.Date(); err == nil {
		sent = at.UTC()
	}
	text := partText(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body, 0)
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		subject = m.Header.Get("Subject")
	}
	return subject + "\n" + text, sent
}

// partText is the plain text of a message or of the first part of it that is one.
func partText(contentType, encoding string, body io.Reader, depth int) string {
	kind, params, err := mime.ParseMediaType(contentType)
	if err == nil && strings.HasPrefix(kind, "multipart/") && depth < 4 {
		parts := multipart.NewReader(body, params["boundary"])
		for range 20 {
			p, err := parts.NextRawPart()
			if err != nil {
				return ""
			}
			if text := partText(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p, depth+1); text != "" {
				return text
			}
		}
		return ""
	}
	if strings.EqualFold(encoding, "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, _ := io.ReadAll(io.LimitReader(body, maxPasted)) // what is broken in it ends it
	if kind == "text/html" {
		return tags.ReplaceAllString(strings.NewReplacer("<br>", "\n", "</p>", "\n", "</tr>", "\n", "</td>", " ", "&nbsp;", " ").Replace(string(text)), "")
	}
	return string(text)
}

var tags = regexp.MustCompile(`<[^>]{0,900}>`)

// sentenceWith is the line in which a phrase stands, with the next, where its date may be.
func sentenceWith(body, phrase string) string {
	i := strings.Index(strings.ToLower(body), phrase)
	if i < 0 || i > len(body) {
		return body
	}
	from := strings.LastIndexByte(body[:i], '\n') + 1
	to := len(body)
	if end := strings.IndexByte(body[i:], '\n'); end >= 0 {
		to = i + end
	}
	return body[from:to]
}

// carriers are the names by which carriers call themselves, the more special first.
var carriers = []struct{ part, name string }{
	{"dhl express", "DHL Express"}, {"mydhl", "DHL Express"}, {"deutsche post", "Deutsche Post"}, {"dhl paket", "DHL Paket"}, {"dhl", "DHL"}, {"fedex", "FedEx"}, {"united parcel service", "UPS"}, {"ups", "UPS"}, {"usps", "USPS"},
	{"dpd", "DPD"}, {"gls", "GLS"}, {"hermes", "Hermes"}, {"chronopost", "Chronopost"}, {"colissimo", "Colissimo"}, {"la poste", "La Poste"}, {"mondial relay", "Mondial Relay"}, {"royal mail", "Royal Mail"}, {"parcelforce", "Parcelforce"},
	{"postnl", "PostNL"}, {"bpost", "bpost"}, {"tnt", "TNT"}, {"schenker", "DB Schenker"}, {"dachser", "Dachser"}, {"kuehne", "Kuehne + Nagel"}, {"geis", "Geis"},
}

func carrierOf(body string) string {
	body = strings.ToLower(body)
	for _, c := range carriers {
		if i := strings.Index(body, c.part); i >= 0 && alone(body, i, i+len(c.part)) {
			return c.name
		}
	}
	return ""
}

// alone tells whether text[from:to] is no part of a longer word.
func alone(text string, from, to int) bool {
	letter := func(b byte) bool { return b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b >= 0x80 }
	return (from == 0 || !letter(text[from-1])) && (to == len(text) || !letter(text[to]))
}

// codeForms are tracking codes that are known by their own form, and codes that follow a word for them.
var (
	codeForms = []*regexp.Regexp{
		regexp.MustCompile(`\b1Z[0-9A-Z]{16}\b`),           // UPS
		regexp.MustCompile(`\bJ[JD][A-Z]{0,2}\d{10,20}\b`), // DHL
		regexp.MustCompile(`\b[A-Z]{2}\d{9}[A-Z]{2}\b`),    // posts (UPU S10)
		regexp.MustCompile(`\b003404\d{14}\b`),             // DHL Paket
		regexp.MustCompile(`\b9[2-5]\d{20}\b`),             // USPS
		regexp.MustCompile(`\b(?:6A|6C|8R|8L|7Q)\d{11}\b`), // Colissimo
	}
	namedCode = regexp.MustCompile(`(?i)(?:tracking|waybill|shipment|parcel|consignment|sendungs?|paket|fracht|envoi|colis|suivi|exp[ée]dition)[ -]?(?:n(?:umber|ummer|um[ée]ro|o|°|º|r)?\.?|code|id|verfolgung)?(?: (?:de|du) (?:suivi|colis|l'envoi))?\s*(?:is|lautet|ist|est)?\s*[:#]?\s*([A-Z]{0,4}\d[A-Z0-9 -]{5,38}[A-Z0-9])`)
)

// codesOf finds tracking codes.
func codesOf(body string) []string {
	var out []string
	add := func(code string) {
		code = inventory.NormalTracking(code)
		if !slices.Contains(out, code) && len(out) < 50 {
			out = append(out, code)
		}
	}
	upper := strings.ToUpper(body)
	for _, form := range codeForms {
		for _, code := range form.FindAllString(upper, 50) {
			if len(code) != 13 || !upuForm.MatchString(code) || upuCheck(code) {
				add(code)
			}
		}
	}
	for _, m := range namedCode.FindAllStringSubmatch(body, 50) {
		if code := codeOf(m[1]); code != "" {
			add(code)
		}
	}
	return out
}

var upuForm = regexp.MustCompile(`^[A-Z]{2}\d{9}[A-Z]{2}$`)

// upuCheck holds the check digit of a post's number (UPU S10): it tells a code from any word of that form.
func upuCheck(code string) bool {
	sum := 0
	for i, weight := range []int{8, 6, 4, 2, 3, 5, 9, 7} {
		sum += int(code[2+i]-'0') * weight
	}
	check := 11 - sum%11
	switch check {
	case 10:
		check = 0
	case 11:
		check = 5
	}
	return int(code[10]-'0') == check
}

// codeOf takes the code out of what follows a word for it: groups of capitals and digits, up to the first that is a word.
func codeOf(text string) string {
	var b strings.Builder
	digits := 0
	for group := range strings.FieldsSeq(text) {
		own := strings.Count(group, "") - 1 - len(strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return -1
			}
			return r
		}, group))
		if own == 0 && b.Len() > 0 || strings.ToUpper(group) != group {
			break
		}
		digits += own
		b.WriteString(group)
	}
	if code := inventory.NormalTracking(b.String()); len(code) >= 8 && digits >= 6 {
		return code
	}
	return ""
}

func carrierByCode(code string) string {
	switch {
	case strings.HasPrefix(code, "1Z"):
		return "UPS"
	case strings.HasPrefix(code, "JD"), strings.HasPrefix(code, "JJD"):
		return "DHL"
	case strings.HasPrefix(code, "003404"):
		return "DHL Paket"
	}
	return ""
}

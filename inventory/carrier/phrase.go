package carrier

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// said is what a phrase means. promise: it speaks of what will be, not of what was.
type said struct {
	status  status
	promise bool
	phrase  string
}

// phrases are how carriers say what happened, in lower case, the more special before the more general: "could not be delivered" before
// "delivered". English, German, French.
var phrases = []struct {
	status  status
	promise bool
	list    []string
}{
	{status{"failure", "lost"}, false, []string{"has been lost", "was lost", "is lost", "declared lost", "missing in our network", "verloren gegangen", "als verloren", "in verlust geraten", "a été perdu", "est perdu", "perte du colis"}},
	{status{"failure", "damaged"}, false, []string{"damaged", "beschädigt", "endommagé"}},
	{status{"return_to_sender", ""}, false, []string{"return to sender", "returned to sender", "returned to the sender", "being returned", "returning to shipper", "returned to shipper", "an den absender zurück", "zurück an den absender", "rücksendung", "zurückgesandt", "retour à l'expéditeur", "retourné à l'expéditeur", "renvoyé à l'expéditeur"}},
	{status{"in_transit", "attempt_failed"}, false, []string{"could not be delivered", "couldn't be delivered", "unable to deliver", "delivery attempt", "attempted delivery", "delivery attempted", "missed you", "not be delivered", "konnte nicht zugestellt", "nicht zugestellt werden", "zustellversuch", "nicht angetroffen", "n'a pas pu être livré", "n'a pu être livré", "tentative de livraison", "destinataire absent"}},
	{status{"available_for_pickup", ""}, false, []string{"ready for collection", "ready for pickup", "ready for pick-up", "ready to collect", "available for pickup", "available for pick-up", "available for collection", "zur abholung bereit", "abholbereit", "liegt in der filiale", "kann abgeholt werden", "disponible en point", "à retirer", "prêt à être retiré", "disponible au retrait"}},
	{status{"out_for_delivery", ""}, false, []string{"out for delivery", "with delivery courier", "with the courier", "with the delivery driver", "on vehicle for delivery", "in zustellung", "in das zustellfahrzeug", "zustellfahrzeug geladen", "auf dem weg zu ihnen", "en cours de livraison", "en livraison", "mis en livraison", "pris en charge par le livreur"}},
	{status{"in_transit", ""}, true, []string{"will be delivered", "estimated delivery", "expected delivery", "scheduled delivery", "delivery expected", "to be delivered", "arriving on", "wird zugestellt", "wird voraussichtlich", "voraussichtliche zustellung", "voraussichtlich zugestellt", "geplante zustellung", "zustellung geplant", "lieferung voraussichtlich", "sera livré", "livraison prévue", "livraison estimée", "date de livraison prévue"}},
	{status{"in_transit", "customs"}, false, []string{"clearance event", "customs", "zollabfertigung", "verzollung", "beim zoll", "zoll", "dédouanement", "douane"}},
	{status{"in_transit", "on_hold"}, false, []string{"on hold", "held at", "shipment held", "angehalten", "zurückgehalten", "en attente", "bloqué"}},
	{status{"in_transit", "delayed"}, false, []string{"delayed", "delay in", "verspätet", "verzögert", "verzögerung", "retardé", "en retard"}},
	{status{"delivered", ""}, false, []string{"delivered", "signed for by", "zugestellt", "ausgeliefert", "übergeben an", "empfänger übergeben", "livré", "remis au destinataire", "distribué"}},
	{status{"cancelled", ""}, false, []string{"shipment cancelled", "shipment canceled", "label voided", "storniert", "envoi annulé", "expédition annulée"}},
	{status{"in_transit", "picked_up"}, false, []string{"picked up", "collected", "pickup scan", "abgeholt", "collecté", "pris en charge", "enlevé", "enlèvement effectué"}},
	{status{"pre_transit", ""}, false, []string{"label created", "shipment information received", "shipment information sent", "information received", "pre-shipment", "order processed", "awaiting item", "elektronisch angekündigt", "angekündigt", "auftragsdaten", "sendungsdaten", "étiquette créée", "va être prochainement expédié", "annoncé", "informations reçues"}},
	{status{"in_transit", ""}, false, []string{"in transit", "departed", "arrived at", "arrival scan", "departure scan", "processed at", "processed through", "accepted at", "sorted", "left facility", "left the", "unterwegs", "bearbeitet", "eingetroffen", "angekommen", "weitergeleitet", "verlassen", "eingeliefert", "start-paketzentrum", "ziel-paketzentrum", "region des empfängers", "en transit", "en cours d'acheminement", "acheminement", "arrivé", "parti ", "traité", "trié", "transféré"}},
}

// statusOf finds what a text says happened. Of several phrases the more special one counts.
func statusOf(text string) (said, bool) {
	lower := strings.ToLower(text)
	for _, p := range phrases {
		for _, phrase := range p.list {
			if strings.Contains(lower, phrase) {
				return said{p.status, p.promise, phrase}, true
			}
		}
	}
	return said{}, false
}

// languageOf tells which of three languages a text is in, by its small words; it decides how 03/04/2026 is read.
func languageOf(body string) string {
	body = " " + strings.ToLower(body) + " "
	best, most := "en", 0
	for _, l := range []struct {
		name  string
		words []string
	}{{"en", []string{" the ", " your ", " has ", " was ", " at "}}, {"de", []string{" die ", " der ", " ihre ", " wurde ", " ist ", " uhr "}}, {"fr", []string{" le ", " votre ", " a été ", " est ", " du ", " en "}}} {
		n := 0
		for _, w := range l.words {
			n += strings.Count(body, w)
		}
		if n > most {
			best, most = l.name, n
		}
	}
	return best
}

// months by the first letters of their names in the three languages.
var months = map[string]time.Month{
	"jan": 1, "feb": 2, "fév": 2, "fev": 2, "mar": 3, "mär": 3, "mrz": 3, "apr": 4, "avr": 4, "may": 5, "mai": 5, "jun": 6, "juin": 6, "jul": 7, "juil": 7, "aug": 8, "aoû": 8, "aou": 8, "sep": 9, "oct": 10, "okt": 10, "nov": 11, "dec": 12, "dez": 12, "déc": 12,
}

func monthOf(word string) time.Month {
	word = strings.ToLower(word)
	for _, n := range []int{4, 3} {
		if runes := []rune(word); len(runes) >= n {
			if m := months[string(runes[:n])]; m != 0 {
				return m
			}
		}
	}
	return 0
}

var (
	isoDate    = regexp.MustCompile(`\b(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?\s?(Z|[+-]\d{2}:?\d{2})?)?`)
	dottedDate = regexp.MustCompile(`\b(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4}|\d{2})\b`)
	slashDate  = regexp.MustCompile(`\b(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})\b`)
	dayMonth   = regexp.MustCompile(`(?i)\b(\d{1,2})(?:\.|st|nd|rd|th|er)?[ -](?:de )?([a-zäéû]{3,9})\.?,?[ -](\d{4})\b`)
	monthDay   = regexp.MustCompile(`(?i)\b([a-z]{3,9})\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})\b`)
	clockTime  = regexp.MustCompile(`(?i)\b(\d{1,2})(?::|\s?h\s?|\.)(\d{2})(?::(\d{2}))?(?:\s?([ap])\.?\s?m\b\.?)?`)
)

// when finds the first date of a line, with the time of day beside it if there is one (else noon), and what is left of the line.
func (r *reader) when(line string) (at time.Time, hasTime bool, rest string, ok bool) {
	if len(line) > 2000 {
		line = line[:2000]
	}
	if m := isoDate.FindStringSubmatchIndex(line); m != nil {
		if at, hasTime, ok := isoInstant(isoDate.FindStringSubmatch(line)); ok {
			rest := line[:m[0]] + " " + line[m[1]:]
			if !hasTime {
				return r.clock(at, rest)
			}
			return at, true, rest, true
		}
	}
	for _, form := range []*regexp.Regexp{dottedDate, slashDate, dayMonth, monthDay} {
		m := form.FindStringSubmatchIndex(line)
		if m == nil {
			continue
		}
		if day, ok := r.day(form, form.FindStringSubmatch(line)); ok {
			return r.clock(day, line[:m[0]]+" "+line[m[1]:])
		}
	}
	return time.Time{}, false, line, false
}

func isoInstant(m []string) (time.Time, bool, bool) {
	n := func(i int) int { v, _ := strconv.Atoi(m[i]); return v } // digits only, by its form
	zone := time.UTC
	if z := strings.ReplaceAll(m[7], ":", ""); len(z) == 5 {
		minutes := (int(z[1]-'0')*10+int(z[2]-'0'))*60 + int(z[3]-'0')*10 + int(z[4]-'0')
		if z[0] == '-' {
			minutes = -minutes
		}
		zone = time.FixedZone("", minutes*60)
	}
	day, ok := civil(n(1), n(2), n(3))
	if !ok || n(4) > 23 || n(5) > 59 || n(6) > 59 {
		return time.Time{}, false, false
	}
	return time.Date(day.Year(), day.Month(), day.Day(), n(4), n(5), n(6), 0, zone), m[4] != "", true
}

// civil is a day that there is.
func civil(year, month, day int) (time.Time, bool) {
	if year < 100 {
		year += 2000
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return t, year >= 1990 && year <= 2200 && int(t.Month()) == month && t.Day() == day
}

func (r *reader) day(form *regexp.Regexp, m []string) (time.Time, bool) {
	n := func(i int) int { v, _ := strconv.Atoi(m[i]); return v } // digits only, by its form
	switch form {
	case dottedDate:
		return civil(n(3), n(2), n(1))
	case slashDate:
		return r.slashed(n(1), n(2), n(3))
	case dayMonth:
		return civil(n(3), int(monthOf(m[2])), n(1))
	}
	return civil(n(3), int(monthOf(m[1])), n(2))
}

// slashed reads 03/04/2026: the day comes first, but in English of America. Where both would do, it is said what was taken.
func (r *reader) slashed(a, b, year int) (time.Time, bool) {
	dayFirst := r.language != "en"
	switch {
	case a > 12:
		dayFirst = true
	case b > 12:
		dayFirst = false
	case r.language == "en" && a != b:
		r.note("Dates such as 03/04/2026 were read as month/day, as in America.")
	}
	if dayFirst {
		return civil(year, b, a)
	}
	return civil(year, a, b)
}

// clock finds the time of day in what is left of a line.
func (r *reader) clock(day time.Time, rest string) (time.Time, bool, string, bool) {
	m := clockTime.FindStringSubmatchIndex(rest)
	if m == nil {
		return day.Add(12 * time.Hour), false, rest, true
	}
	words := clockTime.FindStringSubmatch(rest)
	hour, _ := strconv.Atoi(words[1])
	minute, _ := strconv.Atoi(words[2])
	second, _ := strconv.Atoi(words[3])
	switch half := strings.ToLower(words[4]); {
	case half == "p" && hour < 12:
		hour += 12
	case half == "a" && hour == 12:
		hour = 0
	}
	if hour > 23 || minute > 59 || second > 59 {
		return day.Add(12 * time.Hour), false, rest, true
	}
	at := day.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second)
	return at, true, clockWords.ReplaceAllString(rest[:m[0]]+" "+rest[m[1]:], " "), true
}

var clockWords = regexp.MustCompile(`(?i)\s(?:uhr|um|at|à|le|on|am|,)\s`)

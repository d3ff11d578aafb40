package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"berth/inventory"
)

// parse reads a text as the kind of a field and returns it as the field's Go type. References and amounts are not read here.
func parse(noun *inventory.Noun, f inventory.Field, text string, opt Options) (any, error) {
	typ := goType(noun, f)
	switch f.Kind {
	case inventory.KindText, inventory.KindRef:
		return convert(typ, text), nil
	case inventory.KindEnum:
		return parseEnum(typ, f, text)
	case inventory.KindInt:
		n, err := parseInt(text)
		return pointed(typ, n), err
	case inventory.KindFloat:
		x, err := parseFloat(text)
		return pointed(typ, x), err
	case inventory.KindBool:
		b, err := parseBool(text)
		return pointed(typ, b), err
	case inventory.KindDate:
		return parseDate(text, opt.Dates)
	case inventory.KindTime:
		t, err := parseTime(text, opt.Dates)
		return pointed(typ, t), err
	case inventory.KindSecret:
		return inventory.PlainSecret(text), nil
	case inventory.KindList:
		return splitList(text), nil
	}
	return parseData(typ, text)
}

// goType is the Go type of a field.
func goType(n *inventory.Noun, f inventory.Field) reflect.Type {
	return reflect.TypeOf(f.Pointer(n.New())).Elem()
}

// convert gives a value a named type of its kind.
func convert(typ reflect.Type, v any) any { return reflect.ValueOf(v).Convert(typ).Interface() }

// pointed turns a value into the type of a field, which may be a pointer.
func pointed(typ reflect.Type, v any) any {
	if typ.Kind() != reflect.Pointer {
		return convert(typ, v)
	}
	p := reflect.New(typ.Elem())
	p.Elem().Set(reflect.ValueOf(v).Convert(typ.Elem()))
	return p.Interface()
}

func parseEnum(typ reflect.Type, f inventory.Field, text string) (any, error) {
	want := normal(text)
	for _, v := range f.Values {
		if v != "" && normal(v) == want {
			return convert(typ, v), nil
		}
	}
	var words []string
	for _, v := range f.Values {
		if v != "" {
			words = append(words, v)
		}
	}
	return nil, fmt.Errorf("is none of %s", strings.Join(words, ", "))
}

// unitTail is a unit behind a number: "42 U", "750W".
var unitTail = regexp.MustCompile(`^([-+]?[0-9][0-9., ]*)\s*[A-Za-z%"″]{0,10}$`)

func parseFloat(text string) (float64, error) {
	m := unitTail.FindStringSubmatch(text)
	if m == nil {
		return 0, errors.New("is not a number")
	}
	digits := strings.TrimSpace(m[1])
	if strings.Count(digits, ",") == 1 && !strings.Contains(digits, ".") {
		digits = strings.Replace(digits, ",", ".", 1)
	}
	x, err := strconv.ParseFloat(strings.ReplaceAll(digits, " ", ""), 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return 0, errors.New("is not a number")
	}
	return x, nil
}

func parseInt(text string) (int64, error) {
	m := unitTail.FindStringSubmatch(text)
	if m == nil {
		return 0, errors.New("is not a whole number")
	}
	digits := strings.ReplaceAll(strings.TrimSpace(m[1]), " ", "")
	whole, decimals, _ := strings.Cut(digits, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || strings.Trim(decimals, "0") != "" {
		return 0, errors.New("is not a whole number")
	}
	return n, nil
}

var truths = map[string]bool{"true": true, "yes": true, "y": true, "1": true, "on": true, "t": true, "x": true, "ja": true, "oui": true, "✔": true, "✓": true,
	"false": false, "no": false, "n": false, "0": false, "off": false, "f": false, "nein": false, "non": false, "✘": false, "✗": false}

func parseBool(text string) (bool, error) {
	if b, ok := truths[strings.ToLower(text)]; ok {
		return b, nil
	}
	return false, errors.New("is neither true nor false")
}

var (
	isoDate   = regexp.MustCompile(`^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})$`)
	otherDate = regexp.MustCompile(`^(\d{1,2})([-/.])(\d{1,2})[-/.](\d{4})$`)
	named     = []string{"2 Jan 2006", "02 January 2006", "Jan 2, 2006", "January 2, 2006", "Jan. 2, 2006", "2-Jan-2006", "Mon Jan 2, 2006", "Mon, 2 Jan 2006"}
)

// parseDate reads a civil date. "03/04/2024" is two dates: order, "dmy" or "mdy", says which; without it, such a text is an error.
func parseDate(text, order string) (inventory.Date, error) {
	day, _, _ := strings.Cut(text, "T")
	if fields := strings.Fields(day); len(fields) == 2 && strings.Contains(fields[1], ":") {
		day = fields[0]
	}
	if m := isoDate.FindStringSubmatch(day); m != nil {
		return dateOf(m[1], m[2], m[3])
	}
	if m := otherDate.FindStringSubmatch(day); m != nil {
		a, b := atoi(m[1]), atoi(m[3])
		switch {
		case m[2] == "." || order == "dmy" || a > 12:
			return dateOf(m[4], m[3], m[1])
		case order == "mdy" || b > 12:
			return dateOf(m[4], m[1], m[3])
		case a == b:
			return dateOf(m[4], m[1], m[3])
		}
		return "", errors.New("may be one of two days: say in which order dates are written (dates=dmy or dates=mdy)")
	}
	for _, form := range named {
		if t, err := time.Parse(form, text); err == nil {
			return inventory.DateOf(t), nil
		}
	}
	return "", errors.New("is not a date such as 2026-11-22")
}

func atoi(s string) int { n, _ := strconv.Atoi(s); return n } // of digits only

func dateOf(year, month, day string) (inventory.Date, error) {
	return inventory.ParseDate(fmt.Sprintf("%04d-%02d-%02d", atoi(year), atoi(month), atoi(day)))
}

// parseTime reads an instant; a day alone is its first instant in UTC.
func parseTime(text, order string) (time.Time, error) {
	for _, form := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999-07:00", "2006-01-02 15:04:05.999999", "2006-01-02 15:04", "2006-01-02T15:04:05"} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), nil
		}
	}
	day, err := parseDate(text, order)
	if err != nil {
		return time.Time{}, errors.New(strings.Replace(err.Error(), "a date such as 2026-11-22", "a time such as 2026-11-22T10:00:00Z", 1))
	}
	return day.Time(), nil
}

// splitList reads a list: one entry per line, or separated by semicolons or, where there are none, by commas. JSON is a list too.
func splitList(text string) []string {
	var list []string
	if strings.HasPrefix(text, "[") && json.Unmarshal([]byte(text), &list) == nil {
		return list
	}
	separator := ","
	for _, s := range []string{"\n", ";"} {
		if strings.Contains(text, s) {
			separator = s
			break
		}
	}
	list = []string{}
	for part := range strings.SplitSeq(text, separator) {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// parseData reads a composite as JSON, as the API has it; a map also as "key=value; key=value".
func parseData(typ reflect.Type, text string) (any, error) {
	p := reflect.New(typ)
	if json.Unmarshal([]byte(text), p.Interface()) == nil {
		return p.Elem().Interface(), nil
	}
	if typ != reflect.TypeFor[map[string]string]() {
		return nil, errors.New("is not JSON of the shape this field has")
	}
	m := map[string]string{}
	for _, part := range splitList(text) {
		key, v, ok := strings.Cut(part, "=")
		if !ok {
			return nil, errors.New("is neither JSON nor a list such as cores=16; threads=32")
		}
		m[strings.TrimSpace(key)] = strings.TrimSpace(v)
	}
	return m, nil
}

// Weights and lengths come in the units that NetBox allows, and are kept in grams and millimetres.
var (
	grams       = map[string]float64{"": 1000, "kg": 1000, "g": 1, "lb": 453.59237, "lbs": 453.59237, "oz": 28.349523125, "kilogram": 1000, "kilograms": 1000, "gram": 1, "grams": 1, "pound": 453.59237, "pounds": 453.59237, "ounce": 28.349523125, "ounces": 28.349523125}
	millimetres = map[string]float64{"km": 1e6, "m": 1000, "cm": 10, "mm": 1, "mi": 1609344, "ft": 304.8, "in": 25.4, "kilometers": 1e6, "meters": 1000, "centimeters": 10, "millimeters": 1, "miles": 1609344, "feet": 304.8, "inches": 25.4}
)

// measure turns a number and the unit beside it into whole base units.
func measure(number, unit string, units map[string]float64) (int64, error) {
	if number == "" {
		return 0, nil
	}
	x, err := parseFloat(number)
	if err != nil {
		return 0, err
	}
	factor, ok := units[normal(unit)]
	if !ok {
		return 0, fmt.Errorf("has the unit %q, which is not known", shorten(unit))
	}
	if x = math.Round(x * factor); x < 0 || x > 1e15 {
		return 0, errors.New("is out of range")
	}
	return int64(x), nil
}

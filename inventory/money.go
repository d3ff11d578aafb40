package inventory

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Money is kept as whole minor units (cents, fils, yen) beside the ISO 4217 code of its currency; it is never a float, and never without
// its code where people see it.

// maxMinor bounds an amount to ten trillion of a currency with cents, so that sums over many of them stay within 64 bits.
const maxMinor = 1_000_000_000_000_000

// minorDigits are the currencies whose minor unit is not a hundredth (ISO 4217, list one, of 2024). All others have two decimals.
var minorDigits = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0,
	"VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
	"CLF": 4, "UYW": 4,
}

// MinorDigits is how many decimals an amount of the currency has: 2 for EUR, 0 for JPY, 3 for KWD, and 2 for a code that is not known.
func MinorDigits(currency string) int {
	if n, ok := minorDigits[currency]; ok {
		return n
	}
	return 2
}

// ValidCurrency tells whether code has the form of an ISO 4217 code, three capitals. Which codes there are changes every year and is
// not asked.
func ValidCurrency(code string) bool {
	return len(code) == 3 && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// FormatMoney writes an amount for people: "1,234.50 EUR", "-12 JPY". Without a currency it is read as hundredths and has no code.
func FormatMoney(minor int64, currency string) string {
	text := FormatAmount(minor, currency)
	sign, digits := "", text
	if strings.HasPrefix(text, "-") {
		sign, digits = "-", text[1:]
	}
	whole, decimals, has := strings.Cut(digits, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if has {
		whole += "." + decimals
	}
	return strings.TrimSpace(sign + whole + " " + currency)
}

// FormatAmount writes an amount for programs and forms: "1234.50", without code and thousands, as ParseMoney reads it.
func FormatAmount(minor int64, currency string) string {
	digits := MinorDigits(currency)
	sign, value := "", uint64(minor)
	if minor < 0 {
		sign, value = "-", -uint64(minor)
	}
	text := strconv.FormatUint(value, 10)
	if digits == 0 {
		return sign + text
	}
	if len(text) <= digits {
		text = strings.Repeat("0", digits-len(text)+1) + text
	}
	return sign + text[:len(text)-digits] + "." + text[len(text)-digits:]
}

// ParseMoney reads an amount as people write it, in the currency's units: "1234.5", "1,234.50", "1 234.50", "EUR 1,234.50". It never
// guesses: a decimal comma ("12,50"), more decimals than the currency has, or the code of another currency is an error. The empty text is 0.
func ParseMoney(text, currency string) (int64, error) {
	shown := abbreviate(text, 40)
	number, err := bareAmount(text, currency)
	if err != nil || number == "" {
		return 0, err
	}
	negative := strings.HasPrefix(number, "-")
	whole, decimals, dotted := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(number, "-"), "+"), ".")
	digits := MinorDigits(currency)
	whole, grouped := ungroup(whole)
	switch {
	case !grouped || !allDigits(whole) || dotted && (decimals == "" || !allDigits(decimals)):
		return 0, fmt.Errorf("%q is not an amount such as %s", shown, FormatMoney(123456, currency))
	case len(decimals) > digits && strings.Trim(decimals[digits:], "0") != "":
		return 0, fmt.Errorf("%q has more decimals than %s has (%d)", shown, orTheCurrency(currency), digits)
	}
	decimals = (decimals + strings.Repeat("0", digits))[:digits]
	minor, err := strconv.ParseInt(whole+decimals, 10, 64)
	if err != nil || minor > maxMinor {
		return 0, fmt.Errorf("%q is too large", shown)
	}
	if negative {
		minor = -minor
	}
	return minor, nil
}

func orTheCurrency(code string) string {
	if code == "" {
		return "the currency"
	}
	return code
}

// bareAmount takes the currency's code from an end of the text; another code is an error.
func bareAmount(text, currency string) (string, error) {
	text = strings.TrimSpace(text)
	for _, code := range []string{text[:min(3, len(text))], text[max(0, len(text)-3):]} {
		upper := strings.ToUpper(code)
		if !ValidCurrency(upper) {
			continue
		}
		if upper != currency && currency != "" {
			return "", fmt.Errorf("%q is in %s, not in %s", abbreviate(text, 40), upper, currency)
		}
		return strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(text, code), code)), nil
	}
	return text, nil
}

// ungroup takes the marks of thousands out of a whole number: commas, blanks or apostrophes, each before three digits.
func ungroup(whole string) (string, bool) {
	parts := strings.FieldsFunc(whole, func(r rune) bool {
		return slices.Contains([]rune{',', ' ', '\'', '’', '\u00a0', '\u2009', '\u202f'}, r)
	})
	if len(parts) == 0 {
		return "", false
	}
	for i, part := range parts {
		if i > 0 && len(part) != 3 || i == 0 && len(parts) > 1 && len(part) > 3 {
			return "", false
		}
	}
	return strings.Join(parts, ""), true
}

func allDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// CurrencyOf is the code of the currency that money field f of obj is in; "" when it is not known.
func (n *Noun) CurrencyOf(f Field, obj Object) string {
	if code, ok := n.Field(f.Currency); ok {
		return fmt.Sprint(code.Value(obj))
	}
	return ""
}

// AmountOf is the value of money field f of obj; known is false where it was left open.
func (f Field) AmountOf(obj Object) (minor int64, known bool) {
	switch v := f.Value(obj).(type) {
	case int64:
		return v, true
	case *int64:
		if v != nil {
			return *v, true
		}
	}
	return 0, false
}

// MoneyFields are the fields of n that only those see who may see money: its amounts.
func (n *Noun) MoneyFields() []Field {
	var out []Field
	for _, f := range n.Fields {
		if f.Money {
			out = append(out, f)
		}
	}
	return out
}

// HideMoney empties the amounts of obj, for a reader without the right to see them.
func (n *Noun) HideMoney(obj Object) {
	for _, f := range n.Fields {
		if f.Money {
			f.of(obj).SetZero()
		}
	}
}

// judgeMoney holds amounts against their bounds, and the codes beside them against their form.
func (n *Noun) judgeMoney(obj Object, bad *findings) {
	for _, f := range n.Fields {
		if !f.Money {
			continue
		}
		if minor, _ := f.AmountOf(obj); minor > maxMinor || minor < -maxMinor || minor == math.MinInt64 {
			bad.add(f.Name, "is too large")
		}
		code, ok := n.Field(f.Currency)
		if !ok || code.Kind != KindText {
			continue
		}
		v := code.of(obj)
		v.SetString(strings.ToUpper(v.String()))
		if s := v.String(); s != "" && !ValidCurrency(s) {
			bad.add(code.Name, "is not a currency code such as EUR")
		}
	}
}

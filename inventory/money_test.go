package inventory

import (
	"math"
	"testing"
)

func TestParseMoney(t *testing.T) {
	for _, c := range []struct {
		text, currency string
		want           int64
		bad            bool
	}{
		{"", "EUR", 0, false}, {"0", "EUR", 0, false}, {"1234.56", "EUR", 123456, false}, {"1,234.56", "EUR", 123456, false}, {"1 234.5", "EUR", 123450, false},
		{"12'345'678.90", "CHF", 1234567890, false}, {"-3.5", "EUR", -350, false}, {"+3", "EUR", 300, false}, {"1000", "JPY", 1000, false}, {"1,000", "JPY", 1000, false},
		{"1.234", "KWD", 1234, false}, {"1.2", "KWD", 1200, false}, {"1.0000", "UYW", 10000, false}, {"EUR 7", "EUR", 700, false}, {"7.10 eur", "EUR", 710, false}, {"7 EUR", "", 700, false},
		{"1.500", "EUR", 150, false}, {"1000000.00 EUR", "EUR", 100000000, false},
		{"12,50", "EUR", 0, true}, {"1.234,56", "EUR", 0, true}, {"1.005", "EUR", 0, true}, {"1.5", "JPY", 0, true}, {"7 USD", "EUR", 0, true}, {"1,2345", "EUR", 0, true},
		{"1234,567", "EUR", 0, true}, {"abc", "EUR", 0, true}, {".", "EUR", 0, true}, {"-", "EUR", 0, true}, {"--1", "EUR", 0, true}, {"1e9", "EUR", 0, true}, {".5", "EUR", 0, true}, {"5.", "EUR", 0, true},
		{"99999999999999999999", "EUR", 0, true}, {"100000000000000", "EUR", 0, true}, {"€5", "EUR", 0, true}, {"=1+1", "EUR", 0, true}, {"٣", "EUR", 0, true},
	} {
		got, err := ParseMoney(c.text, c.currency)
		if (err != nil) != c.bad || got != c.want {
			t.Errorf("ParseMoney(%q, %q) = %d, %v; want %d, refused %t", c.text, c.currency, got, err, c.want, c.bad)
		}
	}
}

func TestFormatMoney(t *testing.T) {
	for _, c := range []struct {
		minor    int64
		currency string
		want     string
	}{
		{0, "EUR", "0.00 EUR"}, {5, "EUR", "0.05 EUR"}, {-5, "EUR", "-0.05 EUR"}, {123456, "EUR", "1,234.56 EUR"}, {100000000, "USD", "1,000,000.00 USD"},
		{-123456, "JPY", "-123,456 JPY"}, {1234, "KWD", "1.234 KWD"}, {12, "CLF", "0.0012 CLF"}, {123456, "", "1,234.56"}, {math.MinInt64, "JPY", "-9,223,372,036,854,775,808 JPY"},
	} {
		if got := FormatMoney(c.minor, c.currency); got != c.want {
			t.Errorf("FormatMoney(%d, %q) = %q, want %q", c.minor, c.currency, got, c.want)
		}
	}
}

// Whatever is read comes out the same when it is written and read again, in either form.
func FuzzParseMoney(f *testing.F) {
	for _, text := range []string{"1,234.56", "-0.5", "EUR 7", "12,50", "1 234", "\u00a01", "EUREUR", "E"} {
		f.Add(text, "EUR")
		f.Add(text, "JPY")
		f.Add(text, "")
	}
	f.Fuzz(func(t *testing.T, text, currency string) {
		if currency != "" && !ValidCurrency(currency) {
			return
		}
		minor, err := ParseMoney(text, currency)
		if err != nil {
			return
		}
		for _, form := range []string{FormatMoney(minor, currency), FormatAmount(minor, currency)} {
			if again, err := ParseMoney(form, currency); err != nil || again != minor {
				t.Errorf("%q is %d, written %q, which is %d (%v)", text, minor, form, again, err)
			}
		}
	})
}

func TestAmountsAreJudged(t *testing.T) {
	n := NounFor[Acquisition]()
	obj := &Acquisition{Kind: "purchase", Reference: "P-1", Currency: "eur", TotalAmount: 5}
	if err := n.Accept(obj); err != nil || obj.Currency != "EUR" {
		t.Errorf("currency %q, %v", obj.Currency, err)
	}
	for field, obj := range map[string]*Acquisition{
		"currency":     {Kind: "purchase", Reference: "P-1", Currency: "Euro"},
		"total_amount": {Kind: "purchase", Reference: "P-1", Currency: "EUR", TotalAmount: math.MaxInt64},
	} {
		invalid, ok := n.Accept(obj).(*Invalid)
		if !ok || invalid.Fields[field] == "" {
			t.Errorf("%s was taken: %+v", field, obj)
		}
	}
}

// Every amount names a currency field of its noun, and is one of the two types that the mechanism knows.
func TestEveryAmountHasACurrency(t *testing.T) {
	for _, n := range Nouns {
		for _, f := range n.MoneyFields() {
			code, ok := n.Field(f.Currency)
			if !ok || code.Kind != KindText || code.Money {
				t.Errorf("%s.%s: %q is no currency field", n.Name, f.Name, f.Currency)
			}
			obj := n.New()
			switch f.Value(obj).(type) {
			case int64, *int64:
			default:
				t.Errorf("%s.%s is a %T", n.Name, f.Name, f.Value(obj))
			}
		}
	}
}

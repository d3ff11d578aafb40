package inventory

import "testing"

func TestCellsAreNoFormulas(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "plain": "plain", "a=b": "a=b", "=1+1": "'=1+1", "+49 30": "'+49 30", "-": "'-", "@SUM(A1)": "'@SUM(A1)", "\tx": "'\tx", "\rx": "'\rx", "'quoted'": "'quoted'", "'=1": "''=1", "'": "'",
	} {
		if got := NeutralCell(text); got != want {
			t.Errorf("NeutralCell(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzCells(f *testing.F) {
	for _, text := range []string{"", "=", "'=", "''", "x", "-1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got := PlainCell(NeutralCell(text)); got != text {
			t.Errorf("%q became %q", text, got)
		}
	})
}

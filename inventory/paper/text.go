package paper

import "strings"

// wrap breaks text into lines that are at most width mm wide in the letters in force: at blanks where it can, within a word (a long
// serial number, an address) where it must. Line ends in the text are kept.
func (d *Document) wrap(text string, width float64) []string {
	if len(text) > maxText {
		text = text[:maxText] + " …"
	}
	var out []string
	for _, line := range strings.Split(strings.TrimRight(d.printable(text), "\n "), "\n") {
		out = append(out, d.wrapLine(line, width)...)
	}
	return out
}

func (d *Document) wrapLine(line string, width float64) []string {
	var out []string
	var now strings.Builder
	used, blank := 0.0, d.pdf.GetStringWidth(" ")
	end := func() {
		out = append(out, now.String())
		now.Reset()
		used = 0
	}
	for i, word := range strings.Split(line, " ") {
		w := d.pdf.GetStringWidth(word)
		if i > 0 && used+blank+w <= width {
			now.WriteByte(' ')
			used += blank
		} else if i > 0 && (used > 0 || now.Len() > 0) {
			end()
		}
		for w > width && width > 0 {
			head, tail := d.cut(word, width-used)
			now.WriteString(head)
			end()
			word, w = tail, d.pdf.GetStringWidth(tail)
		}
		now.WriteString(word)
		used += w
	}
	end()
	return out
}

// cut divides a word after as many characters as fit into width, and after one at least.
func (d *Document) cut(word string, width float64) (head, tail string) {
	used := 0.0
	for i, r := range word {
		used += d.pdf.GetStringWidth(string(r))
		if used > width && i > 0 {
			return word[:i], word[i:]
		}
	}
	return word, ""
}

// fit shortens a line to width, with an ellipsis.
func (d *Document) fit(line string, width float64) string {
	if d.pdf.GetStringWidth(line) <= width {
		return line
	}
	head, _ := d.cut(line, width-d.pdf.GetStringWidth("…"))
	return head + "…"
}

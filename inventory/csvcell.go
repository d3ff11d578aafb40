package inventory

import "strings"

// A spreadsheet takes a cell that begins with one of these characters for a formula, whoever wrote it.
const formulaStarts = "=+-@\t\r"

// NeutralCell is text as a CSV export writes it: with an apostrophe in front where a spreadsheet would take it for a formula. Numbers are
// not texts and are not passed through it. PlainCell is its inverse.
func NeutralCell(text string) string {
	if bare := strings.TrimLeft(text, "'"); bare != "" && strings.IndexByte(formulaStarts, bare[0]) >= 0 {
		return "'" + text
	}
	return text
}

// PlainCell takes back the apostrophe that NeutralCell put in front.
func PlainCell(cell string) string {
	if NeutralCell(cell) != cell {
		return strings.TrimPrefix(cell, "'")
	}
	return cell
}

// Package paper sets letters, lists and reports as PDF.
//
// A Document is filled from top to bottom: Heading, Paragraph, Fields, Table, Picture, Letter. Pages break by themselves, a table repeats its
// head on each, and every page carries a footer with its number. There is no markup and no template language: whoever prints a paper
// says in Go what stands on it.
//
// The same calls give the same bytes: dates in the file's metadata are the ones handed in, never the clock, so that papers can be compared
// in tests and kept under their digest.
//
// The fonts are Go Regular, Bold and Mono, which are linked into the program and embedded (as subsets) in each file. They cover Latin, Greek
// and Cyrillic with the punctuation and currency signs of WGL4. They do not cover Arabic, Hebrew, Chinese, Japanese, Korean, Thai or emoji: such a
// character is printed as □, and the last page says which ones were. Nothing is left out in silence.
//
// Everything that is printed is taken as plain text. Control characters and the marks that turn the direction of writing are printed
// as □ too, because with them a name can be made to read as another.
package paper

// Package inventory is the record: every noun that berth keeps, its rules, and how it is described so that storage, REST, pages,
// files and commands derive from one declaration.
//
// A noun is a Go struct that embeds Meta, with `berth` tags on its fields, and one entry in Nouns. Nothing in this package touches a
// socket, a disk or a database; inventory/store carries the Record interface out.
//
// Reading order: noun.go (how a noun is described), record.go (what can be done with one), state.go (the life of a machine), then a
// file for each family of nouns.
package inventory

// Package importer lets people move in: from NetBox, its device-type library and its inventory plugin, from Snipe-IT, Ralph, RackTables,
// openDCIM and Homebox, and from any table whose columns can be named.
//
// An import goes in four steps. A Source is opened through its bounds (source.go, text.go, table.go, dump.go). A format turns rows into
// drafts: objects as the source describes them, each with the ways in which it is found again in the record (draft.go, and a file for each
// system). The planner looks up what exists, builds every object as it would be, and asks the nouns' own rules about it, also those that
// need other objects: they see the record as it would be after the import (plan.go, lookup.go). That is the dry run, and it lists all that
// is wrong. A plan without errors is then applied in slices, each an edit of a fraction of a second, all under one request id (apply.go).
//
// What makes a repeated import change nothing is that everything has a key that outlives the import: a natural key, the import reference
// of the system it came from, or maker and serial. A cell that is empty leaves alone what the record has; notes gain lines and lose none;
// the protection of a disk is never lowered.
//
// To measure it from outside: `berth dev sample DIR` writes assets.csv, devices.csv (10,000 rows each) and a device-type library of 3,000
// files below DIR/library, of package sample; then `berth import csv DIR/assets.csv --noun asset --dry-run`, the same without --dry-run,
// `berth import netbox DIR/devices.csv` and twice `berth import devicetypes DIR/library`. With --json each prints its report. Over REST it
// is POST /api/v1/imports?format=csv&noun=asset&name=assets.csv&dry_run=true with the file as the body.
package importer

package importer

import "fmt"

// Bounds of what is read. They are generous for the inventories of people who own their hardware, and finite for everybody else.
const (
	// MaxUpload is the most bytes of one import, packed as it comes.
	MaxUpload = 200 << 20

	maxEntries  = 20_000    // files in an archive
	maxUnpacked = 512 << 20 // bytes of an archive, unpacked
	maxRatio    = 200       // unpacked to packed bytes of an entry beyond freeRatio
	freeRatio   = 1 << 20   // bytes that an entry may have whatever its ratio
	maxYAML     = 1 << 20   // bytes of a file of the device-type library
	maxYAMLDeep = 20        // levels of nesting in one
	maxTable    = 128 << 20 // bytes of a table as text
	maxRows     = 200_000   // rows of a table
	maxColumns  = 500
	maxRecord   = 4 << 20 // bytes of one row
	maxCell     = 64 << 10
	maxKept     = 100_000 // errors, and as many warnings, that a report lists
	maxPreview  = 200     // changes that a report shows
)

// Unreadable is a source that cannot be read as a whole: not a file of the format, damaged, or beyond a bound.
type Unreadable struct {
	File string // empty is the upload itself
	Why  string
}

func (e *Unreadable) Error() string {
	if e.File == "" {
		return e.Why
	}
	return e.File + ": " + e.Why
}

func unreadable(file, why string, args ...any) error {
	return &Unreadable{File: file, Why: fmt.Sprintf(why, args...)}
}

package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"berth/inventory"
)

// ImportOptions say how a source is to be read. All may be left empty.
type ImportOptions struct {
	// Format is one of auto, netbox, devicetypes, netbox-inventory, snipeit, ralph, racktables, opendcim, homebox, csv; empty is auto.
	Format string
	Name   string            // of the file or directory; its end may tell the format
	Noun   string            // of a plain table: what its rows are
	Map    map[string]string // titles of columns to fields: "Seriennummer" = "serial"
	// KeepUnknown says what becomes of columns without a field: notes, fields (custom fields), or empty to list them only.
	KeepUnknown string
	Currency    string // ISO 4217, of amounts without a currency beside them
	Site        string // slug or name, of what has no site
	Dates       string // dmy or mdy, for dates such as 03/04/2024
	Parts       bool   // new devices get the interfaces, ports and bays that their types list
	DryRun      bool
	Run         inventory.UID // the ImportRun is to have this uid, so that its progress can be watched
	Why         string
}

// ImportReport is what an import would do, or did.
type ImportReport struct {
	Format string `json:"format"`
	DryRun bool   `json:"dry_run"`
	// Applied is false for a dry run, and where errors kept everything from being changed.
	Applied bool `json:"applied"`
	// Run and Request are the ImportRun and the id under which everything can be undone; empty where nothing was changed.
	Run       inventory.UID `json:"run,omitempty"`
	Request   inventory.UID `json:"request,omitempty"`
	Rows      int           `json:"rows"`
	Created   int           `json:"created"`
	Updated   int           `json:"updated"`
	Unchanged int           `json:"unchanged"`
	Files     []ImportFile  `json:"files"`
	Nouns     []ImportCount `json:"nouns"`
	// Errors are all that is wrong. With any of them nothing is changed.
	Errors     []ImportError  `json:"errors"`
	MoreErrors int            `json:"more_errors,omitempty"`
	Warnings   []ImportError  `json:"warnings"`
	Unknown    []ImportColumn `json:"unknown"`
	// Changes are the first of the objects that are created or changed.
	Changes []ImportChange `json:"changes"`
}

// ImportFile is a file that was read, and what it was taken for.
type ImportFile struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	Rows int    `json:"rows"`
}

// ImportCount says what becomes of the objects of one noun.
type ImportCount struct {
	Noun      string `json:"noun"`
	Created   int    `json:"created"`
	Updated   int    `json:"updated"`
	Unchanged int    `json:"unchanged"`
}

// ImportError is one thing that is wrong, or worth knowing. Rows count lines from 1; 0 is the file as a whole.
type ImportError struct {
	File   string `json:"file"`
	Row    int    `json:"row"`
	Column string `json:"column,omitempty"`
	Value  string `json:"value,omitempty"`
	Why    string `json:"why"`
}

// ImportColumn is a column for which the format has no field.
type ImportColumn struct {
	File    string `json:"file"`
	Column  string `json:"column"`
	Rows    int    `json:"rows"` // that have something in it
	Example string `json:"example"`
	Kept    string `json:"kept,omitempty"` // notes or fields
}

// ImportChange is one object that is created or changed.
type ImportChange struct {
	Noun   string        `json:"noun"`
	Action string        `json:"action"` // create or update
	Label  string        `json:"label"`
	File   string        `json:"file"`
	Row    int           `json:"row"`
	Fields []FieldChange `json:"fields"`
}

// FieldChange is one field of it, as people read it.
type FieldChange struct {
	Field  string `json:"field"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// PartsCreated says how many parts of its type a device was given.
type PartsCreated struct {
	Created int `json:"created"`
}

// Query is the options as the server's address takes them.
func (o ImportOptions) Query() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"format": o.Format, "name": o.Name, "noun": o.Noun, "keep_unknown": o.KeepUnknown, "currency": o.Currency,
		"site": o.Site, "dates": o.Dates, "run": string(o.Run), "why": o.Why} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for from, to := range o.Map {
		v.Add("map", from+"="+to)
	}
	for name, on := range map[string]bool{"parts": o.Parts, "dry_run": o.DryRun} {
		if on {
			v.Set(name, strconv.FormatBool(on))
		}
	}
	return v
}

// Import brings in what people move in with: one file, or an archive of several. It is streamed. Rows with errors are in the report, and
// then nothing was changed; the error is for what cannot be read at all.
func (c *Client) Import(ctx context.Context, o ImportOptions, r io.Reader) (*ImportReport, error) {
	out := new(ImportReport)
	return out, c.send(ctx, http.MethodPost, withQuery("/api/v1/imports", o.Query()), nil, "application/octet-stream", r, out)
}

// Equip gives a device the interfaces, ports and bays that its type lists and that it lacks.
func (c *Client) Equip(ctx context.Context, device, why string) (*PartsCreated, error) {
	return post[PartsCreated](ctx, c, "/api/v1/devices/"+url.PathEscape(device)+"/parts", WhyRequest{Why: why})
}

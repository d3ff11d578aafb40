package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"berth/inventory"
)

// TextOptions say how a directory of YAML is brought in.
type TextOptions struct {
	// Delete removes what the record has and the directory lacks.
	Delete bool
	// Name is what people call the directory, Commit the git commit it is at, Why the reason for the change log.
	Name, Commit, Why string
}

func (o TextOptions) values() url.Values {
	v := url.Values{}
	if o.Delete {
		v.Set("delete", "true")
	}
	for name, value := range map[string]string{"name": o.Name, "commit": o.Commit, "why": o.Why} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

// TextPlan is what it takes to make the record what a directory says.
type TextPlan struct {
	Steps []TextStep `json:"steps"`
	// More counts the steps that are not listed for want of room.
	More      int `json:"more,omitempty"`
	Creates   int `json:"creates"`
	Changes   int `json:"changes"`
	Deletes   int `json:"deletes"`
	Unchanged int `json:"unchanged"`
	// Extra counts what the record has and the directory lacks, by the noun's plural.
	Extra   map[string]int `json:"extra,omitempty"`
	Notices []string       `json:"notices,omitempty"`
}

// TextStep is one object that is created, changed or deleted.
type TextStep struct {
	Action string        `json:"action"` // create, change or delete
	Noun   string        `json:"noun"`
	UID    inventory.UID `json:"uid"`
	Name   string        `json:"name"`
	File   string        `json:"file,omitempty"`
	Line   int           `json:"line,omitempty"`
	Fields []TextField   `json:"fields,omitempty"`
}

// TextField is one field as it is and as it shall be. Secrets are stars.
type TextField struct {
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
}

// TextApplied is what was done.
type TextApplied struct {
	Plan TextPlan            `json:"plan"`
	Run  inventory.ImportRun `json:"run"`
	// Request is the id by which all of it can be undone.
	Request inventory.UID `json:"request"`
}

// Export writes the record as a tar archive of YAML files to w; with documents, their bytes too.
func (c *Client) Export(ctx context.Context, documents bool, w io.Writer) error {
	return c.download(ctx, "/api/v1/export?documents="+strconv.FormatBool(documents), w)
}

// PlanText compares a tar archive of YAML files with the record.
func (c *Client) PlanText(ctx context.Context, archive io.Reader, o TextOptions) (TextPlan, error) {
	var plan TextPlan
	return plan, c.send(ctx, http.MethodPost, withQuery("/api/v1/plan", o.values()), nil, tarType, archive, &plan)
}

// ApplyText makes the record what a tar archive of YAML files says.
func (c *Client) ApplyText(ctx context.Context, archive io.Reader, o TextOptions) (TextApplied, error) {
	var done TextApplied
	return done, c.send(ctx, http.MethodPost, withQuery("/api/v1/apply", o.values()), nil, tarType, archive, &done)
}

const tarType = "application/x-tar"

// download copies the answer of a GET to w.
func (c *Client) download(ctx context.Context, path string, w io.Writer) error {
	resp, err := c.open(ctx, http.MethodGet, path, nil, "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("the answer ended before it was whole: %w", err)
	}
	return nil
}

// Backup writes the whole record as a gzipped tar archive to w; with documents, their bytes too.
func (c *Client) Backup(ctx context.Context, documents bool, w io.Writer) error {
	return c.download(ctx, "/api/v1/backup?documents="+strconv.FormatBool(documents), w)
}

// Restore puts a backup in place of the record; a record that is not empty is lost only if replace says so.
func (c *Client) Restore(ctx context.Context, archive io.Reader, replace bool, why string) (inventory.Backup, error) {
	var made inventory.Backup
	v := url.Values{"replace": {strconv.FormatBool(replace)}}
	if why != "" {
		v.Set("why", why)
	}
	return made, c.send(ctx, http.MethodPost, withQuery("/api/v1/restore", v), nil, "application/gzip", archive, &made)
}

// Forget blanks a person in the record and in its change log. It cannot be undone.
func (c *Client) Forget(ctx context.Context, contact, why string) (*inventory.Contact, error) {
	blank := new(inventory.Contact)
	return blank, c.Call(ctx, http.MethodPost, "/api/v1/contacts/"+url.PathEscape(contact)+"/forget", WhyRequest{Why: why}, blank)
}

// VerifyCustody walks along the chain of custody.
func (c *Client) VerifyCustody(ctx context.Context) (inventory.CustodyReport, error) {
	var report inventory.CustodyReport
	return report, c.Call(ctx, http.MethodGet, "/api/v1/custody/verify", nil, &report)
}

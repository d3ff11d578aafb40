package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"berth/inventory"
)

// forgotten stands in place of a person's name.
const forgotten = "(forgotten)"

// Forget blanks a person: the contact keeps its uid and what it belongs to, so that whoever it signed for still has somebody who signed,
// and loses its name and everything by which one could find them. The change log loses it too, in every picture of the contact, and so do
// the messages to other systems that were made of those. It cannot be undone. The chain of custody stays whole: it holds the reference
// alone. Errors: ErrNotFound.
func (s *Store) Forget(ctx context.Context, req inventory.Request, ref string) (*inventory.Contact, error) {
	var blank *inventory.Contact
	err := s.edit(ctx, req, func(t *tx) error {
		contact, err := inventory.TxGet[inventory.Contact](t, ref)
		if err != nil {
			return err
		}
		blank = &inventory.Contact{Meta: contact.Meta, Name: forgotten, Organization: contact.Organization, Forgotten: true}
		if err := t.Update(blank); err != nil {
			return err
		}
		for _, c := range t.changes {
			if err := redact(c); err != nil {
				return err
			}
		}
		return t.redactLog(contact)
	})
	return blank, err
}

// redactLog blanks the contact in what the change log and the outbox hold. It is the one place where entries of the log are touched.
func (t *tx) redactLog(contact *inventory.Contact) error {
	var changes []*inventory.Change
	if err := t.db.Where(`"object" = ? AND "noun" = 'contact'`, contact.UID).Find(&changes).Error; err != nil {
		return fmt.Errorf("find what the log says of the contact: %w", err)
	}
	uids := make([]inventory.UID, len(changes))
	for i, c := range changes {
		uids[i] = c.UID
		if err := redact(c); err != nil {
			return err
		}
		if err := t.db.Table("changes").Select("display", "before", "after").Where(`"uid" = ?`, c.UID).Updates(c).Error; err != nil {
			return fmt.Errorf("blank an entry of the change log: %w", err)
		}
	}
	t.touched["changes"] = true
	for part := range slices.Chunk(uids, undoSlice) {
		if err := t.db.Exec(`DELETE FROM "webhook_deliveries" WHERE "change" IN ?`, part).Error; err != nil {
			return fmt.Errorf("take back what was to be sent of the contact: %w", err)
		}
	}
	return t.redactMentions(contact)
}

// redactMentions takes the contact's mail address and telephone number out of what the log and the journals say of other things: a claim's
// word to them, a letter's head. A name is left there, because a name is also a word.
func (t *tx) redactMentions(contact *inventory.Contact) error {
	for _, secret := range []string{contact.Email, contact.Phone} {
		if len(secret) < 5 {
			continue
		}
		for _, column := range []string{"before", "after"} {
			// What was said is replaced in the text of the picture, as JSON writes it.
			quoted, err := json.Marshal(secret)
			if err != nil {
				return fmt.Errorf("write what is to be blanked: %w", err)
			}
			inside := strings.Trim(string(quoted), `"`)
			sql := fmt.Sprintf(`UPDATE "changes" SET %[1]s = REPLACE(%[1]s, ?, ?) WHERE %[1]s LIKE ? ESCAPE '!'`, quote(column))
			if err := t.db.Exec(sql, inside, forgotten, "%"+likeLiteral(inside)+"%").Error; err != nil {
				return fmt.Errorf("blank what the log says of the contact: %w", err)
			}
		}
	}
	return nil
}

// likeLiteral writes text for LIKE, with ! as the escape, as it is.
func likeLiteral(text string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text)
}

// redact blanks the pictures of a contact in one entry.
func redact(c *inventory.Change) (err error) {
	if c.Noun != "contact" {
		return nil
	}
	c.Display = forgotten
	if c.Before, err = blankPicture(c.Before); err == nil {
		c.After, err = blankPicture(c.After)
	}
	return err
}

// keptOfContact are the fields of a contact that say nothing about the person.
var keptOfContact = []string{"uid", "revision", "created_at", "updated_at", "organization", "forgotten"}

func blankPicture(picture json.RawMessage) (json.RawMessage, error) {
	if len(picture) == 0 || string(picture) == "null" {
		return picture, nil
	}
	var fields map[string]any
	if err := json.Unmarshal(picture, &fields); err != nil {
		return nil, fmt.Errorf("read an entry of the change log: %w", err)
	}
	for name := range maps.Keys(fields) {
		switch {
		case slices.Contains(keptOfContact, name):
		case name == "name":
			fields[name] = forgotten
		default:
			fields[name] = ""
		}
	}
	return json.Marshal(fields)
}

package blob

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"berth/inventory"
)

// Receive keeps what r holds and returns the document it is, with digest, size, media type and, for a picture, its thumbnail. It is not
// in the record yet: File puts it there. name is what its sender calls it. Errors: *TooLarge, those of r and of the disk, *inventory.Invalid for a file without a
// byte.
func (s *Store) Receive(r io.Reader, name string) (*inventory.Document, error) {
	head := &headReader{r: r}
	digest, size, err := s.Put(head)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, inventory.NotAllowed("document", "file", "is empty")
	}
	doc := &inventory.Document{Name: Name(name), MediaType: MediaType(head.head), Digest: digest, SizeBytes: size}
	doc.Thumbnail, err = s.thumbnail(doc)
	return doc, err
}

// headReader remembers how what is read begins.
type headReader struct {
	r    io.Reader
	head []byte
}

func (h *headReader) Read(b []byte) (int, error) {
	n, err := h.r.Read(b)
	if room := sniffed - len(h.head); room > 0 {
		h.head = append(h.head, b[:min(n, room)]...)
	}
	return n, err
}

// thumbnail makes and keeps the small picture of a document; "" for what is none.
func (s *Store) thumbnail(doc *inventory.Document) (string, error) {
	if !pictures[doc.MediaType] {
		return "", nil
	}
	file, err := s.Read(doc.Digest)
	if err != nil {
		return "", err
	}
	small, err := Thumbnail(file)
	if errors.Is(err, ErrNoPicture) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	digest, _, err := s.Put(bytes.NewReader(small))
	return digest, err
}

// pictures are the media types that get a thumbnail.
var pictures = map[string]bool{"image/jpeg": true, "image/png": true, "image/gif": true, "image/webp": true}

// Target is an object that a document is attached to.
type Target struct {
	Noun    *inventory.Noun
	Object  inventory.UID
	Caption string
}

// File puts a document that was received into the record, attached to each of at. Errors: *inventory.Invalid.
func File(tx inventory.Tx, doc *inventory.Document, at ...Target) error {
	if err := tx.Create(doc); err != nil {
		return err
	}
	for _, t := range at {
		if err := tx.Create(&inventory.Attachment{Document: doc.UID, Noun: t.Noun.Name, Object: t.Object, Caption: t.Caption}); err != nil {
			return err
		}
	}
	return nil
}

// Discard takes a document out of the record, with what attaches it to objects. Its bytes stay for an undo. Errors: *inventory.Conflict when
// something else refers to it, such as the photo of a parcel.
func Discard(tx inventory.Tx, doc *inventory.Document) error {
	for {
		ties, err := inventory.TxList[inventory.Attachment](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("document", doc.UID)}, Limit: inventory.MaxPage})
		if err != nil {
			return err
		}
		if len(ties) == 0 {
			return tx.Delete(doc)
		}
		for _, tie := range ties {
			if err := tx.Delete(tie); err != nil {
				return err
			}
		}
	}
}

// lister is what a sweep reads the record with.
type lister interface {
	List(ctx context.Context, n *inventory.Noun, q inventory.Query) (inventory.Page, error)
}

// Grace is how long bytes stay that nothing names: an upload's are kept before its document is.
const Grace = 24 * time.Hour

// Sweep removes the bytes that neither a document nor an entry of the change log names, and that are older than Grace at now. It
// returns how many files that were, and how many bytes.
func (s *Store) Sweep(ctx context.Context, record lister, now time.Time) (files int, bytes int64, err error) {
	named, err := referred(ctx, record)
	if err != nil {
		return 0, 0, fmt.Errorf("find which files are still wanted: %w", err)
	}
	err = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !ValidDigest(d.Name()) || named[d.Name()] {
			return err
		}
		info, err := d.Info()
		if err != nil || now.Sub(info.ModTime()) < Grace {
			return err
		}
		files, bytes = files+1, bytes+info.Size()
		return errors.Join(ctx.Err(), os.Remove(path))
	})
	return files, bytes, err
}

// referred gathers the digests that the record names: those of documents, and those that the change log could bring back.
func referred(ctx context.Context, record lister) (map[string]bool, error) {
	named := map[string]bool{}
	err := each(ctx, record, inventory.NounFor[inventory.Document](), nil, func(obj inventory.Object) {
		doc := obj.(*inventory.Document)
		named[doc.Digest], named[doc.Thumbnail] = true, true
	})
	if err != nil {
		return nil, err
	}
	ofDocuments := []inventory.Filter{inventory.Is("noun", "document")}
	err = each(ctx, record, inventory.NounFor[inventory.Change](), ofDocuments, func(obj inventory.Object) {
		change := obj.(*inventory.Change)
		for _, picture := range []json.RawMessage{change.Before, change.After} {
			var doc struct{ Digest, Thumbnail string }
			if json.Unmarshal(picture, &doc) == nil {
				named[doc.Digest], named[doc.Thumbnail] = true, true
			}
		}
	})
	return named, err
}

// each calls fn with every object that the filters let through, page by page.
func each(ctx context.Context, record lister, n *inventory.Noun, filters []inventory.Filter, fn func(inventory.Object)) error {
	q := inventory.Query{Filters: filters, Limit: inventory.MaxPage, NoNames: true, Sort: "created_at"}
	for {
		page, err := record.List(ctx, n, q)
		if err != nil {
			return err
		}
		for _, obj := range page.Items {
			fn(obj)
		}
		if page.Next == "" {
			return nil
		}
		q.Cursor = page.Next
	}
}

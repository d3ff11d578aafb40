package blob_test

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/inventory"
	"berth/inventory/blob"
	"berth/inventory/store"
)

// The story of two files: one becomes a document, is deleted and comes back; the other never became one.
func TestSweepKeepsWhatAnUndoBringsBack(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	record, err := store.Open(ctx, store.Options{Dir: filepath.Join(dir, "record")})
	if err != nil {
		t.Fatal(err)
	}
	defer record.Close()
	files, err := blob.Open(filepath.Join(dir, "documents"), 0)
	if err != nil {
		t.Fatal(err)
	}
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, image.NewGray(image.Rect(0, 0, 500, 300)), nil); err != nil {
		t.Fatal(err)
	}
	doc, err := files.Receive(&photo, "box.jpg")
	if err != nil || doc.MediaType != "image/jpeg" || doc.Thumbnail == "" || doc.SizeBytes == 0 {
		t.Fatalf("%+v, %v", doc, err)
	}
	orphan, err := files.Receive(strings.NewReader("an upload that was lost on the way"), "lost.txt")
	if err != nil || orphan.Thumbnail != "" {
		t.Fatalf("%+v, %v", orphan, err)
	}
	edit := func(fn func(tx inventory.Tx) error) inventory.UID {
		t.Helper()
		req := inventory.NewRequest(inventory.Actor{Account: inventory.NewUID(), Name: "anna", Level: inventory.LevelAdmin}, "test")
		if err := record.Edit(ctx, req, fn); err != nil {
			t.Fatal(err)
		}
		return req.ID
	}
	site := &inventory.Site{Name: "Cellar", Slug: "cellar"}
	edit(func(tx inventory.Tx) error {
		if err := tx.Create(site); err != nil {
			return err
		}
		return blob.File(tx, doc, blob.Target{Noun: inventory.NounFor[inventory.Site](), Object: site.UID, Caption: "the box"})
	})
	deleted := edit(func(tx inventory.Tx) error { return blob.Discard(tx, doc) })

	sweep := func(after time.Duration, want int) {
		t.Helper()
		n, _, err := files.Sweep(ctx, record, time.Now().Add(after))
		if err != nil || n != want {
			t.Fatalf("%d files were swept, not %d: %v", n, want, err)
		}
	}
	sweep(time.Hour, 0) // an upload may still become a document
	sweep(blob.Grace+time.Hour, 1)
	if _, err := files.Read(orphan.Digest); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("the orphan: %v", err)
	}
	req := inventory.NewRequest(inventory.Actor{Account: inventory.NewUID(), Name: "anna", Level: inventory.LevelAdmin}, "it was wanted")
	if err := record.Undo(ctx, req, deleted); err != nil {
		t.Fatal(err)
	}
	back, err := inventory.Get[inventory.Document](ctx, record, string(doc.UID))
	if err != nil || back.Digest != doc.Digest {
		t.Fatalf("%+v, %v", back, err)
	}
	for _, digest := range []string{back.Digest, back.Thumbnail} {
		if _, err := files.Read(digest); err != nil {
			t.Errorf("the bytes of what came back: %v", err)
		}
	}
	ties, err := inventory.List[inventory.Attachment](ctx, record, inventory.Query{Filters: []inventory.Filter{inventory.Is("object", site.UID)}})
	if err != nil || len(ties) != 1 {
		t.Errorf("%d attachments came back: %v", len(ties), err)
	}
}

func TestReceiveRefusesAnEmptyFile(t *testing.T) {
	files, err := blob.Open(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var invalid *inventory.Invalid
	if _, err := files.Receive(strings.NewReader(""), "empty"); !errors.As(err, &invalid) {
		t.Errorf("%v", err)
	}
	// A picture that is none stays a document without a thumbnail.
	doc, err := files.Receive(strings.NewReader("\xff\xd8\xff and then nothing"), "../../x.jpg")
	if err != nil || doc.Thumbnail != "" || doc.Name != "x.jpg" {
		t.Errorf("%+v, %v", doc, err)
	}
}

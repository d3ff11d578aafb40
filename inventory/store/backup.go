package store

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"berth/inventory"

	"gorm.io/gorm"
)

// A backup is a gzipped tar archive of rows, the same from either database, so that it can be restored into either:
//
//	manifest.json         format, version of the schema, when it was made
//	rows/<table>/N.jsonl  a thousand rows each, a JSON object of its columns on each line
//	blobs/<sha256>        the bytes of documents
//	SHA256SUMS            the digest of each of these: without it the archive is not whole
//
// Secrets are in it as they are stored, sealed; whoever restores needs the server's key. Sessions are left out: a restore should not log
// people in.
const (
	backupFormat = 1
	manifestName = "manifest.json"
	sumsName     = "SHA256SUMS"
	blobPrefix   = "blobs/"
	rowPrefix    = "rows/"
	backupPage   = 1000
)

// backedUp are the nouns whose tables a backup holds: each table once.
var backedUp = slices.DeleteFunc(slices.Clone(inventory.Nouns), func(n *inventory.Noun) bool { return n.Where != nil || n.Name == "session" })

// Backup writes the record as it is at one moment to w, while others go on editing it. open gives the bytes of documents; nil leaves them
// out. A document for which it says inventory.ErrNotFound is left out and counted; any other error ends the backup, which must not lack what is
// there.
func (s *Store) Backup(ctx context.Context, w io.Writer, open func(digest string) (*os.File, error)) (inventory.Backup, error) {
	b := &backupWriter{made: inventory.Backup{Format: backupFormat, MadeAt: s.now(), Rows: map[string]int64{}}}
	zip := gzip.NewWriter(w)
	b.out = tar.NewWriter(zip)
	err := s.snapshot(ctx, func(db *gorm.DB) error {
		if err := db.Raw(`SELECT MAX(version_id) FROM goose_db_version`).Scan(&b.made.Schema).Error; err != nil {
			return fmt.Errorf("read the version of the schema: %w", err)
		}
		manifest, err := json.Marshal(b.made)
		if err != nil {
			return err
		}
		if err := b.entry(manifestName, int64(len(manifest)), bytes.NewReader(manifest)); err != nil {
			return err
		}
		for _, n := range backedUp {
			if err := b.table(db, n); err != nil {
				return fmt.Errorf("back up %s: %w", n.Plural, err)
			}
		}
		return b.documents(db, open)
	})
	if err != nil {
		return b.made, err
	}
	sums := b.sums.String()
	if err := b.entry(sumsName, int64(len(sums)), strings.NewReader(sums)); err != nil {
		return b.made, err
	}
	if err := b.out.Close(); err != nil {
		return b.made, err
	}
	return b.made, zip.Close()
}

type backupWriter struct {
	out  *tar.Writer
	sums strings.Builder
	made inventory.Backup
}

func (b *backupWriter) entry(name string, size int64, r io.Reader) error {
	header := &tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: b.made.MadeAt.Truncate(time.Second), Format: tar.FormatPAX}
	if err := b.out.WriteHeader(header); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(b.out, h), r); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	fmt.Fprintf(&b.sums, "%s  %s\n", hex.EncodeToString(h.Sum(nil)), name)
	return nil
}

// table writes the rows of one table, a page at a time.
func (b *backupWriter) table(db *gorm.DB, n *inventory.Noun) error {
	for page, after := 1, ""; ; page++ {
		items, err := fetch(db.Where(`"uid" > ?`, after).Order(`"uid"`).Limit(backupPage), n)
		if err != nil || len(items) == 0 {
			return err
		}
		var lines bytes.Buffer
		for _, obj := range items {
			row, err := rowOf(n, obj)
			if err != nil {
				return fmt.Errorf("%s: %w", obj.Head().UID, err)
			}
			lines.Write(append(row, '\n'))
		}
		if err := b.entry(fmt.Sprintf("%s%s/%06d.jsonl", rowPrefix, n.Table, page), int64(lines.Len()), &lines); err != nil {
			return err
		}
		b.made.Rows[n.Table] += int64(len(items))
		after = string(items[len(items)-1].Head().UID)
	}
}

// documents writes the bytes that documents and their thumbnails refer to.
func (b *backupWriter) documents(db *gorm.DB, open func(string) (*os.File, error)) error {
	if open == nil {
		return nil
	}
	var digests []string
	err := db.Raw(`SELECT "digest" FROM "documents" WHERE "digest" <> '' UNION SELECT "thumbnail" FROM "documents" WHERE "thumbnail" <> '' ORDER BY 1`).Scan(&digests).Error
	if err != nil {
		return fmt.Errorf("look for documents: %w", err)
	}
	for _, digest := range digests {
		f, err := open(digest)
		if errors.Is(err, inventory.ErrNotFound) {
			b.made.MissingDocuments++
			continue
		}
		if err != nil {
			return fmt.Errorf("read document %s: %w", digest, err)
		}
		if err := b.document(digest, f); err != nil {
			return err
		}
		b.made.Documents++
	}
	return nil
}

func (b *backupWriter) document(digest string, f *os.File) error {
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read document %s: %w", digest, err)
	}
	return b.entry(blobPrefix+digest, info.Size(), f)
}

// rowOf is a row as a JSON object of its columns: what is hidden and what is sealed too.
func rowOf(n *inventory.Noun, obj inventory.Object) ([]byte, error) {
	row := make(map[string]any, len(n.Fields))
	for _, f := range n.Fields {
		switch v := f.Value(obj).(type) {
		case inventory.Secret:
			row[f.Name] = v.Sealed()
		case json.RawMessage:
			row[f.Name] = string(v) // as a text, so that its bytes stay as they are
		default:
			row[f.Name] = v
		}
	}
	return json.Marshal(row)
}

// objectOf reads a row that rowOf wrote. A column that this version does not know is an error; one that the row lacks is empty.
func objectOf(n *inventory.Noun, line []byte) (inventory.Object, error) {
	var row map[string]json.RawMessage
	if err := json.Unmarshal(line, &row); err != nil {
		return nil, err
	}
	obj := n.New()
	for name, data := range row {
		f, ok := n.Field(name)
		if !ok {
			return nil, fmt.Errorf("this version of berth knows no column %q of %s", name, n.Table)
		}
		if err := setColumn(f, obj, data); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if !obj.Head().UID.Valid() {
		return nil, fmt.Errorf("a row has no uid")
	}
	return obj, nil
}

func setColumn(f inventory.Field, obj inventory.Object, data json.RawMessage) error {
	var text string
	switch p := f.Pointer(obj).(type) {
	case *inventory.Secret:
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		if *p = (inventory.Secret{}); text != "" {
			*p = inventory.SealedSecret(text)
		}
	case *json.RawMessage:
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		if *p = nil; text != "" {
			*p = json.RawMessage(text)
		}
	default:
		return json.Unmarshal(data, p)
	}
	return nil
}

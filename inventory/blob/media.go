package blob

import (
	"bytes"
	"mime"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// sniffed is how many bytes of a file are looked at to tell what it is.
const sniffed = 512

// Unknown is the media type of what is not known, and of what a browser might run.
const Unknown = "application/octet-stream"

// kinds are the files that are told apart by how they begin (the WHATWG's MIME Sniffing, and the formats' own documents).
var kinds = []struct{ begins, mediaType string }{
	{"%PDF-", "application/pdf"},
	{"\xff\xd8\xff", "image/jpeg"},
	{"\x89PNG\r\n\x1a\n", "image/png"},
	{"GIF87a", "image/gif"},
	{"GIF89a", "image/gif"},
	{"PK\x03\x04", "application/zip"}, // also what an office writes: docx, xlsx, odt
	{"\x1f\x8b\x08", "application/gzip"},
}

// MediaType tells by its first bytes what a file is. What its sender called it is not asked. Text is text/plain, whatever it says.
func MediaType(head []byte) string {
	for _, k := range kinds {
		if bytes.HasPrefix(head, []byte(k.begins)) {
			return k.mediaType
		}
	}
	if len(head) >= 16 && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP" {
		return "image/webp"
	}
	if isText(head) {
		return "text/plain"
	}
	return Unknown
}

// isText tells whether head is UTF-8 without controls; it may end within a character.
func isText(head []byte) bool {
	if len(head) == 0 {
		return false
	}
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		switch {
		case r == utf8.RuneError && n == 1 && len(head) >= utf8.UTFMax:
			return false
		case r == '\n' || r == '\r' || r == '\t' || r == '\f':
		case unicode.IsControl(r):
			return false
		}
		head = head[n:]
	}
	return true
}

// Name makes a name that is safe to keep and to show of what a sender calls a file: its last part, without controls and without marks
// that turn the direction of writing, at most 200 characters. An empty one becomes "document".
func Name(sent string) string {
	name := strings.ToValidUTF8(sent, "�")
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, name)
	name = strings.TrimSpace(name)
	if runes := []rune(name); len(runes) > 200 {
		ext := []rune(path.Ext(name))
		if len(ext) > 20 {
			ext = nil
		}
		name = string(runes[:200-len(ext)]) + string(ext)
	}
	if strings.Trim(name, ". ") == "" {
		return "document"
	}
	return name
}

// Disposition is the Content-Disposition under which a file is handed out: to be saved, under a name that holds for every browser (RFC 6266: a plain
// one, and the whole one in the form of RFC 8187).
func Disposition(name string) string {
	name = Name(name)
	plain := strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII || strings.ContainsRune(`"\%;`, r) {
			return '_'
		}
		return r
	}, name)
	value := mime.FormatMediaType("attachment", map[string]string{"filename": plain})
	if plain == name {
		return value
	}
	return value + "; filename*=UTF-8''" + escape8187(name)
}

// escape8187 writes text in RFC 8187's attr-char, everything else as %XX.
func escape8187(text string) string {
	const hexDigits = "0123456789ABCDEF"
	var out strings.Builder
	for _, b := range []byte(text) {
		if b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("!#$&+-.^_`|~", b) >= 0 {
			out.WriteByte(b)
			continue
		}
		out.WriteByte('%')
		out.WriteByte(hexDigits[b>>4])
		out.WriteByte(hexDigits[b&15])
	}
	return out.String()
}

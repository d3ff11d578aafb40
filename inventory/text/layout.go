package text

import (
	"fmt"
	"slices"
	"strings"

	"berth/inventory"
)

const (
	// Marker is the file that says that a directory was written by Export, and so is the whole record.
	Marker = "berth.yaml"
	// BlobFolder holds the bytes of documents, each file named by its SHA-256.
	BlobFolder = "documents/blobs"
	markerText = "# Written by berth export. The directory is the whole record: an apply with --delete removes what is not in it.\nformat: 1\n"
	// noted is the key under which stands what berth found out or did.
	noted = "noted"
)

// exported are the nouns that have a place in the directory: what people keep, in the order in which it must be made.
var exported = slices.DeleteFunc(slices.Clone(inventory.Nouns), func(n *inventory.Noun) bool { return n.Journal || n.Where != nil })

// children are the nouns whose objects stand in the files of each noun, and attached those that stand in the file of whatever they are
// attached to.
var children, attached = func() (map[string][]*inventory.Noun, []*inventory.Noun) {
	below, tied := map[string][]*inventory.Noun{}, []*inventory.Noun{}
	for _, n := range exported {
		if n.Attached {
			tied = append(tied, n)
		}
		if f, ok := n.Field(n.InFile); ok {
			below[f.Ref] = append(below[f.Ref], n)
		}
	}
	return below, tied
}()

// inside are the nouns that may stand in an object's file.
func inside(n *inventory.Noun) []*inventory.Noun {
	if n.Attached {
		return nil
	}
	return append(slices.Clone(children[n.Name]), attached...)
}

// implied are the fields that the place in a file says already.
func implied(n *inventory.Noun, within bool) []string {
	switch {
	case within && n.Attached:
		return []string{"noun", "object"}
	case within:
		return []string{n.InFile}
	}
	return nil
}

// mayState tells whether a field stands in files as what people say, and mayNote whether it does as what berth noted. Neither is true of
// what is never shown, of what changes by itself every minute, and of references to journals, which are not there.
func mayState(f inventory.Field) bool { return !f.ReadOnly && stands(f) }

func mayNote(f inventory.Field) bool {
	return f.ReadOnly && stands(f) && f.Name != "uid" && f.Name != "revision" && f.Name != "updated_at"
}

func stands(f inventory.Field) bool {
	if f.Kind == inventory.KindRef {
		if n, ok := inventory.NounOf(f.Ref); ok && n.Journal {
			return false
		}
	}
	return !f.Hidden && !f.Volatile
}

// natural is the key by which people name an object, or "".
func natural(n *inventory.Noun, obj inventory.Object) string {
	if f, ok := n.Field(n.Natural); ok {
		return fmt.Sprint(f.Value(obj))
	}
	return ""
}

const maxName = 100 // bytes of a file's name, without its ending

// fileName makes of a natural key a name that every file system takes: what is not a letter, digit or one of ._+@- is written as % and
// two digits. It says nothing when the file is read.
func fileName(key string, uid inventory.UID) string {
	if key == "" {
		return string(uid)
	}
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '+', c == '@', c == '-' && i > 0, c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	name := b.String()
	if len(name) > maxName {
		return name[:maxName] + "~" + uid.Short()
	}
	if slices.Contains(devices, strings.ToLower(name)) {
		return name + "~" + uid.Short()
	}
	return name
}

// devices are names that Windows keeps for itself.
var devices = []string{"con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9"}

package inventory

import "strings"

// settleReference gives a paper without a reference one made of its uid: "S-1F04A7".
func settleReference(reference *string, prefix string, uid UID) {
	if *reference == "" && uid != "" {
		*reference = prefix + "-" + strings.ToUpper(string(uid[:6]))
	}
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (t *Tag) Check() error {
	bad := &findings{noun: "tag"}
	settleSlug(&t.Slug, t.Name, bad)
	return bad.err()
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (f *SavedFilter) Check() error {
	bad := &findings{noun: "saved-filter"}
	settleSlug(&f.Slug, f.Name, bad)
	return bad.err()
}

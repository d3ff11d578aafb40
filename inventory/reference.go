package inventory

import "strings"

// settleReference gives a paper without a reference one made of its uid: "S-1F04A7".
func settleReference(reference *string, prefix string, uid UID) {
	if *reference == "" && uid != "" {
		*reference = prefix + "-" + strings.ToUpper(string(uid[:6]))
	}
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (o *Organization) Check() error {
	bad := &findings{noun: "organization"}
	settleSlug(&o.Slug, o.Name, bad)
	return bad.err()
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (a *Acquisition) Check() error {
	settleReference(&a.Reference, map[string]string{"purchase": "P", "donation": "D", "loan": "L", "lease": "L", "transfer": "T"}[a.Kind], a.UID)
	return nil
}

// Check fills in what is left empty. Errors: *Invalid.
func (d *CustomsDeclaration) Check() error { settleReference(&d.Reference, "CD", d.UID); return nil }

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (b *Book) Check() error {
	bad := &findings{noun: "book"}
	settleSlug(&b.Slug, b.Name, bad)
	return bad.err()
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

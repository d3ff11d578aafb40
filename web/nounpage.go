package web

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"berth/api"
	"berth/inventory"
)

// lowerTitle and lowerPlural are a noun's name within a sentence.
func lowerTitle(n *inventory.Noun) string {
	if n.Title == strings.ToUpper(n.Title) {
		return n.Title
	}
	return strings.ToLower(n.Title)
}

func lowerPlural(n *inventory.Noun) string {
	if n.Title == strings.ToUpper(n.Title) {
		return pluralTitle(n)
	}
	return spaced.Replace(n.Plural)
}

// pluralTitle is "Device types" for device-types.
func pluralTitle(n *inventory.Noun) string {
	if n.Title == strings.ToUpper(n.Title) { // BMC, VLAN
		return n.Title + "s"
	}
	return firstUpper(strings.ReplaceAll(n.Plural, "-", " "))
}

// oneView is the page of any object.
type oneView struct {
	Noun      *inventory.Noun
	Object    inventory.Object
	Names     map[inventory.UID]string
	Fields    []inventory.Field
	Attached  *attachedView // nil where nothing can be attached
	Children  []childList
	Changes   []*inventory.Change
	CanEdit   bool
	CanDelete bool
	Documents *documentsView // nil where nothing can be attached
}

func (s *Server) nounOne(n *inventory.Noun) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		o, err := s.one(r, who, n)
		if err != nil {
			return err
		}
		return s.render(w, r, who, "one", view{Title: n.Display(o.Object), Live: n.Plural, Data: o})
	}
}

func (s *Server) one(r *http.Request, who caller, n *inventory.Noun) (oneView, error) {
	obj, err := s.Record.Get(r.Context(), n, r.PathValue("ref"))
	if err != nil {
		return oneView{}, err
	}
	// Once more as a list of one, which knows what its references are called.
	page, err := s.Record.List(r.Context(), n, inventory.Query{Filters: []inventory.Filter{inventory.Is("uid", obj.Head().UID)}, Limit: 1})
	if err != nil {
		return oneView{}, err
	}
	redact(obj, who)
	o := oneView{Noun: n, Object: obj, Names: page.Names, CanEdit: n.Edit != inventory.LevelNone && who.Can(n.Edit)}
	o.CanDelete = o.CanEdit && byHand[n.Name].remove == ""
	if d, ok := obj.(*inventory.Device); ok && d.ProvisionState != inventory.StateNone {
		o.CanDelete = false
	}
	o.Fields = shownFields(n, who)
	if !n.Journal {
		o.Changes, err = inventory.List[inventory.Change](r.Context(), s.Record, inventory.Query{
			Filters: []inventory.Filter{inventory.Is("object", obj.Head().UID)}, Sort: "-created_at", Limit: 20})
	}
	if err == nil {
		o.Documents, err = s.documentsOf(r, who, n, obj.Head().UID)
	}
	if err == nil {
		o.Attached, err = s.attached(r.Context(), who, obj, r.URL.Path)
	}
	if err == nil {
		o.Children, err = s.children(r, who, n, obj)
	}
	return o, err
}

// shownFields are a noun's own, and then those that every object has.
func shownFields(n *inventory.Noun, who caller) []inventory.Field {
	var own, meta []inventory.Field
	for _, f := range visible(n, who) {
		switch {
		case isMeta(f):
			meta = append(meta, f)
		default:
			own = append(own, f)
		}
	}
	return append(own, meta...)
}

// formView is the form for any object.
type formView struct {
	Noun   *inventory.Noun
	Object inventory.Object
	New    bool
	Fields []formField
	Back   string
}

// formField is one control of a form.
type formField struct {
	Field   inventory.Field
	Value   string
	Checked bool
	Options []option // of a ref or an enum
	Problem string
}

type option struct {
	Value, Text string
	Selected    bool
}

// Must tells whether the field cannot be left empty. Some that every object has are made up where nobody gives them.
func (f formField) Must() bool {
	return f.Field.Required && f.Field.Name != "reference" && f.Field.Name != "slug"
}

// Control says which control a field gets.
func (f formField) Control() string {
	switch f.Field.Kind {
	case inventory.KindEnum:
		return "select"
	case inventory.KindRef:
		if f.Options != nil {
			return "select"
		}
		return "text"
	case inventory.KindBool:
		return "checkbox"
	case inventory.KindSecret:
		return "password"
	case inventory.KindList, inventory.KindData:
		return "textarea"
	case inventory.KindInt, inventory.KindFloat:
		if f.Field.Money {
			return "amount"
		}
		return "number"
	case inventory.KindTime:
		return "datetime-local"
	case inventory.KindDate:
		return "date"
	}
	if f.Field.Long {
		return "textarea"
	}
	return "text"
}

// maxOptions is how many objects a drop-down offers; beyond, the name or uid is typed.
const maxOptions = 200

const formTime = "2006-01-02T15:04"

// settable lists the fields of a noun that a form has, for somebody who sees money or not.
func settable(n *inventory.Noun, money bool) []inventory.Field {
	var fields []inventory.Field
	empty := n.New()
	for _, f := range n.Fields {
		_, isMap := f.Value(empty).(map[string]string)
		if !f.ReadOnly && !f.Hidden && (f.Kind != inventory.KindData || isMap) && (money || !f.Money) {
			fields = append(fields, f)
		}
	}
	return fields
}

// formOf builds a form for obj; typed is what a person had typed into it, when it was not accepted.
func (s *Server) formOf(r *http.Request, n *inventory.Noun, obj inventory.Object, typed url.Values, problem *api.Problem) (formView, error) {
	fv := formView{Noun: n, Object: obj, New: obj.Head().UID == "", Back: localPath(r.FormValue("back"), "")}
	for _, f := range settable(n, readerOf(r.Context()).seesMoney) {
		ff := formField{Field: f, Value: formText(n, f, obj)}
		if typed != nil {
			ff.Value = typed.Get(f.Name)
		}
		ff.Checked = ff.Value == "true"
		if problem != nil {
			ff.Problem = problem.Fields[f.Name]
		}
		var err error
		switch f.Kind {
		case inventory.KindEnum:
			ff.Options = enumOptions(f, ff.Value)
		case inventory.KindRef:
			ff.Options, err = s.refOptions(r, f, ff.Value)
		}
		if err != nil {
			return fv, err
		}
		fv.Fields = append(fv.Fields, ff)
	}
	return fv, nil
}

func enumOptions(f inventory.Field, value string) []option {
	var list []option
	if !slices.Contains(f.Values, value) {
		list = append(list, option{Text: "–", Selected: true})
	}
	for _, v := range f.Values {
		text := strings.ReplaceAll(v, "_", " ")
		if v == "" {
			text = "–"
		}
		list = append(list, option{Value: v, Text: text, Selected: v == value})
	}
	return list
}

// refOptions lists the objects a reference may go to; nil when there are too many for a drop-down.
func (s *Server) refOptions(r *http.Request, f inventory.Field, value string) ([]option, error) {
	n, ok := inventory.NounOf(f.Ref)
	if !ok {
		return nil, fmt.Errorf("field %s refers to %q, which is no noun", f.Name, f.Ref)
	}
	page, err := s.Record.List(r.Context(), n, inventory.Query{Limit: maxOptions + 1})
	if err != nil || len(page.Items) > maxOptions {
		return nil, err
	}
	list := []option{{Text: "–", Selected: value == ""}}
	for _, obj := range page.Items {
		uid := string(obj.Head().UID)
		list = append(list, option{Value: uid, Text: longName(n, obj, page.Names), Selected: value == uid || value == n.Display(obj) && value != ""})
	}
	return list, nil
}

// longName tells apart what has the same name on several devices.
func longName(n *inventory.Noun, obj inventory.Object, names map[inventory.UID]string) string {
	text := n.Display(obj)
	if f, ok := n.Field("device"); ok && n.Natural == "" {
		text = names[f.Value(obj).(inventory.UID)] + " " + text
	}
	return text
}

// formText is a field's value as a form shows it.
func formText(n *inventory.Noun, f inventory.Field, obj inventory.Object) string {
	if f.Money {
		return amountText(n, f, obj)
	}
	switch v := f.Value(obj).(type) {
	case []string:
		return strings.Join(v, "\n")
	case map[string]string:
		var lines []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			lines = append(lines, key+"="+v[key])
		}
		return strings.Join(lines, "\n")
	case *float64:
		if v == nil {
			return ""
		}
		return strconv.FormatFloat(*v, 'f', -1, 64)
	case *int, *int64, *bool:
		return fmt.Sprint(deref(v))
	case int, int64, float64:
		if text := fmt.Sprint(v); text != "0" || f.Required {
			return text
		}
		return ""
	case *time.Time, time.Time:
		if t, ok := instant(v); ok {
			return t.UTC().Format(formTime)
		}
		return ""
	default:
		return fmt.Sprint(v)
	}
}

// amountText is an amount as a form shows it: in the currency's units, empty where there is none.
func amountText(n *inventory.Noun, f inventory.Field, obj inventory.Object) string {
	minor, known := f.AmountOf(obj)
	if !known || minor == 0 && !f.Nullable {
		return ""
	}
	return inventory.FormatAmount(minor, n.CurrencyOf(f, obj))
}

// formFields turns a posted form into the fields of a patch of obj: what the general REST handlers take.
func formFields(n *inventory.Noun, obj inventory.Object, fields []inventory.Field, v url.Values) (map[string]json.RawMessage, error) {
	patch := map[string]json.RawMessage{}
	for _, f := range fields {
		if !v.Has(f.Name) && f.Kind != inventory.KindBool {
			continue
		}
		typed := strings.TrimSpace(strings.ReplaceAll(v.Get(f.Name), "\r\n", "\n"))
		value, keep, err := formValue(f, typed)
		if f.Money {
			value, err = formAmount(n, f, obj, v, typed)
		}
		if err != nil {
			return nil, err
		}
		if keep {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("read the form's field %s: %w", f.Name, err)
		}
		patch[f.Name] = text
	}
	return patch, nil
}

// formAmount reads an amount in the currency that the form says, or that obj has.
func formAmount(n *inventory.Noun, f inventory.Field, obj inventory.Object, v url.Values, typed string) (any, error) {
	if typed == "" && f.Nullable {
		return nil, nil
	}
	currency := n.CurrencyOf(f, obj)
	if v.Has(f.Currency) {
		currency = strings.ToUpper(strings.TrimSpace(v.Get(f.Currency)))
	}
	minor, err := inventory.ParseMoney(typed, currency)
	if err != nil {
		return nil, invalid(f.Name, "%v", err)
	}
	return minor, nil
}

// formValue is the JSON value of what was typed; keep leaves the field as it is.
func formValue(f inventory.Field, text string) (value any, keep bool, err error) {
	switch f.Kind {
	case inventory.KindBool:
		return text == "true", false, nil
	case inventory.KindSecret:
		return text, text == "", nil
	case inventory.KindList:
		return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }), false, nil
	case inventory.KindData:
		return attributes(f, text)
	case inventory.KindInt, inventory.KindFloat:
		if text == "" && f.Nullable {
			return nil, false, nil
		}
		if text == "" || f.Money {
			return 0, false, nil // an amount is read by formAmount, which knows the currency
		}
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			return nil, false, invalid(f.Name, "must be a number")
		}
		return json.Number(text), false, nil
	case inventory.KindTime:
		return formInstant(f, text)
	}
	return text, false, nil
}

func formInstant(f inventory.Field, text string) (any, bool, error) {
	if text == "" {
		return nil, !f.Nullable, nil
	}
	t, err := time.Parse(formTime, text)
	if err != nil {
		return nil, false, invalid(f.Name, "must be a date and time (UTC)")
	}
	return t, false, nil
}

func attributes(f inventory.Field, text string) (any, bool, error) {
	m := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok && key != "" {
			return nil, false, invalid(f.Name, "write one name=value on each line")
		}
		if key != "" {
			m[key] = value
		}
	}
	return m, false, nil
}

func (s *Server) nounNew(n *inventory.Noun) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		// The address may fill in fields, as the free units of a rack do.
		typed := url.Values{}
		for name, values := range r.URL.Query() {
			typed[name] = values
		}
		return s.drawForm(w, r, who, n, n.New(), typed, nil)
	}
}

func (s *Server) drawForm(w http.ResponseWriter, r *http.Request, who caller, n *inventory.Noun, obj inventory.Object, typed url.Values, problem *api.Problem) error {
	fv, err := s.formOf(r, n, obj, typed, problem)
	if err != nil {
		return err
	}
	title := "Edit " + n.Display(obj)
	if fv.New {
		title = "New " + strings.ToLower(n.Title)
	}
	return s.render(w, r, who, "form", view{Title: title, Problem: problem, Data: fv})
}

func (s *Server) nounCreate(n *inventory.Noun) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		v, err := form(r)
		if err != nil {
			return err
		}
		made := n.New()
		err = s.Record.Edit(r.Context(), edit(r, who, v.Get("why")), func(tx inventory.Tx) error {
			made = n.New()
			return fillForm(tx, n, made, v, tx.Create)
		})
		if p, ok := again(err); ok {
			return s.drawForm(w, r, who, n, n.New(), v, p)
		}
		if err != nil {
			return err
		}
		flash(w, "%s %s was created.", n.Title, n.Display(made))
		return seeOther(w, r, localPath(v.Get("back"), pageOf(n, made)))
	}
}

// fillForm sets what a form says and stores it.
func fillForm(tx inventory.Tx, n *inventory.Noun, obj inventory.Object, v url.Values, store func(inventory.Object) error) error {
	fields, err := formFields(n, obj, settable(n, readerOf(tx.Context()).seesMoney), v)
	if err != nil {
		return err
	}
	if err := fill(tx, n, obj, fields); err != nil {
		return err
	}
	return store(obj)
}

func (s *Server) nounEdit(n *inventory.Noun) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		obj, err := s.Record.Get(r.Context(), n, r.PathValue("ref"))
		if err != nil {
			return err
		}
		return s.drawForm(w, r, who, n, obj, nil, nil)
	}
}

func (s *Server) nounUpdate(n *inventory.Noun) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		v, err := form(r)
		if err != nil {
			return err
		}
		// The revision that the form was drawn from stands for If-Match.
		r.Header.Set("If-Match", v.Get("revision"))
		var stored inventory.Object
		err = s.change(r, who, n, v.Get("why"), func(tx inventory.Tx, obj inventory.Object) error {
			stored = obj
			return fillForm(tx, n, obj, v, func(obj inventory.Object) error { return correct(tx, obj) })
		})
		if p, ok := again(err); ok {
			obj, err := s.Record.Get(r.Context(), n, r.PathValue("ref"))
			if err != nil {
				return err
			}
			return s.drawForm(w, r, who, n, obj, v, p)
		}
		if err != nil {
			return err
		}
		flash(w, "%s was saved.", n.Display(stored))
		return seeOther(w, r, localPath(v.Get("back"), pageOf(n, stored)))
	}
}

func (s *Server) nounDelete(n *inventory.Noun) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		v, err := form(r)
		if err != nil {
			return err
		}
		err = s.change(r, who, n, v.Get("why"), func(tx inventory.Tx, obj inventory.Object) error {
			return remove(tx, n, obj)
		})
		if err != nil {
			return err
		}
		flash(w, "The %s was deleted. Its entry in the change log can be undone.", strings.ToLower(n.Title))
		return seeOther(w, r, "/"+n.Plural)
	}
}

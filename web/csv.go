package web

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"berth/inventory"
)

// csvLife is how long one page of an export may take to be read by a slow client.
const csvLife = 60 * time.Second

// nounCSV exports what a list shows, all pages of it: the same conditions, order and columns. Its header are the fields' names, so that an
// import understands it; what is referred to is called by its natural key where it has one, else by its uid.
func (s *Server) nounCSV(n *inventory.Noun) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		v := withoutEmpty(r.URL.Query())
		v.Del("cursor")
		v.Del("limit")
		v.Del("format")
		q, err := s.parseQuery(r.Context(), n, v)
		if err != nil {
			return err
		}
		q.Limit, q.Count = inventory.MaxPage, false
		fields, err := csvColumns(n, who, v.Get("columns"))
		if err != nil {
			return err
		}
		page, err := s.Record.List(r.Context(), n, q)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
		w.Header().Set("Content-Disposition", `attachment; filename="`+n.Plural+`.csv"`)
		if err := s.writeCSV(w, r, n, fields, q, page, who); err != nil {
			// Half of the file is out: only a broken connection tells the reader that the rest is missing.
			s.log().Warn("an export was cut off", "noun", n.Plural, "error", err)
			panic(http.ErrAbortHandler)
		}
		return nil
	}
}

// csvColumns are the list's, with what makes the file complete: the uid, and the currency of each amount.
func csvColumns(n *inventory.Noun, who caller, names string) ([]inventory.Field, error) {
	chosen, err := chosenColumns(n, who, names)
	if err != nil {
		return nil, err
	}
	has := func(name string) bool {
		return slices.ContainsFunc(chosen, func(f inventory.Field) bool { return f.Name == name })
	}
	uid, _ := n.Field("uid")
	if !has("uid") {
		chosen = append([]inventory.Field{uid}, chosen...)
	}
	for _, f := range slices.Clone(chosen) {
		if code, ok := n.Field(f.Currency); f.Money && ok && !has(code.Name) {
			chosen = append(chosen, code)
		}
	}
	return chosen, nil
}

func (s *Server) writeCSV(w http.ResponseWriter, r *http.Request, n *inventory.Noun, fields []inventory.Field, q inventory.Query, page inventory.Page, who caller) error {
	out := csv.NewWriter(w)
	row := make([]string, len(fields))
	for i, f := range fields {
		row[i] = f.Name
	}
	if err := out.Write(row); err != nil {
		return err
	}
	rc := http.NewResponseController(w)
	for {
		redactAll(page.Items, who)
		for _, obj := range page.Items {
			for i, f := range fields {
				row[i] = csvCell(n, f, obj, page.Names)
			}
			if err := out.Write(row); err != nil {
				return err
			}
		}
		out.Flush()
		if err := out.Error(); err != nil || page.Next == "" {
			return err
		}
		_ = rc.SetWriteDeadline(time.Now().Add(csvLife)) // no deadlines: nothing to renew
		q.Cursor = page.Next
		var err error
		// Each page has a reader of its own, so that what one page held is forgotten with it.
		if page, err = s.Record.List(readingContext(r.Context(), who.SeesMoney()), n, q); err != nil {
			return err
		}
	}
}

// csvCell is a value as an import reads it again.
func csvCell(n *inventory.Noun, f inventory.Field, obj inventory.Object, names map[inventory.UID]string) string {
	value := f.Value(obj)
	if f.Money {
		if minor, known := f.AmountOf(obj); known {
			return inventory.FormatAmount(minor, n.CurrencyOf(f, obj))
		}
		return ""
	}
	switch f.Kind {
	case inventory.KindInt, inventory.KindFloat, inventory.KindBool:
		return plainNumber(deref(value), value)
	case inventory.KindTime:
		if t, ok := instant(value); ok {
			return t.UTC().Format(time.RFC3339Nano)
		}
		return ""
	case inventory.KindRef:
		return inventory.NeutralCell(csvReference(f, value.(inventory.UID), names))
	case inventory.KindList:
		return inventory.NeutralCell(strings.Join(value.([]string), "\n"))
	case inventory.KindData:
		text, err := json.Marshal(value)
		if err != nil || string(text) == "null" || string(text) == "{}" {
			return ""
		}
		return inventory.NeutralCell(string(text))
	}
	return inventory.NeutralCell(fmt.Sprint(value))
}

// plainNumber writes a number without exponent; what a nil pointer points to is not known and empty.
func plainNumber(pointed, value any) string {
	if pointed != "" {
		value = pointed
	}
	switch x := value.(type) {
	case int, int64, bool:
		return fmt.Sprint(x)
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return ""
}

func csvReference(f inventory.Field, uid inventory.UID, names map[inventory.UID]string) string {
	if to, ok := inventory.NounOf(f.Ref); ok && to.Natural != "" && names[uid] != "" {
		return names[uid]
	}
	return string(uid)
}

package text

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"berth/inventory"

	"gopkg.in/yaml.v3"
)

// sealedPrefix is how ciphertext begins; a secret that begins otherwise was typed by a person and is sealed when it is brought in.
const sealedPrefix = "age:"

// render writes the value of a field as it stands in a file, or nil where it is empty. refer writes a reference.
func render(f inventory.Field, obj inventory.Object, refer func(noun string, uid inventory.UID) string) (node, error) {
	v := reflect.ValueOf(f.Value(obj))
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil, nil
		}
		v = v.Elem()
	} else if v.IsZero() {
		return nil, nil
	}
	switch f.Kind {
	case inventory.KindRef:
		return text(refer(f.Ref, inventory.UID(v.String()))), nil
	case inventory.KindText, inventory.KindEnum:
		return text(v.String()), nil
	case inventory.KindDate:
		return literal(v.String()), nil
	case inventory.KindInt:
		return literal(strconv.FormatInt(v.Int(), 10)), nil
	case inventory.KindFloat:
		return literal(strconv.FormatFloat(v.Float(), 'g', -1, 64)), nil
	case inventory.KindBool:
		return literal(strconv.FormatBool(v.Bool())), nil
	case inventory.KindTime:
		return literal(v.Interface().(time.Time).UTC().Format(time.RFC3339Nano)), nil
	case inventory.KindSecret:
		return renderSecret(v.Interface().(inventory.Secret)), nil
	case inventory.KindList:
		return renderList(v.Interface().([]string)), nil
	}
	return renderData(v)
}

func renderSecret(s inventory.Secret) node {
	if s.IsPlain() {
		return text(s.Reveal())
	}
	return text(s.Sealed())
}

func renderList(lines []string) node {
	out := make(list, len(lines))
	for i, line := range lines {
		out[i] = text(line)
	}
	return out
}

// renderData writes a composite by way of JSON.
func renderData(v reflect.Value) (node, error) {
	data, ok := v.Interface().(json.RawMessage)
	if !ok {
		var err error
		if data, err = json.Marshal(v.Interface()); err != nil {
			return nil, err
		}
	}
	if s := strings.TrimSpace(string(data)); s == "" || s == "null" || !ok && s == "{}" {
		return nil, nil
	}
	n, err := fromJSON(data)
	if err == nil && n.empty() {
		return literal(data), nil // an empty list or mapping is not nothing
	}
	return n, err
}

// set reads a node of a file into a field that is not a reference. Errors are sentences that follow the field's name.
func set(f inventory.Field, obj inventory.Object, n *yaml.Node) error {
	switch f.Kind {
	case inventory.KindList:
		return setList(f, obj, n)
	case inventory.KindData:
		return setData(f, obj, n)
	}
	s, null, err := scalarOf(n)
	if err != nil || null {
		return err
	}
	v := reflect.ValueOf(f.Pointer(obj)).Elem()
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch f.Kind {
	case inventory.KindInt:
		number, err := strconv.ParseInt(s, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("is not a whole number: %s", cut(s))
		}
		v.SetInt(number)
	case inventory.KindFloat:
		number, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return fmt.Errorf("is not a number: %s", cut(s))
		}
		v.SetFloat(number)
	case inventory.KindBool:
		if s != "true" && s != "false" {
			return fmt.Errorf("is true or false, not %s", cut(s))
		}
		v.SetBool(s == "true")
	case inventory.KindTime:
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return fmt.Errorf("is not a time such as 2026-11-22T10:00:00Z: %s", cut(s))
		}
		v.Set(reflect.ValueOf(at.UTC()))
	case inventory.KindSecret:
		secret := inventory.PlainSecret(s)
		if strings.HasPrefix(s, sealedPrefix) {
			secret = inventory.SealedSecret(s)
		}
		v.Set(reflect.ValueOf(secret))
	default:
		v.SetString(s)
	}
	return nil
}

// scalarOf is the text of a scalar, as it stands there: 007 in a serial stays 007.
func scalarOf(n *yaml.Node) (s string, null bool, err error) {
	if n.Kind != yaml.ScalarNode {
		return "", false, fmt.Errorf("is one value, not a list or a mapping")
	}
	if n.ShortTag() == "!!binary" {
		return "", false, fmt.Errorf("is a text, not binary")
	}
	return n.Value, n.ShortTag() == "!!null", nil
}

func setList(f inventory.Field, obj inventory.Object, n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return fmt.Errorf("is a list: one line for each, behind a hyphen")
	}
	var lines []string
	for _, item := range n.Content {
		s, _, err := scalarOf(item)
		if err != nil {
			return fmt.Errorf("holds something that is not a text")
		}
		lines = append(lines, s)
	}
	f.Set(obj, lines)
	return nil
}

func setData(f inventory.Field, obj inventory.Object, n *yaml.Node) error {
	p := f.Pointer(obj)
	if words, ok := p.(*map[string]string); ok {
		return setWords(words, n)
	}
	var b strings.Builder
	if err := toJSON(&b, n, 0); err != nil {
		return err
	}
	if b.String() == "null" {
		return nil
	}
	if raw, ok := p.(*json.RawMessage); ok {
		*raw = json.RawMessage(b.String())
		return nil
	}
	if err := json.Unmarshal([]byte(b.String()), p); err != nil {
		return fmt.Errorf("does not have the form of a %s: %v", f.Name, err)
	}
	return nil
}

func setWords(words *map[string]string, n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("is a mapping of words to words")
	}
	*words = map[string]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		s, _, err := scalarOf(n.Content[i+1])
		if err != nil {
			return fmt.Errorf("%s: %w", cut(n.Content[i].Value), err)
		}
		(*words)[n.Content[i].Value] = s
	}
	return nil
}

// toJSON writes nodes as JSON, with sorted keys.
func toJSON(b *strings.Builder, n *yaml.Node, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("is nested deeper than %d", maxDepth)
	}
	switch n.Kind {
	case yaml.ScalarNode:
		return scalarJSON(b, n)
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := toJSON(b, item, depth+1); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	}
	return mappingJSON(b, n, depth)
}

func mappingJSON(b *strings.Builder, n *yaml.Node, depth int) error {
	var at []int
	for i := 0; i+1 < len(n.Content); i += 2 {
		at = append(at, i)
	}
	slices.SortFunc(at, func(i, j int) int { return strings.Compare(n.Content[i].Value, n.Content[j].Value) })
	b.WriteByte('{')
	for k, i := range at {
		if k > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quoted(n.Content[i].Value) + ":")
		if err := toJSON(b, n.Content[i+1], depth+1); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func scalarJSON(b *strings.Builder, n *yaml.Node) error {
	bare := n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	tag := n.ShortTag()
	switch {
	case bare && numberForm.MatchString(n.Value):
		b.WriteString(n.Value)
	case tag == "!!null":
		b.WriteString("null")
	case tag == "!!bool":
		b.WriteString(strings.ToLower(n.Value))
	case tag == "!!int" || tag == "!!float":
		return fmt.Errorf("%s is no number in JSON: put it in quotes, or write it in decimal digits", cut(n.Value))
	default:
		b.WriteString(quoted(n.Value))
	}
	return nil
}

func quoted(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(data)
}

// numberForm is a number of JSON (RFC 8259, section 6), whatever its size: YAML takes one that is too large for a text.
var numberForm = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// cut is a text short enough for a sentence.
func cut(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:59]) + "…"
	}
	return strconv.Quote(s)
}

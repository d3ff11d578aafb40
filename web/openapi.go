package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"berth/api"
	"berth/inventory"
)

// The OpenAPI 3.1 document is written from the route table and the nouns' descriptors, so it cannot say anything else than the server
// does. A golden file guards that it only ever grows.

type object = map[string]any

// describe writes the document.
func (s *Server) describe() []byte {
	d := document{schemas: object{}, paths: map[string]object{}}
	d.schemas["Problem"] = nil // first, so that it has this name
	d.typeSchema(reflect.TypeFor[api.Problem]())
	for _, rt := range s.routes() {
		if rt.surface == surfaceAPI {
			d.addRoute(rt)
		}
	}
	text, err := json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info": object{"title": "berth", "version": "1", "license": object{"name": "AGPL-3.0-or-later"},
			"description": "Bare-metal provisioning and inventory. Additions only: what is here stays."},
		"paths":    d.paths,
		"security": []any{object{"token": []any{}}, object{"session": []any{}}},
		"components": object{
			"schemas": d.schemas,
			"securitySchemes": object{
				"token":   object{"type": "http", "scheme": "bearer", "description": "An API token: berth_…"},
				"session": object{"type": "apiKey", "in": "cookie", "name": sessionCookie},
			},
		},
	}, "", " ")
	if err != nil {
		panic(fmt.Sprintf("web: the OpenAPI document is not JSON: %v", err)) // only maps, lists and texts: cannot be
	}
	return append(text, '\n')
}

type document struct {
	schemas object
	paths   map[string]object
}

func (d *document) addRoute(rt route) {
	path := rt.pattern
	if d.paths[path] == nil {
		d.paths[path] = object{}
	}
	op := object{"summary": rt.summary, "operationId": operationID(rt), "x-access": string(rt.need), "parameters": d.parameters(rt), "responses": d.responses(rt)}
	if body := d.requestBody(rt); body != nil {
		op["requestBody"] = body
	}
	d.paths[path][strings.ToLower(rt.method)] = op
}

// operationID is the method and the path: getMachinesRefStatus.
func operationID(rt route) string {
	id := strings.ToLower(rt.method)
	for _, word := range strings.FieldsFunc(strings.TrimPrefix(rt.pattern, "/api/v1"), func(r rune) bool { return !('a' <= r && r <= 'z') }) {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}

func (d *document) parameters(rt route) []any {
	list := []any{}
	for _, part := range strings.Split(rt.pattern, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			list = append(list, object{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"}})
		}
	}
	if rt.noun != nil && rt.method == http.MethodGet && !strings.HasSuffix(rt.pattern, "}") {
		return append(list, listParameters(rt.noun)...)
	}
	if rt.noun != nil && (rt.method == http.MethodPatch || rt.method == http.MethodDelete) {
		list = append(list, object{"name": "If-Match", "in": "header", "schema": object{"type": "string"}, "description": "The ETag as it was read; another one now answers 412."})
	}
	for _, name := range rt.query {
		list = append(list, object{"name": name, "in": "query", "schema": object{"type": "string"}})
	}
	return list
}

func listParameters(n *inventory.Noun) []any {
	query := func(name, about string, schema object) object {
		return object{"name": name, "in": "query", "schema": schema, "description": about}
	}
	text := object{"type": "string"}
	list := []any{
		query("q", "Looks for a part of the text in every search field.", text),
		query("sort", "A filter field or created_at; \"-\" in front descends.", text),
		query("limit", "Rows of a page.", object{"type": "integer", "minimum": 1, "maximum": inventory.MaxPage, "default": inventory.DefaultPage}),
		query("cursor", "next of the page before.", text),
		query("tag", "Slug of a tag that the objects have; several with commas, all of which they have.", text),
		query("format", "csv exports every page, with the columns named.", object{"type": "string", "enum": []string{"csv"}}),
		query("columns", "Of the export: fields with commas between, or all.", text),
	}
	for _, f := range n.Fields {
		if f.Filter && !f.Hidden {
			list = append(list, query(f.Name, "Equals. With an operator: "+f.Name+"__not, __in, __contains, __starts, __empty, __lt, __gt.", text))
		}
	}
	return list
}

func (d *document) requestBody(rt route) object {
	switch {
	case rt.in != nil:
		return jsonContent(d.typeSchema(reflect.TypeOf(rt.in)))
	case rt.noun != nil && rt.method == http.MethodPost:
		return jsonContent(d.nounSchema(rt.noun))
	case rt.noun != nil && rt.method == http.MethodPatch:
		return jsonContent(d.nounSchema(rt.noun))
	case rt.method == http.MethodPut:
		return object{"required": true, "content": object{"application/octet-stream": object{}}}
	}
	return nil
}

func jsonContent(schema object) object {
	return object{"required": true, "content": object{"application/json": object{"schema": schema}}}
}

func (d *document) responses(rt route) object {
	status := rt.status
	if status == 0 {
		status = http.StatusOK
	}
	success := object{"description": http.StatusText(status)}
	switch {
	case rt.stream && rt.method == http.MethodGet:
		success["content"] = object{"text/event-stream": object{}}
	case rt.out != nil:
		success["content"] = object{"application/json": object{"schema": d.typeSchema(reflect.TypeOf(rt.out))}}
	case rt.noun != nil && status != http.StatusNoContent:
		schema := d.nounSchema(rt.noun)
		if rt.method == http.MethodGet && !strings.HasSuffix(rt.pattern, "}") {
			schema = d.pageOf(schema)
		}
		success["content"] = object{"application/json": object{"schema": schema}}
	}
	return object{
		strconv.Itoa(status): success,
		"default":            object{"description": "What went wrong", "content": object{"application/problem+json": object{"schema": ref("Problem")}}},
	}
}

func (d *document) pageOf(item object) object {
	return object{"type": "object", "properties": object{
		"items": object{"type": "array", "items": item},
		"next":  object{"type": "string", "description": "Cursor of the next page; absent on the last."},
		"total": object{"type": "integer"}, "exact": object{"type": "boolean", "description": "False: at least total match."},
		"names":    object{"type": "object", "additionalProperties": object{"type": "string"}, "description": "What to call the objects referred to, by uid."},
		"withheld": object{"type": "array", "items": object{"type": "string"}, "description": "Fields that are left out because the asker may not see amounts of money."},
	}}
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

// nounSchema describes a noun by its descriptor. A machine is a device.
func (d *document) nounSchema(n *inventory.Noun) object {
	t := reflect.TypeOf(n.New()).Elem()
	if _, done := d.schemas[t.Name()]; done {
		return ref(t.Name())
	}
	d.schemas[t.Name()] = nil
	properties, required := object{}, []string{}
	for _, f := range n.Fields {
		if f.Hidden {
			continue
		}
		properties[f.Name] = d.fieldSchema(n, f)
		if f.Required {
			required = append(required, f.Name)
		}
	}
	schema := object{"type": "object", "description": n.Help, "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	d.schemas[t.Name()] = schema
	return ref(t.Name())
}

func (d *document) fieldSchema(n *inventory.Noun, f inventory.Field) object {
	schema := object{}
	switch f.Kind {
	case inventory.KindText:
		schema["type"] = "string"
	case inventory.KindRef:
		schema["type"], schema["x-ref"] = "string", f.Ref
	case inventory.KindEnum:
		schema["type"], schema["enum"] = "string", f.Values
	case inventory.KindSecret:
		schema["type"], schema["writeOnly"] = "string", true
	case inventory.KindInt:
		schema["type"] = "integer"
	case inventory.KindFloat:
		schema["type"] = "number"
	case inventory.KindBool:
		schema["type"] = "boolean"
	case inventory.KindDate:
		schema["type"], schema["format"] = "string", "date"
	case inventory.KindTime:
		schema["type"], schema["format"] = "string", "date-time"
	case inventory.KindList:
		schema["type"], schema["items"] = []string{"array", "null"}, object{"type": "string"}
	default:
		schema = d.typeSchema(reflect.TypeOf(f.Value(n.New())))
	}
	if kind, ok := schema["type"].(string); ok && f.Nullable {
		schema["type"] = []string{kind, "null"}
	}
	if f.ReadOnly {
		schema["readOnly"] = true
	}
	if about := strings.TrimSpace(f.Help + " " + unit(f)); about != "" {
		schema["description"] = about
	}
	return schema
}

func unit(f inventory.Field) string {
	if f.Unit == "" {
		return ""
	}
	return "In " + f.Unit + "."
}

var (
	timeType   = reflect.TypeFor[time.Time]()
	secretType = reflect.TypeFor[inventory.Secret]()
	rawType    = reflect.TypeFor[json.RawMessage]()
)

// typeSchema describes a Go type as encoding/json writes it.
func (d *document) typeSchema(t reflect.Type) object {
	switch t {
	case timeType:
		return object{"type": "string", "format": "date-time"}
	case secretType:
		return object{"type": "string", "writeOnly": true}
	case rawType:
		return object{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.typeSchema(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": []string{"array", "null"}, "items": d.typeSchema(t.Elem())}
	case reflect.Map:
		return object{"type": []string{"object", "null"}, "additionalProperties": d.typeSchema(t.Elem())}
	case reflect.Struct:
		return d.structSchema(t)
	case reflect.Interface:
		return object{}
	}
	return object{"type": "integer"}
}

// structSchema describes a struct under a name of its own: a noun's by its descriptor, others by their fields.
func (d *document) structSchema(t reflect.Type) object {
	for _, n := range inventory.Nouns {
		if reflect.TypeOf(n.New()).Elem() == t && n.Where == nil {
			return d.nounSchema(n)
		}
	}
	name := schemaName(t)
	if existing, done := d.schemas[name]; done && existing != nil {
		return ref(name)
	}
	properties := object{}
	d.schemas[name] = object{"type": "object", "properties": properties}
	for _, f := range reflect.VisibleFields(t) {
		if key, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() && !f.Anonymous && key != "" && key != "-" {
			properties[key] = d.typeSchema(f.Type)
		}
	}
	return ref(name)
}

// schemaName is the type's name, with its package in front where that is not api's or inventory's.
func schemaName(t reflect.Type) string {
	name, argument, generic := strings.Cut(t.Name(), "[")
	if generic { // Page[berth/inventory.Event] becomes EventPage
		parts := strings.FieldsFunc(argument, func(r rune) bool { return r == '.' || r == '/' || r == ']' })
		return parts[len(parts)-1] + name
	}
	dir := t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+1:]
	if slices.Contains([]string{"api", "inventory"}, dir) {
		return name
	}
	return strings.ToUpper(dir[:1]) + dir[1:] + name
}

// Command newtable prints the CREATE TABLE and the indexes of nouns, to begin a migration with: go run ./internal/newtable shipment parcel.
package main

import (
	"fmt"
	"os"
	"strings"

	"berth/inventory"
)

func main() {
	for _, name := range os.Args[1:] {
		n, ok := inventory.NounOf(name)
		if !ok {
			fmt.Fprintf(os.Stderr, "there is no noun %q\n", name)
			os.Exit(2)
		}
		fmt.Println(table(n))
	}
}

func table(n *inventory.Noun) string {
	var columns, indexes []string
	for _, f := range n.Fields {
		columns = append(columns, fmt.Sprintf("    %-24s %s", `"`+f.Name+`"`, columnType(f)))
		if f.Name == n.Natural {
			indexes = append(indexes, fmt.Sprintf("CREATE UNIQUE INDEX %s_key ON %q (%q);", n.Table, n.Table, f.Name))
		} else if indexed(n, f) {
			indexes = append(indexes, fmt.Sprintf("CREATE INDEX %s_%s ON %q (%q, \"uid\");", n.Table, f.Name, n.Table, f.Name))
		}
	}
	return fmt.Sprintf("CREATE TABLE %q (\n%s\n);\n%s\n", n.Table, strings.Join(columns, ",\n"), strings.Join(indexes, "\n"))
}

// indexed tells whether a list is filtered or sorted by the field, or something refers by it.
func indexed(n *inventory.Noun, f inventory.Field) bool {
	if f.Kind == inventory.KindBool || f.Kind == inventory.KindList || f.Name == "uid" {
		return false
	}
	return f.Filter || f.Kind == inventory.KindRef || f.Name == strings.TrimPrefix(n.Sort, "-")
}

func columnType(f inventory.Field) string {
	types := map[inventory.Kind]string{inventory.KindInt: "BIGINT", inventory.KindFloat: "DOUBLE PRECISION", inventory.KindBool: "BOOLEAN", inventory.KindTime: "TIMESTAMP"}
	text, ok := types[f.Kind]
	if !ok {
		text = "TEXT"
	}
	switch {
	case f.Name == "uid":
		return text + " PRIMARY KEY"
	case f.Nullable || f.Kind == inventory.KindData:
		return text
	}
	return text + " NOT NULL"
}

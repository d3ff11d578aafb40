package store

import "berth/inventory"

// maxTags bounds the tags of a query.
const maxTags = 20

// tagged adds the condition that objects have all of the tags, which are named by slug. Tags are tied to the noun of a table, not to its
// views. The index on the tagged object makes it one look-up for each row.
func tagged(n *inventory.Noun, slugs []string, where *clause) error {
	if len(slugs) > maxTags {
		return inventory.NotAllowed(n.Name, "tag", "a query may have %d tags at most", maxTags)
	}
	noun := inventory.Describe(n.New()).Name
	for _, slug := range slugs {
		if len(slug) > maxFilterText || badText(slug) {
			return inventory.NotAllowed(n.Name, "tag", "the tag is too long or not a text")
		}
		where.add(`EXISTS (SELECT 1 FROM "taggings" AS tg JOIN "tags" AS t ON t."uid" = tg."tag" WHERE tg."object" = `+quote(n.Table)+`."uid" AND tg."noun" = ? AND t."slug" = ?)`, noun, slug)
	}
	return nil
}

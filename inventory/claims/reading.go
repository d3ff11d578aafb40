package claims

import (
	"context"

	"berth/inventory"
)

// Reading is the record as a Reader, for what only looks.
func Reading(ctx context.Context, r inventory.Record) Reader { return reading{ctx, r} }

type reading struct {
	ctx    context.Context
	record inventory.Record
}

func (r reading) Get(n *inventory.Noun, ref string) (inventory.Object, error) {
	return r.record.Get(r.ctx, n, ref)
}

func (r reading) List(n *inventory.Noun, q inventory.Query) (inventory.Page, error) {
	return r.record.List(r.ctx, n, q)
}

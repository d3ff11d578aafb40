// Package devseed fills a record with plausible machines, the same for the same seed: for looking at pages, for measuring, for tests that
// need a crowd. Nothing in it reaches for a network: management controllers have addresses of the documentation range 2001:db8::/32
// (RFC 3849), which is never routed, subnets are off, and no operation is due.
package devseed

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"

	"berth/inventory"
)

// batch is how many machines are made in one edit.
const batch = 100

// Seed makes machines and all that belongs to them. The record must not hold another seeding: names are given once. What the store adds
// itself (times of creation, the change log's uids) differs from run to run.
func Seed(ctx context.Context, record inventory.Record, machines int, seed int64) error {
	if machines < 0 || machines > 1_000_000 {
		return fmt.Errorf("seed %d machines: the number is from 0 to 1,000,000", machines)
	}
	var g *ground
	err := edit(ctx, record, seed, 0, func(tx inventory.Tx, m maker) (err error) {
		g, err = m.ground(machines)
		return err
	})
	if err != nil {
		return fmt.Errorf("seed sites, racks and models: %w", err)
	}
	for first := 0; first < machines; first += batch {
		err := edit(ctx, record, seed, 1+uint64(first), func(tx inventory.Tx, m maker) error {
			for i := first; i < min(first+batch, machines); i++ {
				if err := m.machine(g, i); err != nil {
					return fmt.Errorf("machine %d: %w", i, err)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("seed machines: %w", err)
		}
	}
	return nil
}

// edit makes one edit with a stream of chance of its own, so that an edit that is run again makes the same.
func edit(ctx context.Context, record inventory.Record, seed int64, stream uint64, fn func(tx inventory.Tx, m maker) error) error {
	start := func() *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), stream)) }
	req := inventory.Request{ID: uidFrom(start()), By: inventory.Actor{Name: "berth dev seed", Level: inventory.LevelAdmin}, Why: fmt.Sprintf("seed %d", seed)}
	return record.Edit(ctx, req, func(tx inventory.Tx) error {
		return fn(tx, maker{tx: tx, random: start(), region: req.ID[:4]})
	})
}

func uidFrom(random *rand.Rand) inventory.UID {
	var b [16]byte
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return inventory.UID(hex.EncodeToString(b[:]))
}

// maker makes objects in one edit.
type maker struct {
	tx     inventory.Tx
	random *rand.Rand
	region inventory.UID
}

// uid makes a uid in the region of this edit: what is made together lies together in the database's indexes, which then touches a few of
// their pages at each commit instead of all.
func (m maker) uid() inventory.UID { return m.region + uidFrom(m.random)[len(m.region):] }

// hex is 32 hexadecimal digits by chance.
func (m maker) hex() string { return string(uidFrom(m.random)) }

// create stores objects under uids of the seed.
func (m maker) create(objects ...inventory.Object) error {
	for _, obj := range objects {
		if obj.Head().UID == "" {
			obj.Head().UID = m.uid()
		}
		if err := m.tx.Create(obj); err != nil {
			return err
		}
	}
	return nil
}

func pick[T any](m maker, list []T) T { return list[m.random.IntN(len(list))] }

// chance is true in percent of 100 cases.
func (m maker) chance(percent int) bool { return m.random.IntN(100) < percent }

// code makes a serial of length characters, without those that are read for one another.
func (m maker) code(length int) string {
	const letters = "0123456789ABCDEFGHJKLMNPRSTVWXYZ"
	b := make([]byte, length)
	for i := range b {
		b[i] = letters[m.random.IntN(len(letters))]
	}
	return string(b)
}

// past is a moment before the seeding's own "now", which is fixed so that the same seed gives the same record.
func (m maker) past(within time.Duration) time.Time {
	now := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	return now.Add(-time.Duration(m.random.Int64N(int64(within)))).Truncate(time.Second)
}

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

// bulkBatch is how many other assets are: larger edits write fewer pages of the indexes twice.
const bulkBatch = 500

// Size is how large a crowd is.
type Size struct {
	Machines   int // that berth boots, with all that belongs to them: controllers, sights, history
	Assets     int // in all, those of machines among them; fewer than the machines bring are as many as they bring
	Components int // in all; likewise
}

// most bounds each number of a Size.
const most = 10_000_000

// Seed makes machines and all that belongs to them.
func Seed(ctx context.Context, record inventory.Record, machines int, seed int64) error {
	return SeedAll(ctx, record, Size{Machines: machines}, seed)
}

// SeedAll makes a crowd. The record must not hold another seeding: names are given once. What the store adds itself (times of
// creation, the change log's uids) differs from run to run.
//
// To a hundred assets there are about two racks, one shipment of three parcels, and half an acquisition; of every other noun that people
// keep there is at least one.
func SeedAll(ctx context.Context, record inventory.Record, size Size, seed int64) error {
	for _, n := range []int{size.Machines, size.Assets, size.Components} {
		if n < 0 || n > most {
			return fmt.Errorf("seed %d machines, %d assets and %d components: each number is from 0 to %d", size.Machines, size.Assets, size.Components, most)
		}
	}
	s := seeding{ctx: ctx, record: record, seed: seed, size: size}
	if err := s.ground(); err != nil {
		return fmt.Errorf("seed sites, racks and models: %w", err)
	}
	if err := s.machines(); err != nil {
		return fmt.Errorf("seed machines: %w", err)
	}
	if err := s.others(); err != nil {
		return fmt.Errorf("seed assets: %w", err)
	}
	return nil
}

// seeding is a crowd in the making.
type seeding struct {
	ctx    context.Context
	record inventory.Record
	seed   int64
	size   Size
	on     *ground
	made   tally // so far
}

// tally counts what has a number that is asked for.
type tally struct{ assets, components int }

func (s *seeding) ground() error {
	return edit(s.ctx, s.record, s.seed, 0, func(tx inventory.Tx, m maker) (err error) {
		if s.on, err = m.ground(s.size); err == nil {
			err = m.papers(s.on)
		}
		s.made = *m.made
		return err
	})
}

func (s *seeding) machines() error {
	for first := 0; first < s.size.Machines; first += batch {
		err := s.batch(1+uint64(first), func(m maker) error {
			for i := first; i < min(first+batch, s.size.Machines); i++ {
				if err := m.machine(s.on, i); err != nil {
					return fmt.Errorf("machine %d: %w", i, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// others makes the assets and components that are missing to the numbers asked for.
func (s *seeding) others() error {
	assets, components := max(0, s.size.Assets-s.made.assets), max(0, s.size.Components-s.made.components)
	parts := func(n int) int { // how many of the components the first n assets have
		return components * n / max(1, assets)
	}
	from := s.size.Machines // tags and places go on where those of machines end
	for first := 0; first < assets; first += bulkBatch {
		err := s.batch(1<<32+uint64(first), func(m maker) error {
			return m.bulk(s.on, from+first, from+min(first+bulkBatch, assets), func(asset int) int { return parts(asset-from+1) - parts(asset-from) })
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// batch makes an edit and adds up what it made.
func (s *seeding) batch(stream uint64, fn func(m maker) error) error {
	var made tally
	err := edit(s.ctx, s.record, s.seed, stream, func(_ inventory.Tx, m maker) error {
		err := fn(m)
		made = *m.made
		return err
	})
	s.made.assets += made.assets
	s.made.components += made.components
	return err
}

// edit makes one edit with a stream of chance of its own, so that an edit that is run again makes the same.
func edit(ctx context.Context, record inventory.Record, seed int64, stream uint64, fn func(tx inventory.Tx, m maker) error) error {
	start := func() *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), stream)) }
	req := inventory.Request{ID: uidFrom(start()), By: inventory.Actor{Name: "berth dev seed", Level: inventory.LevelAdmin}, Why: fmt.Sprintf("seed %d", seed)}
	return record.Edit(ctx, req, func(tx inventory.Tx) error {
		return fn(tx, maker{tx: tx, random: start(), region: req.ID[:4], made: new(tally)})
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
	made   *tally
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
		switch obj.(type) {
		case *inventory.Asset:
			m.made.assets++
		case *inventory.Component:
			m.made.components++
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

package store

import (
	"fmt"
	"sync/atomic"
	"testing"

	"berth/internal/pgtest"
	"berth/inventory"
)

// BenchmarkEdit is a durable change of one object, from 16 goroutines at once: what group commit is for.
func BenchmarkEdit(b *testing.B) {
	for name, opt := range map[string]func(b *testing.B) Options{
		"sqlite":   func(b *testing.B) Options { return Options{Dir: b.TempDir()} },
		"postgres": func(b *testing.B) Options { return Options{DSN: pgtest.Database(b)} },
	} {
		b.Run(name, func(b *testing.B) {
			s := openTest(b, opt(b))
			var next atomic.Int64
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				site := create(b, s, &inventory.Site{Name: fmt.Sprint("site ", next.Add(1))})
				for pb.Next() {
					mustEdit(b, s, func(tx inventory.Tx) error {
						now, err := inventory.TxGet[inventory.Site](tx, string(site.UID))
						if err != nil {
							return err
						}
						now.SupplyVoltageV = (now.SupplyVoltageV + 1) % 1000
						return tx.Update(now)
					})
				}
			})
		})
	}
}

package finance

import (
	"math/big"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestShares(t *testing.T) {
	cases := []struct {
		amount  int64
		weights []int64
		want    []int64
	}{
		{100, []int64{1, 1, 1}, []int64{34, 33, 33}},
		{100, []int64{1, 2, 1}, []int64{25, 50, 25}},
		{10, []int64{3, 3, 3, 1}, []int64{3, 3, 3, 1}},
		{7, []int64{0, 0}, []int64{4, 3}},
		{7, []int64{0, 5}, []int64{0, 7}},
		{7, []int64{-3, 5}, []int64{0, 7}},
		{-100, []int64{1, 1, 1}, []int64{-34, -33, -33}},
		{0, []int64{1, 2}, []int64{0, 0}},
		{1, []int64{1, 2}, []int64{0, 1}},
		{1_000_000_000_000_000, []int64{1_000_000_000_000_000, 1_000_000_000_000_000, 1}, []int64{500_000_000_000_000, 500_000_000_000_000, 0}},
	}
	for _, c := range cases {
		if got := Shares(c.amount, c.weights); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%d by %v: %v, not %v", c.amount, c.weights, got, c.want)
		}
	}
	if got := Shares(5, nil); got != nil {
		t.Errorf("nobody shares: %v", got)
	}
}

func TestSharesAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Int64Range(-1_000_000_000_000_000, 1_000_000_000_000_000).Draw(t, "amount")
		weights := rapid.SliceOfN(rapid.Int64Range(0, 1_000_000_000_000_000), 1, 60).Draw(t, "weights")
		total := new(big.Int)
		for _, w := range weights {
			total.Add(total, big.NewInt(w))
		}
		sum := int64(0)
		for i, share := range Shares(amount, weights) {
			sum += share
			if total.Sign() == 0 {
				continue
			}
			// |share × total − amount × weight| < total: nobody is further than a minor unit from the exact part.
			off := new(big.Int).Sub(new(big.Int).Mul(big.NewInt(share), total), new(big.Int).Mul(big.NewInt(amount), big.NewInt(weights[i])))
			if off.CmpAbs(total) >= 0 {
				t.Fatalf("share %d of %d is %d of %v", i, amount, share, weights)
			}
		}
		if sum != amount {
			t.Fatalf("the shares of %d sum up to %d", amount, sum)
		}
	})
}

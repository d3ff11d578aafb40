package finance

import (
	"cmp"
	"math/big"
	"slices"
)

// Shares divides amount in proportion to weights, exactly: the shares sum up to amount, and none is further than one minor unit from its
// exact part (largest remainder; among equals the first get the odd units). Weights below zero count as zero; if none is above zero, all count alike.
// Without weights there is nobody to share, and the answer is empty.
func Shares(amount int64, weights []int64) []int64 {
	if len(weights) == 0 {
		return nil
	}
	// A sum of many weights times an amount is larger than 64 bits.
	total := new(big.Int)
	parts := make([]*big.Int, len(weights))
	for i, w := range weights {
		parts[i] = big.NewInt(max(w, 0))
		total.Add(total, parts[i])
	}
	if total.Sign() == 0 {
		for i := range parts {
			parts[i] = big.NewInt(1)
		}
		total.SetInt64(int64(len(parts)))
	}
	sign := int64(1)
	if amount < 0 {
		sign = -1
	}
	whole := new(big.Int).Abs(big.NewInt(amount))
	shares := make([]int64, len(parts))
	left := make([]*big.Int, len(parts)) // remainders
	rest := new(big.Int).Set(whole)
	for i, part := range parts {
		q, r := new(big.Int).QuoRem(new(big.Int).Mul(whole, part), total, new(big.Int))
		shares[i], left[i] = sign*q.Int64(), r
		rest.Sub(rest, q)
	}
	order := make([]int, len(parts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Or(left[b].Cmp(left[a]), cmp.Compare(a, b)) })
	for _, i := range order[:rest.Int64()] {
		shares[i] += sign
	}
	return shares
}

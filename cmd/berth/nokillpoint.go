//go:build !killpoint

package main

import "berth/provision"

// watched is where a build for tests puts its kill points (killpoint.go).
func watched(l provision.Ledger) provision.Ledger { return l }

package ipmi

import (
	"context"

	"berth/bmc"
)

// For the tests outside: Open with a given ipmitool, and where it was found.
var (
	Opener       = opener
	FindIpmitool = findIpmitool
)

// LoginWith opens and closes a session with one cipher suite.
func LoginWith(ctx context.Context, t bmc.Target, id byte) error {
	l, err := dial(ctx, t)
	if err != nil {
		return err
	}
	s, err := login(ctx, l, t, map[byte][]suite{3: {suite3}, 17: {suite17}}[id])
	if err != nil {
		return err
	}
	return s.close(ctx)
}

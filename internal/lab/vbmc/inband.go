package vbmc

import (
	"context"
	"fmt"
	"net"

	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/types"
	"github.com/bougou/go-ipmi/pkg/vmproto"
)

// ServeInband answers host's own system interface, by which the operating
// system on it asks its controller: QEMU's ipmi-bmc-extern connects to l. It
// needs no login, as on a real board, and goes on when the controller resets.
// Close ends it.
func (b *BMC) ServeInband(host Host, l net.Listener) error {
	username, password := b.Credentials()
	s, err := newIPMI(b, host, username, password)
	if err != nil {
		return fmt.Errorf("virtual BMC: %w", err)
	}
	srv := vmproto.NewVMServer(s.state, vmproto.WithVMHandlerRegistry(s.registry()))
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.closed:
		return net.ErrClosed
	default:
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.work.Go(func() {
		<-b.closed
		cancel()
	})
	b.work.Go(func() {
		if err := srv.Serve(ctx, l); err != nil {
			b.log.Error("virtual BMC: system interface ended", "err", err)
		}
	})
	return nil
}

// The operating system's driver turns interrupts and message queues on before
// it believes in a controller: IPMI 2.0 section 22.1 to 22.4. There are no
// messages here, but what was turned on reads back.
func (s *ipmiServer) setEnables(_ context.Context, _ *handlers.HandlerContext, req []byte) ([]byte, types.CompletionCode, error) {
	if len(req) < 1 {
		return nil, types.CodeRequestDataTruncated, nil
	}
	s.enables.Store(uint32(req[0]))
	return nil, types.CodeOK, nil
}

func (s *ipmiServer) getEnables(context.Context, *handlers.HandlerContext, []byte) ([]byte, types.CompletionCode, error) {
	return []byte{byte(s.enables.Load())}, types.CodeOK, nil
}

func (s *ipmiServer) messageFlags(context.Context, *handlers.HandlerContext, []byte) ([]byte, types.CompletionCode, error) {
	return []byte{0}, types.CodeOK, nil
}

// accept is for commands that have nothing to do here.
func (s *ipmiServer) accept(context.Context, *handlers.HandlerContext, []byte) ([]byte, types.CompletionCode, error) {
	return nil, types.CodeOK, nil
}

package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/agentrun-dev/agentrun/durable"
)

// listen listens on one of the server's addresses. One that other machines reach is refused unless
// everything that is said there is encrypted, and everybody who speaks has a token.
func (o *Options) listen(ctx context.Context, flag, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %s %q is not HOST:PORT: %w", durable.ErrInvalid, flag, address, err)
	}
	if err := o.checkHost(ctx, flag, host); err != nil {
		return nil, err
	}
	lis, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s %s is in use by another program; stop it, or choose another port (0 is any that is free): %w", flag, address, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", flag, address, err)
	}
	// A name may have come to mean another address since.
	if a, ok := lis.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
		if err := o.checkOpen(flag, address); err != nil {
			return nil, errors.Join(err, lis.Close())
		}
	}
	return lis, nil
}

func (o *Options) checkHost(ctx context.Context, flag, host string) error {
	if host == "" {
		return o.checkOpen(flag, "all addresses")
	}
	found, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return fmt.Errorf("%s %s: %w", flag, host, err)
	}
	for _, a := range found {
		if !a.IP.IsLoopback() {
			return o.checkOpen(flag, host)
		}
	}
	return nil
}

// checkOpen says what is missing for an address that other machines reach.
func (o *Options) checkOpen(flag, what string) error {
	switch {
	case o.TLS == nil && !o.RequireToken:
		return fmt.Errorf("%w: %s: other machines reach %s; that needs --tls-cert, --tls-key and --require-token (or listen on 127.0.0.1)", durable.ErrInvalid, flag, what)
	case o.TLS == nil:
		return fmt.Errorf("%w: %s: other machines reach %s, and tokens would cross the network in the clear; that needs --tls-cert and --tls-key (or listen on 127.0.0.1)", durable.ErrInvalid, flag, what)
	case !o.RequireToken:
		return fmt.Errorf("%w: %s: other machines reach %s, and everybody there could do everything; that needs --require-token (or listen on 127.0.0.1)", durable.ErrInvalid, flag, what)
	}
	return nil
}

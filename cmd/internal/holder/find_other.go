//go:build !linux

package holder

import (
	"errors"
	"fmt"
	"net/netip"
)

// Find is for Linux alone: elsewhere the error is [errors.ErrUnsupported].
func Find(network string, at netip.AddrPort) ([]Holder, error) {
	return nil, unsupported(network, at)
}

// Others is for Linux alone: elsewhere the error is [errors.ErrUnsupported].
func Others(network string, at netip.AddrPort) ([]Holder, error) {
	return nil, unsupported(network, at)
}

func unsupported(network string, at netip.AddrPort) error {
	return fmt.Errorf("finding out who holds %s %s: %w", network, at, errors.ErrUnsupported)
}

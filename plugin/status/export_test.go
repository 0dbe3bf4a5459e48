package status

import (
	"net/http"
	"net/netip"
)

// At returns what answers at an address that is open.
func (s *Servers) At(addr netip.AddrPort) http.Handler {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[addr.String()]
}

// Render returns a cluster as it is shown.
var Render = render

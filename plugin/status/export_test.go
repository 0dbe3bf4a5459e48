package status

import (
	"net/http"
	"net/netip"
)

// At returns what answers at an address, or nil.
func (s *Servers) At(addr netip.AddrPort) http.Handler {
	s.mu.Lock()
	defer s.mu.Unlock()
	if srv := s.open[addr.String()]; srv != nil {
		return srv.door
	}
	return nil
}

// Render returns a cluster as it is shown.
var Render = render

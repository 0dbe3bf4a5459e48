package lane

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"time"
)

// The kernel numbers the sockets of a group in the order in which they were bound, and gives the number of one that is
// closed to the last one. It tells nobody, so a lane asks: while it is steered with a key, a sight, which is that key
// and a number, comes to the socket that has the number.

const (
	// sightSize is the length of a sight. It is less than a header's, so a socket of CoreDNS ignores it.
	sightSize = len(key{}) + 2
	// nowhere is a place that no group has: the kernel then chooses by its own hash, among all sockets of the group.
	nowhere = 1 << 20
	// sightTime is how long sights may take. They wait behind the packets that a socket has: 6,000 at most, 30 ms unless
	// the host is too busy.
	sightTime = 500 * time.Millisecond
	// morePlaces is how many more sockets than it knows of a lane thinks of: those of another process, of an instance
	// that is about to end.
	morePlaces = 32
)

// steering says where the kernel leads the packets of a group: to the sockets at the places, and a sight with the key to
// where it says. The zero key has none.
type steering struct {
	places []int
	key    key
}

// key is what nobody else can know.
type key [8]byte

// search is a running search for the places of the lane's sockets.
type search struct {
	key    key
	before key // of the search before, whose last sights may come late
	found  chan sighting
}

// sighting says that the worker with the number has read the sight for the place.
type sighting struct{ worker, place int }

// sight is called by workers with each packet that is shorter than a message, and reports whether it was a sight.
func (l *lane) sight(worker int, packet []byte) bool {
	s := l.search.Load()
	if s == nil || len(packet) != sightSize {
		return false
	}
	switch key(packet) {
	case s.before:
		return true
	case s.key:
	default:
		return false
	}
	select {
	case s.found <- sighting{worker, int(binary.BigEndian.Uint16(packet[len(s.key):]))}:
	default: // more than were sent
	}
	return true
}

// locate returns the places of the sockets, by number of their worker. It returns none if no sight comes: a firewall may
// be in the way, or somebody else have the address that they are sent to. It asks twice and believes what is the same:
// sights get lost in a flood.
func (l *lane) locate(ctx context.Context, steered []int) []int {
	for _, to := range reachable(l.workers[0].conn.local()) {
		places := l.ask(ctx, to, steered)
		if places != nil && slices.Equal(places, l.ask(ctx, to, steered)) {
			return places
		}
	}
	return nil
}

// ask sends sights to an address of the sockets, and returns the places that they tell; none if some are not told.
func (l *lane) ask(ctx context.Context, to netip.AddrPort, steered []int) []int {
	most := 2*(l.others()+len(l.workers)) + morePlaces
	s := &search{found: make(chan sighting, most)}
	_, _ = rand.Read(s.key[:]) // never fails
	if last := l.search.Load(); last != nil {
		s.before = last.key
	}
	l.search.Store(s)
	if l.kernel.steer(l.workers[0].conn, steering{places: steered, key: s.key}) != nil {
		return nil
	}
	sights := make([][]byte, most)
	for place := range sights {
		sights[place] = binary.BigEndian.AppendUint16(bytes.Clone(s.key[:]), uint16(place)) //nolint:gosec // a few
	}
	if l.kernel.ask(ctx, to, sights) != nil {
		return nil
	}
	return l.gather(ctx, s)
}

// gather waits for a sight by each worker. Its first one is right: they are sent in order, and those for a place that
// no socket has, which the kernel leads anywhere, come behind.
func (l *lane) gather(ctx context.Context, s *search) []int {
	ctx, cancel := context.WithTimeout(ctx, sightTime)
	defer cancel()
	places := make([]int, len(l.workers))
	for i := range places {
		places[i] = nowhere
	}
	for slices.Contains(places, nowhere) {
		select {
		case f := <-s.found:
			if f.worker < len(places) && places[f.worker] == nowhere {
				places[f.worker] = f.place
			}
		case <-ctx.Done():
			return nil
		}
	}
	return places
}

// reachable returns where this host reaches a socket of its own that is bound to the address. That is nowhere if the
// address is not one of its interfaces', as with one that another host has taken over: sights never leave the host.
func reachable(local net.Addr) []netip.AddrPort {
	udp, ok := local.(*net.UDPAddr)
	if !ok {
		return nil
	}
	at := netip.AddrPortFrom(udp.AddrPort().Addr().Unmap(), udp.AddrPort().Port())
	switch {
	case at.Addr().IsUnspecified():
		return []netip.AddrPort{
			netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()),
			netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 2}), at.Port()), // if another server is bound to the first
			netip.AddrPortFrom(netip.IPv6Loopback(), at.Port()),
		}
	case at.Addr().IsLoopback() || isOurs(at.Addr()):
		return []netip.AddrPort{at}
	}
	return nil
}

// isOurs reports whether an interface of this host has the address.
func isOurs(addr netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(all, func(a net.Addr) bool {
		prefix, ok := a.(*net.IPNet)
		return ok && prefix.IP.Equal(addr.AsSlice())
	})
}

package lane

import (
	"slices"
	"sync"

	"github.com/coredns/coredns/core/dnsserver"
	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

var log = clog.NewWithPlugin("plex")

// Lanes are the lanes of a process. They outlive the instances of CoreDNS, so that a reload loses no packet. The zero
// Lanes is ready. It collects its own metrics.
type Lanes struct {
	turn sync.Mutex // held while lanes are opened, handed on and ended: one after another

	mu      sync.Mutex          // of what follows, never held for long
	claims  map[string][]*claim // by address, oldest first
	lanes   map[string]*lane    // by address
	ledgers map[string]*ledger  // by address; they stay, since counters only grow

	kernel *kernel // nil: the system's
}

var _ prometheus.Collector = (*Lanes)(nil)

// claim is what an instance wants at an address.
type claim struct {
	owner  any
	plan   Plan
	served bool // its server has come
	failed bool // there is no lane to be had
}

// Claim says what an instance wants when it serves. Until then nothing changes.
func (l *Lanes) Claim(owner any, p Plan) {
	limitReads(p.Addr) // sockets that are handed down to this instance, or to the next one
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.claims == nil {
		l.claims, l.lanes, l.ledgers = map[string][]*claim{}, map[string]*lane{}, map[string]*ledger{}
	}
	if l.ledgers[p.Addr] == nil {
		l.ledgers[p.Addr] = &ledger{}
	}
	l.claims[p.Addr] = append(without(l.claims[p.Addr], owner), &claim{owner: owner, plan: p})
}

// Serve is called by each server of an instance that has claimed the address, when all of its sockets are bound.
// The writer is that of other plugins, or nil. What it returns is the server's.
func (l *Lanes) Serve(owner any, s *dnsserver.Server, writer dns.DecorateWriter) dns.DecorateWriter {
	if !Supported {
		return writer
	}
	l.turn.Lock()
	defer l.turn.Unlock()
	c, current := l.find(owner, s.Addr)
	if c == nil || c.failed || c.plan.Routes.empty() {
		return writer
	}
	limitReads(s.Addr)
	switch {
	case c.served && current != nil: // by another server of the instance, with a socket of its own
	case current == nil:
		current = l.open(c, s, writer)
	default:
		current.give(newService(owner, c.plan, s, writer))
		if err := current.resize(); err != nil {
			c.plan.Warn("the fast lane at %s has not the sockets that it shall have: %v", s.Addr, err)
		}
	}
	c.served = true
	if c.failed = current == nil; c.failed {
		return writer
	}
	return current.watch(writer)
}

// open opens a lane for the server. If it cannot, it says so, and CoreDNS answers alone.
func (l *Lanes) open(c *claim, s *dnsserver.Server, writer dns.DecorateWriter) *lane {
	k := systems
	if l.kernel != nil {
		k = *l.kernel
	}
	l.mu.Lock()
	ledger := l.ledgers[s.Addr]
	l.mu.Unlock()
	opened := newLane(k, newService(c.owner, c.plan, s, writer), ledger)
	if err := opened.open(); err != nil {
		c.plan.Warn("no fast lane at %s, CoreDNS answers alone: %v", s.Addr, err)
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lanes[s.Addr] = opened
	return opened
}

// Release gives up what an instance has claimed: it has ended, or never came to serve. A lane that nobody else has
// claimed leads its packets back to CoreDNS's sockets, answers what it has and ends; Release waits for that, some
// 5 s at most. It returns when nothing asks the instance's blocks any more.
func (l *Lanes) Release(owner any) {
	l.turn.Lock()
	defer l.turn.Unlock()
	var ending sync.WaitGroup
	defer ending.Wait()
	for _, addr := range l.addresses() {
		c, current := l.drop(owner, addr)
		switch {
		case current == nil || current.service.Load().owner != owner:
		case c == nil || c.plan.Routes.empty():
			l.forget(addr)
			ending.Go(current.end)
		default: // its server comes; until then CoreDNS's part is done by the one that ends
			current.give(current.service.Load().with(c.owner, c.plan))
		}
	}
}

// find returns the owner's claim to the address and the lane there, nil for each that there is not.
func (l *Lanes) find(owner any, addr string) (*claim, *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.claims[addr] {
		if c.owner == owner {
			return c, l.lanes[addr]
		}
	}
	return nil, l.lanes[addr]
}

// drop takes the owner's claim to the address away, and returns the newest of those that were made after it and the lane
// there. Older ones that never came to serve are dropped with it: nobody says so when the first start of all fails.
func (l *Lanes) drop(owner any, addr string) (*claim, *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	claims := l.claims[addr]
	at := slices.IndexFunc(claims, func(c *claim) bool { return c.owner == owner })
	if at < 0 {
		return nil, nil
	}
	newer := claims[at+1:]
	rest := slices.Concat(slices.DeleteFunc(slices.Clone(claims[:at]), func(c *claim) bool { return !c.served }), newer)
	if l.claims[addr] = rest; len(rest) == 0 {
		delete(l.claims, addr)
	}
	if len(newer) == 0 {
		return nil, l.lanes[addr]
	}
	return newer[len(newer)-1], l.lanes[addr]
}

// forget takes a lane out.
func (l *Lanes) forget(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.lanes, addr)
}

// addresses returns the claimed addresses.
func (l *Lanes) addresses() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for addr := range l.claims {
		all = append(all, addr)
	}
	return all
}

// without returns the claims of others than the owner.
func without(claims []*claim, owner any) []*claim {
	return slices.DeleteFunc(slices.Clone(claims), func(c *claim) bool { return c.owner == owner })
}

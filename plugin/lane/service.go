package lane

import (
	"sync"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/miekg/dns"
)

// service is what an instance of CoreDNS gives to a lane. It never changes; a lane goes from one to the next.
type service struct {
	owner any
	plan  Plan

	// Packets have two ways to CoreDNS. Questions within the blocks' names have one for themselves: they must not stand
	// behind those for an upstream that does not answer.
	own, others *handOff
}

func newService(owner any, p Plan, s *dnsserver.Server, writer dns.DecorateWriter) *service {
	return &service{owner, p, newHandOff(s, writer, inFlightOwn), newHandOff(s, writer, inFlight)}
}

// with returns the service for another owner, who has no server yet.
func (s *service) with(owner any, p Plan) *service { return &service{owner, p, s.own, s.others} }

// again returns the service with hand-offs that have nothing to do yet.
func (s *service) again() *service {
	return newService(s.owner, s.plan, s.own.target, s.own.server.DecorateWriter)
}

// handOff returns the way of a packet.
func (s *service) handOff(packet []byte) *handOff {
	if s.plan.Routes.own(packet) {
		return s.own
	}
	return s.others
}

// close waits until nothing is left of what was handed over, for a time at most.
func (s *service) close(wait time.Duration) {
	var both sync.WaitGroup
	both.Go(func() { s.own.close(wait) })
	both.Go(func() { s.others.close(wait) })
	both.Wait()
}

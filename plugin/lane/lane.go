// Package lane answers the questions whose answers lie ready on sockets of its own, beside those of CoreDNS, and
// hands every other packet to CoreDNS as it came.
//
// A lane belongs to a listen address. Its sockets are members of the kernel's group of sockets that share the
// address, and a classic BPF program leads all packets to them. Nothing but speed depends on that: a packet that
// reaches a socket of CoreDNS is answered there.
package lane

import (
	"net/netip"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/miekg/dns"

	"plexha/plugin/pack"
)

// Block answers for one plex block. Its methods may be called at any time, from several goroutines.
type Block interface {
	// Answer appends the answer for a client at addr to dst and takes it into the tally. It returns nil if CoreDNS
	// shall answer. It keeps neither q nor dst, and allocates nothing.
	Answer(dst []byte, q *pack.Question, addr netip.Addr, t Tally) []byte
	// Tally returns a new tally for what one worker answers at the address, such as dns://:53.
	Tally(addr string) Tally
}

// Tally counts answers for one worker, who alone uses it.
type Tally interface {
	// Flush hands on what was counted since the last time. It is called after each batch.
	Flush()
}

// Plan is what an instance wants at one listen address.
type Plan struct {
	Addr    string  // as CoreDNS's server has it, such as dns://:53
	Routes  *Routes // which names are whose
	Sockets int     // of the lane; 0: as many as there are CPUs for
	Others  int     // sockets of CoreDNS at the address: what `multisocket` says, else 1

	Info, Warn func(format string, args ...any)
}

// Routes tell whose a name is.
type Routes struct {
	cuts map[string]Block // by name, in lower-case wire form; nil: CoreDNS's, with all below it
}

// Lanes are the lanes of a process. They outlive the instances of CoreDNS, so that a reload loses no packet. The zero
// Lanes is ready.
type Lanes struct{}

// Claim says what an instance wants when it serves. Until then nothing changes.
func (l *Lanes) Claim(owner any, p Plan) {}

// Serve is called by each server of an instance that has claimed the address, when all of its sockets are bound.
// The writer is that of other plugins, or nil. What it returns is the server's.
func (l *Lanes) Serve(owner any, s *dnsserver.Server, writer dns.DecorateWriter) dns.DecorateWriter {
	return writer
}

// Release gives up what an instance has claimed: it has ended, or never came to serve. A lane that nobody else has
// claimed leads its packets back to CoreDNS's sockets, answers what it has and ends; Release waits for that, at
// most 5 s.
func (l *Lanes) Release(owner any) {}

// Package lane answers the questions whose answers lie ready on sockets of its own, beside those of CoreDNS, and
// hands every other packet to CoreDNS as it came.
//
// A lane belongs to a listen address. Its sockets are members of the kernel's group of sockets that share the
// address, and a classic BPF program leads all packets to them. Nothing but speed depends on that: a packet that
// reaches a socket of CoreDNS is answered there.
//
// Each socket has a worker. It reads what is there, a batch at most, answers what a [Block] answers and sends that
// before it reads again. Nothing is allocated for a packet that is answered. What no block answers goes to a server
// of the dns library that reads from a queue instead of a socket, and from there through CoreDNS's chain.
package lane

import (
	"net/netip"

	"plexha/plugin/pack"
)

// Block answers for one plex block. Its methods may be called at any time, from several goroutines. It is compared
// with others, as a pointer is.
type Block interface {
	// Answer appends the answer for a client at addr to dst and takes it into the tally. It returns nil if CoreDNS
	// shall answer, and has written nothing to dst then, whose bytes are those of the question's packet: the answer
	// begins as that does (see [pack.Answer.Append]). It keeps neither q nor dst, and allocates nothing. The address is
	// of its own family, an IPv4 one never in IPv6 form, and has no zone. The tally is one that Tally gave.
	Answer(dst []byte, q *pack.Question, addr netip.Addr, t Tally) []byte
	// Tally returns a new tally for what one worker answers at the address, such as dns://:53.
	Tally(addr string) Tally
}

// Tally counts answers for one worker, who alone uses it.
type Tally interface {
	// Flush hands on what was counted since the last time. It is called after each batch with a question for the block.
	Flush()
}

// Plan is what an instance wants at one listen address.
type Plan struct {
	Addr    string  // as CoreDNS's server has it, such as dns://:53
	Routes  *Routes // which names are whose; if none is a block's, there is no lane
	Sockets int     // of the lane; 0: as many as there are CPUs for
	Others  int     // sockets of CoreDNS at the address: what `multisocket` says, else 1; for want of a better way to tell

	Info, Warn func(format string, args ...any) // never called once the instance has released its claims
}

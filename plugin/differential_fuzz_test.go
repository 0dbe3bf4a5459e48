package plugin_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// fuzzed are the shapes that packets are sent to.
var fuzzed = []string{
	"proxies in turns", "zone files and a wildcard", "zone files before a plugin", "zones in each other", "nothing is up: an error",
	"very many addresses", "passthrough",
}

// FuzzLaneAgainstChain sends any packet to lane and chain, and to a chain that writes the bytes which lie ready.
func FuzzLaneAgainstChain(f *testing.F) {
	type pair struct {
		messages, bytes *chain
		lane            *worker
	}
	var pairs []pair
	for i, what := range fuzzed {
		s := shapeOf(f, what)
		one, other := s.build(f), s.build(f)
		other.WriteBytes(true)
		pairs = append(pairs, pair{coreDNS(f, one), coreDNS(f, other), newWorker(routesTo(f, one))})
		all := s.questions(f, rand.New(rand.NewPCG(4, uint64(i)))) //nolint:gosec // the same each time
		for _, a := range all[:15] {
			f.Add(a.packet, uint8(i), uint8(i)) //nolint:gosec // there are few shapes
		}
	}
	f.Fuzz(func(t *testing.T, packet []byte, where, who uint8) {
		const asMuchAsCoreDNSReads = 512
		if len(packet) > asMuchAsCoreDNSReads {
			return
		}
		p, from := pairs[int(where)%len(pairs)], clients[int(who)%len(clients)]
		a := sent{packet, from, fuzzed[int(where)%len(pairs)]}
		answer := bytes.Clone(p.lane.answer(packet, from))
		p.lane.flush()
		message, err := p.messages.try(packet, from)
		if err != nil {
			t.Fatalf("%v: %v", a, err)
		}
		if answer != nil && !sameAnswer(answer, message) {
			t.Errorf("%v\nlane:  %s\nchain: %s", a, show(answer), show(message))
		}
		written, err := p.bytes.try(packet, from)
		if err != nil || !sameAnswer(written, message) {
			t.Errorf("%v\nbytes:   %s, %v\nmessage: %s", a, show(written), err, show(message))
		}
	})
}

func shapeOf(t testing.TB, what string) shape {
	t.Helper()
	for _, s := range shapes {
		if s.what == what {
			return s
		}
	}
	t.Fatalf("no shape %q", what)
	return shape{}
}

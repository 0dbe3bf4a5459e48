package plugin_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"

	"github.com/miekg/dns"
)

// TestFloodGrowsNothing asks for a million names that nobody has asked for before, of all types, and looks at what
// that has cost: no memory, and nothing of the answers that lay ready.
func TestFloodGrowsNothing(t *testing.T) {
	const questions = 1_000_000
	for _, s := range []shape{
		{what: "names that are missing", lines: oneProxy},
		{what: "names that a wildcard answers", lines: with(oneProxy, "wildcard")},
		{what: "zone files", lines: oneProxy, in: insideFile, out: outsideFile},
	} {
		t.Run(s.what, func(t *testing.T) {
			h := s.build(t)
			w, f := newWorker(routesTo(t, h)), newFlood(t)
			hot := askIn(t, "plex."+zone, dns.TypeA, manner{"EDNS", edns(1232, 0)}, f.rng)
			before := bytes.Clone(w.answer(hot.packet, hot.from))
			for range questions / 20 { // what answers a flood is made with its first questions
				w.answer(f.next())
			}
			w.flush()
			memory, allocated := heap()
			answered := 0
			for i := range questions {
				if w.answer(f.next()) != nil {
					answered++
				}
				if i%64 == 0 {
					w.flush()
				}
			}
			grown, more := heap()
			t.Logf("%d questions, %d answered: %d bytes of memory more, %d allocations", questions, answered, grown-memory, more-allocated)
			if answered < questions/4 {
				t.Errorf("%d of %d questions answered: too few to show anything", answered, questions)
			}
			if grown-memory > 256<<10 || more-allocated > questions/100 {
				t.Errorf("%d bytes of memory more, and %d allocations, for %d questions", grown-memory, more-allocated, questions)
			}
			if n := testing.AllocsPerRun(100, func() { w.answer(hot.packet, hot.from) }); n != 0 {
				t.Errorf("the hot name's answer was lost: asking for it takes %v allocations", n)
			}
			if after := w.answer(hot.packet, hot.from); !bytes.Equal(after, before) {
				t.Errorf("the hot name is answered\n%x, before the flood\n%x", after, before)
			}
			runtime.KeepAlive(h)
		})
	}
}

// heap returns the bytes in use, and how many times memory was taken since the process began.
func heap() (bytes, times int64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what a pool holds goes with the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), int64(m.Mallocs) //nolint:gosec // of some megabytes
}

// flood makes questions for names that are not asked twice.
type flood struct {
	rng   *rand.Rand
	below [][]byte // packets whose first label is made anew each time
	types int
}

// label is the length of the label that changes, in hexadecimal digits.
const label = 16

func newFlood(t testing.TB) *flood {
	t.Helper()
	f := &flood{rng: rand.New(rand.NewPCG(7, 7))} //nolint:gosec // the same each time
	for _, parent := range []string{"", "plex.", "lab.", "names.", "sub.", "old.", "nas.", "x.y.z.", "_acme-challenge."} {
		a := askIn(t, string(bytes.Repeat([]byte{'x'}, label))+"."+parent+zone, dns.TypeA, manner{"EDNS", edns(1232, 0)}, f.rng)
		f.below = append(f.below, a.packet)
	}
	for _, name := range []string{"plex.", "tv.", "nas.", "none.", "x.names.", "x.lab."} {
		a := askIn(t, name+zone, dns.TypeA, manner{"EDNS", edns(1232, 0)}, f.rng)
		f.below = append(f.below, a.packet)
	}
	f.types = len(f.below) - 9
	return f
}

// next returns a packet until the next one, and who sends it.
func (f *flood) next() ([]byte, netip.Addr) {
	n := f.rng.IntN(len(f.below))
	packet := f.below[n]
	if n < len(f.below)-f.types {
		var random [label / 2]byte
		binary.BigEndian.PutUint64(random[:], f.rng.Uint64())
		hex.Encode(packet[13:13+label], random[:])
	} else {
		typeAt := len(packet) - 11 - 4
		binary.BigEndian.PutUint16(packet[typeAt:], uint16(f.rng.Uint32())) //nolint:gosec // any will do
	}
	return packet, clients[f.rng.IntN(len(clients))]
}

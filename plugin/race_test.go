package plugin_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"plexha/zones"
	"plexha/zones/board"
)

// history is what a house has answered since the test began: one version after another, each with what the chain
// says to every question while nobody changes anything.
type history struct {
	t         testing.TB
	h         *house
	c         *chain
	questions []sent

	began, done atomic.Int64 // the number of the version that is being served, and of the newest that is
	answers     [][][]byte   // by version and question
}

// next lets a new version follow, and takes down what it answers.
func (y *history) next(change func(version int)) {
	version := len(y.answers)
	y.began.Store(int64(version))
	change(version)
	y.done.Store(int64(version))
	var answers [][]byte
	for _, q := range y.questions {
		answers = append(answers, y.c.exchange(q.packet, q.from))
	}
	y.answers = append(y.answers, answers)
}

// heard is an answer that was given between two versions, these included.
type heard struct {
	question    int
	first, last int64
	answer      []byte
}

// watch asks everything again and again until stop is closed, and returns what it has heard, the same but once.
func (y *history) watch(ask func(sent) []byte, stop <-chan struct{}, rng *rand.Rand) []heard {
	var out []heard
	newest := make([]heard, len(y.questions))
	for {
		select {
		case <-stop:
			return out
		default:
		}
		n := rng.IntN(len(y.questions))
		first := y.done.Load()
		answer := ask(y.questions[n])
		last := y.began.Load()
		if before := newest[n]; before.first == first && before.last == last && bytes.Equal(before.answer, answer) {
			continue
		}
		newest[n] = heard{n, first, last, bytes.Clone(answer)}
		out = append(out, newest[n])
	}
}

// check finds the version that each answer is of.
func (y *history) check(who string, all []heard) {
	y.t.Helper()
	for _, a := range all {
		found := false
		for v := a.first; v <= a.last && !found; v++ {
			found = sameAnswer(a.answer, y.answers[v][a.question])
		}
		if !found {
			y.t.Fatalf("%s: %v\nheard while versions %d to %d were served:\n%s\nof the first of these it would be\n%s",
				who, y.questions[a.question], a.first, a.last, show(a.answer), show(y.answers[a.first][a.question]))
		}
	}
}

// marked are zone files in which many records tell their version.
func marked(t testing.TB, h *house, version int) {
	t.Helper()
	addr := fmt.Sprintf("10.0.%d.%d", version/256, version%256)
	in := []string{
		fmt.Sprintf("marker TXT \"%d\"", version), "multi A " + addr, "multi AAAA fd00::" + fmt.Sprint(version), "@ MX 10 multi",
		fmt.Sprintf("_plex._tcp SRV 0 5 %d multi", version), "*.lab A " + addr, fmt.Sprintf("tv CNAME c%d", version),
		fmt.Sprintf("c%d A %s", version, addr),
	}
	if version%2 == 0 {
		in = append(in, "sometimes A "+addr)
	}
	file(t, h.dir, "in", in...)
	file(t, h.dir, "out", "marker TXT \"outside "+fmt.Sprint(version)+"\"", "www A "+addr)
	if err := h.ReadZoneFiles(); err != nil {
		t.Fatal(err)
	}
	h.show()
}

// changes are how a house changes, in turn.
func changes(t testing.TB, h *house) []func(version int) {
	return []func(int){
		func(v int) { marked(t, h, v) },
		func(int) { h.kill("plex1") },
		func(int) { h.says("plex2", board.Failed) },
		func(v int) { marked(t, h, v) },
		func(int) {
			h.board.SetOrders([]board.OrderLine{{Name: "plex2", Order: zones.OrderDown}}, began)
			h.show()
		},
		func(int) { h.revive("plex1") },
		func(int) { h.kill("plex3") },
		func(v int) { h.board.SetLocal(addrs(fmt.Sprintf("192.168.1.%d", 100+v%100)), nil, began); h.show() },
		func(int) { h.says("plex2", board.OK) },
		func(int) { h.revive("plex3") },
		func(int) { h.says("cable", board.Failed, board.Failed) },
		func(int) { h.says("cable", board.OK, board.OK) },
	}
}

// TestEveryAnswerIsThatOfASnapshot asks the lane, and beside it the chain, while everything changes that an answer is
// made of. Each answer is, byte for byte, that of one version that was served between the question and the answer.
func TestEveryAnswerIsThatOfASnapshot(t *testing.T) {
	for _, how := range []string{"all", "spread"} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			in, out := file(t, dir, "in", "x A 192.0.2.1"), file(t, dir, "out", "x A 192.0.2.1")
			testHistory(t, newHouseAt(t, dir, nil,
				"node plex1 192.168.1.11", "node plex2 192.168.1.12", "node plex3 192.168.1.13", "internal 192.168.1.0/24",
				"answer nodes "+how, "fallthrough",
				"uplink fibre 203.0.113.7 probe tcp 192.0.2.1:1", "uplink cable 203.0.113.8 probe tcp 192.0.2.2:1",
				"zonefile internal "+in, "zonefile external "+out))
		})
	}
}

func testHistory(t *testing.T, h *house) {
	const versions, askers = 100, 3
	y := &history{t: t, h: h, c: coreDNS(t, h), questions: changing(t)}
	y.next(func(v int) { marked(t, h, v) })

	stop := make(chan struct{})
	var wg sync.WaitGroup
	var got [askers + 1][]heard
	for i := range askers {
		w := newWorker(routesTo(t, h))
		wg.Go(func() {
			got[i] = y.watch(func(q sent) []byte {
				defer w.flush()
				return w.answer(q.packet, q.from)
			}, stop, rand.New(rand.NewPCG(1, uint64(i)))) //nolint:gosec // the same each time
		})
	}
	wg.Go(func() {
		ask := func(q sent) []byte { return y.c.exchange(q.packet, q.from) }
		got[askers] = y.watch(ask, stop, rand.New(rand.NewPCG(2, 0))) //nolint:gosec // the same each time
	})
	all := changes(t, h)
	for v := 1; v < versions; v++ {
		y.next(all[v%len(all)])
	}
	close(stop)
	wg.Wait()

	y.checkDiffers()
	for i, some := range got {
		who := "lane"
		if i == askers {
			who = "chain"
		}
		t.Logf("%s: %d different answers", who, len(some))
		if len(some) < versions/2 {
			t.Errorf("%s: %d answers heard of %d versions: too few to show anything", who, len(some), versions)
		}
		y.check(who, some)
	}
}

// inHouse are the clients inside.
var inHouse = netip.MustParsePrefix("192.168.1.0/24")

// changing are questions whose answers change.
func changing(t testing.TB) []sent {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 0)) //nolint:gosec // the same each time
	var out []sent
	for _, q := range []struct {
		name  string
		qtype uint16
		from  string
	}{
		{"plex.", dns.TypeA, inside},
		{"", dns.TypeA, inside},
		{"", dns.TypeSOA, inside},
		{"", dns.TypeNS, inside},
		{"", dns.TypeMX, inside},
		{"none.", dns.TypeA, inside},
		{"plex.", dns.TypeMX, inside},
		{"marker.", dns.TypeTXT, inside},
		{"multi.", dns.TypeA, inside},
		{"multi.", dns.TypeAAAA, inside},
		{"tv.", dns.TypeA, inside},
		{"_plex._tcp.", dns.TypeSRV, inside},
		{"x.lab.", dns.TypeA, inside},
		{"sometimes.", dns.TypeA, inside},
		{"_status.plex.", dns.TypeTXT, inside},
		{"ns1.", dns.TypeA, inside},
		{"plex.", dns.TypeA, outside},
		{"", dns.TypeSOA, outside},
		{"", dns.TypeNS, outside},
		{"none.", dns.TypeA, outside},
		{"marker.", dns.TypeTXT, outside},
		{"www.", dns.TypeA, outside},
	} {
		for _, from := range clients {
			s := askIn(t, q.name+zone, q.qtype, manner{"EDNS", edns(1232, 0)}, rng)
			if s.from = from; from.String() == q.from || q.from == inside && q.qtype == dns.TypeA && inHouse.Contains(from) {
				out = append(out, s)
			}
		}
	}
	return out
}

// checkDiffers makes sure that the versions can be told apart.
func (y *history) checkDiffers() {
	y.t.Helper()
	for n, q := range y.questions {
		different := 0
		for v := 1; v < len(y.answers); v++ {
			if !bytes.Equal(y.answers[v][n], y.answers[v-1][n]) {
				different++
			}
		}
		if different < len(y.answers)/20 {
			y.t.Errorf("%v: the answer has changed %d times in %d versions: it shows nothing", q, different, len(y.answers))
		}
	}
}

package plugin_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"plexha/corefile/state"
	plex "plexha/plugin"
	"plexha/plugin/runtime"
	"plexha/plugin/status"
	"plexha/zones"
	"plexha/zones/board"
)

// answerText is an answer of the status page in one line.
func answerText(a status.Answer) string {
	text := fmt.Sprintf("%s %s", a.View, a.Name)
	if a.Variant != "" {
		text += fmt.Sprintf(" for %s", a.Variant)
	}
	if a.Servfail {
		return fmt.Sprintf("%s: servfail (%s): %s", text, a.Standing, a.Why)
	}
	return fmt.Sprintf("%s %d: %v of %s (%s): %s", text, a.TTL, a.Addresses, strings.Join(a.To, " "), a.Standing, a.Why)
}

func TestAnswers(t *testing.T) {
	dir := t.TempDir()
	apex := file(t, dir, "zone", "@ 60 A 192.0.2.80", "@ 30 AAAA 2001:db8::80", "@ 60 A 192.0.2.81", "@ MX 1 mail")
	for _, tc := range []struct {
		name  string
		lines []string
		dead  []string
		want  []string
	}{
		{
			"a proxy, and the uplink", oneProxy, nil, []string{
				"internal home.duckdns.org 10: [192.168.1.2] of proxy 192.168.1.2:443 (as meant): the proxies that are up",
				"internal plex.home.duckdns.org 10: [192.168.1.2] of proxy 192.168.1.2:443 (as meant): the proxies that are up",
				"internal plex1.home.duckdns.org 10: [192.168.1.2] of proxy 192.168.1.2:443 (as meant): the proxies that are up",
				"internal plex2.home.duckdns.org 10: [192.168.1.2] of proxy 192.168.1.2:443 (as meant): the proxies that are up",
				"internal ns1.home.duckdns.org 10: [] of  (nothing up): this host has no address in the internal prefixes",
				"external home.duckdns.org 10: [203.0.113.7] of uplink wan (as meant): the uplinks that are up",
				"external plex.home.duckdns.org 10: [203.0.113.7] of uplink wan (as meant): the uplinks that are up",
				"external plex1.home.duckdns.org 10: [203.0.113.7] of uplink wan (as meant): the uplinks that are up",
				"external plex2.home.duckdns.org 10: [203.0.113.7] of uplink wan (as meant): the uplinks that are up",
				"external ns1.home.duckdns.org 10: [203.0.113.7] of uplink wan (as meant): the uplinks that are up",
			},
		},
		{
			"a zone file at the apex, and no proxy is up",
			[]string{
				"node plex1 192.168.1.11", "node plex2 192.168.1.12", "proxy 192.168.1.2", "internal 192.168.1.0/24",
				"uplink wan auto", "ns ns1 198.51.100.1", "zonefile internal " + apex,
			},
			[]string{"192.168.1.2:443"},
			[]string{
				"internal home.duckdns.org 30: [192.0.2.80 192.0.2.81 2001:db8::80] of zone file (as meant): given by a zone file",
				"internal plex.home.duckdns.org for plex1 10: [192.168.1.11] of node plex1 (stand-in): no proxy is up: a node that is",
				"internal plex.home.duckdns.org for plex2 10: [192.168.1.12] of node plex2 (stand-in): no proxy is up: a node that is",
				"internal plex1.home.duckdns.org 10: [192.168.1.11] of node plex1 (stand-in): no proxy is up: the node itself, whatever its state",
				"internal plex2.home.duckdns.org 10: [192.168.1.12] of node plex2 (stand-in): no proxy is up: the node itself, whatever its state",
				"internal ns1.home.duckdns.org 10: [198.51.100.1] of  (as meant): given by its ns line",
				"external home.duckdns.org: servfail (nothing up): no address of an uplink is known",
				"external plex.home.duckdns.org: servfail (nothing up): no address of an uplink is known",
				"external plex1.home.duckdns.org: servfail (nothing up): no address of an uplink is known",
				"external plex2.home.duckdns.org: servfail (nothing up): no address of an uplink is known",
				"external ns1.home.duckdns.org 10: [198.51.100.1] of  (as meant): given by its ns line",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHouseAt(t, dir, nil, tc.lines...)
			h.kill(tc.dead...)
			var got []string
			for _, a := range h.Answers() {
				got = append(got, answerText(a))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
}

// reply is what a client sees of an answer.
type reply struct {
	Addresses string
	TTL       uint32
	Servfail  bool
}

// asks has a client ask for both families of addresses.
func (h *house) asks(from, name string) reply {
	h.t.Helper()
	var r reply
	var addrs []netip.Addr
	for _, qtype := range []string{"A", "AAAA"} {
		m := h.send(from, question(h.t, name+" "+qtype))
		r.Servfail = m.Rcode == dns.RcodeServerFailure
		for _, rr := range m.Answer {
			r.TTL = rr.Header().Ttl
			a, err := netip.ParseAddr(strings.TrimPrefix(rr.String(), rr.Header().String()))
			if err != nil {
				h.t.Fatal(err)
			}
			addrs = append(addrs, a)
		}
		if len(addrs) == 0 && len(m.Ns) > 0 {
			r.TTL = m.Ns[0].Header().Ttl // of the absence
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	r.Addresses = fmt.Sprint(addrs)
	return r
}

// shownAs is what the status page says of an answer.
func shownAs(a status.Answer) reply {
	addrs := slices.SortedFunc(slices.Values(a.Addresses), netip.Addr.Compare)
	return reply{fmt.Sprint(addrs), a.TTL, a.Servfail}
}

// TestAnswersAreWhatClientsGet, whatever has happened.
func TestAnswersAreWhatClientsGet(t *testing.T) {
	dir := t.TempDir()
	apex := file(t, dir, "zone", "@ 30 A 192.0.2.80", "nas A 192.168.1.9")
	for what, lines := range map[string][]string{
		"a node per client": with(twoNodes, "wildcard"),
		"proxies":           with(oneProxy, "proxy 192.168.1.3 fd12::3", "ns ns1 192.168.1.53 198.51.100.53"),
		"servfail":          with(twoNodes, "alldown servfail"),
		"a zone file":       with(twoNodes, "zonefile external "+apex, "zonefile internal "+apex),
	} {
		t.Run(what, func(t *testing.T) {
			h := newHouseAt(t, dir, nil, lines...)
			h.agrees("all is up")
			for s := range h.board.Snapshot().Subjects {
				h.says(s.Name, board.Failed)
				h.agrees(s.String() + " is failing")
				h.says(s.Name, board.Failed)
				h.agrees(s.String() + " is down")
			}
		})
	}
}

func (h *house) agrees(when string) {
	h.t.Helper()
	want := map[string][]reply{} // by view and name: with spread there may be several
	for _, a := range h.Answers() {
		key := a.View + " " + strings.Replace(a.Name, "*", "any", 1) + "."
		want[key] = append(want[key], shownAs(a))
	}
	for key, replies := range want {
		view, name, _ := strings.Cut(key, " ")
		clients := []string{outside}
		if view == "internal" {
			clients = []string{"192.168.1.77", "192.168.1.78", "192.168.1.79", "192.168.1.80", "192.168.1.81", "192.168.1.82"}
		}
		seen := map[reply]bool{}
		for _, from := range clients {
			got := h.asks(from, name)
			seen[got] = true
			if !slices.Contains(replies, got) {
				h.t.Errorf("%s: %s: %s is answered %v, and shown is %v", when, key, from, got, replies)
			}
		}
		for _, r := range replies {
			if !seen[r] {
				h.t.Errorf("%s: %s: nobody is answered %v", when, key, r)
			}
		}
	}
}

// source returns the running cluster of a zone as the status page sees it.
func source(t *testing.T, zone string) *plex.Plex {
	t.Helper()
	p, ok := runtime.Latest(zone).(*plex.Plex)
	if !ok {
		t.Fatalf("nobody serves %s", zone)
	}
	return p
}

// inZone returns the block of [block] for a zone that no other test has, whose nodes are asked once, so that
// none is doubted meanwhile.
func inZone(zone string, lines ...string) string {
	text := strings.Replace(block(lines...), "interval 200ms", "interval 1h", 1)
	return strings.ReplaceAll(text, "home.duckdns.org", strings.TrimSuffix(zone, "."))
}

// TestSubscribersSeeWhatIsServed: when a subscriber is told of a change, the answers have changed already.
func TestSubscribersSeeWhatIsServed(t *testing.T) {
	n, zone := startNode(t, "127.0.1.1"), freshZone()
	startServer(t, inZone(zone, "node plex1 "+n.addr)).serves(zone)
	p := source(t, zone)
	news, cancel := p.Subscribe()
	defer cancel()
	<-news // one is there at once
	if err := p.Order(board.OrderLine{Name: "plex1", Order: zones.OrderDown}); err != nil {
		t.Fatal(err)
	}
	for p.Answers()[1].Standing == zones.AsMeant.String() {
		select {
		case <-news:
		case <-time.After(5 * time.Second):
			t.Fatalf("nobody is told of %q", answerText(p.Answers()[1]))
		}
	}
	if got := p.Snapshot().Node("plex1").Order; got != zones.OrderDown {
		t.Errorf("the order is %s, want down", got)
	}
	cancel()
}

func TestOrder(t *testing.T) {
	folder := t.TempDir()
	h := newHouse(t, with(oneProxy, "nodes found tasks.plex.test")...)
	h.ReadOrders(folder)
	give := func(line board.OrderLine) error {
		t.Helper()
		before := h.board.Snapshot()
		err := h.Order(line)
		if bad, ok := errors.AsType[*state.OrderError](err); ok && bad.Err == nil {
			t.Error("the error is empty")
		}
		if err != nil && h.board.Snapshot() != before {
			t.Errorf("%v: refused, and the board has changed", line)
		}
		return err
	}
	health := func(name string) *zones.Health {
		for s, health := range h.board.Snapshot().Subjects {
			if s.Name == name {
				return health
			}
		}
		t.Fatalf("no subject %q", name)
		return nil
	}
	for _, name := range []string{"plex1", "192.168.1.2:443", "wan"} {
		if err := give(board.OrderLine{Name: name, Order: zones.OrderDrain, Why: "test"}); err != nil {
			t.Fatal(err)
		}
		if got := health(name); got.Order != zones.OrderDrain || got.OrderWhy != "test" {
			t.Errorf("%s: order %s for %q when it is given, want drain for test", name, got.Order, got.OrderWhy)
		}
	}
	if err := give(board.OrderLine{Name: "192.168.1.2"}); err != nil {
		t.Fatal(err)
	}
	if got := health("192.168.1.2:443").Order; got != zones.NoOrder {
		t.Errorf("the proxy's order is %s after it was taken back", got)
	}
	if err := give(board.OrderLine{Name: "found3", Order: zones.OrderDown}); err != nil {
		t.Errorf("on a node that may be found: %v", err)
	}
	for what, line := range map[string]board.OrderLine{
		"nobody": {Name: "plex9", Order: zones.OrderUp},
		"past":   {Name: "plex1", Order: zones.OrderUp, Until: began},
	} {
		if _, ok := errors.AsType[*state.OrderError](give(line)); !ok {
			t.Errorf("%s: the order is not blamed", what)
		}
	}
}

// TestOrderThatCannotBeKept: it is not the order's fault.
func TestOrderThatCannotBeKept(t *testing.T) {
	drain := board.OrderLine{Name: "plex1", Order: zones.OrderDrain}
	h := newHouse(t, oneProxy...)
	if err := h.Order(drain); err == nil || err.Error() != "no state folder is writable: orders are kept there" {
		t.Errorf("without a state folder: got %v", err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "home.duckdns.org.orders"), []byte("plex1 dwon\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.ReadOrders(folder)
	err := h.Order(drain)
	if _, ok := errors.AsType[*state.OrderError](err); ok || err == nil || !strings.HasPrefix(err.Error(), "nothing is written, since ") {
		t.Errorf("into a file with a mistake: got %v", err)
	}
}

package e2e_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"plexha/e2e/internal/gate"
	"plexha/e2e/standin"
)

// addPort gives `here` an interface eth7 whose cable leads nowhere of interest. It has a private address.
func (n *network) addPort() {
	n.tb.Helper()
	n.ip("-n %s link add eth7 type veth peer name eth7 netns %s", n.here, n.there)
	n.ip("-n %s addr add 192.168.7.2/24 dev eth7", n.here)
	n.ip("-n %s link set eth7 up", n.here)
	n.ip("-n %s link set eth7 up", n.there)
}

// TestInterfaceHoldsTheAddress: what the kernel tells of an interface is answered. Of its IPv6 addresses that is
// the one that lasts.
func TestInterfaceHoldsTheAddress(t *testing.T) {
	t.Parallel()
	gate.Need(t, minutes)
	n := newNetwork(t)
	n.addPort()
	w := newWAN(t, wanConfig{
		net: n, sources: []string{}, duckdns: "-", uplinks: []string{"uplink wan auto"},
		lines: []string{"detect interface eth7", "proxy 192.168.7.2"},
	})
	w.start()
	passing, lasting := netip.MustParseAddr("2001:db8:7::99"), netip.MustParseAddr("2001:db8:7::7")
	steps := []struct {
		ip   string // what happens to addresses of eth7
		want []netip.Addr
	}{
		{"add 203.0.113.7/32", []netip.Addr{firstAddr}},
		{"add 2001:db8:7::99/64 valid_lft 3000 preferred_lft 2000 nodad", []netip.Addr{firstAddr, passing}},
		{"add 2001:db8:7::7/64 nodad", []netip.Addr{firstAddr, lasting}},
		{"change 2001:db8:7::7/64 preferred_lft 0", []netip.Addr{firstAddr, passing}}, // deprecated
		{"del 203.0.113.7/32", []netip.Addr{firstAddr, passing}},                      // absence clears nothing
		{"add 203.0.113.8/32", []netip.Addr{secondAddr, passing}},
	}
	for _, s := range steps {
		n.ip("-n %s addr %s dev eth7", n.here, s.ip)
		began := time.Now()
		eventually(t, 30*time.Second, func() error { return w.showsOutside(s.want...) })
		t.Logf("ip addr %s: %v outside after %s", s.ip, s.want, time.Since(began).Round(10*time.Millisecond))
	}
}

// TestLifetimesAreNoNews: a router that goes on announcing a prefix has nobody asked.
func TestLifetimesAreNoNews(t *testing.T) {
	t.Parallel()
	gate.Need(t, minutes)
	n := newNetwork(t)
	n.addPort()
	const addr = "2001:db8:7::99/64 dev eth7"
	n.ip("-n %s addr add %s valid_lft 3000 preferred_lft 2000 nodad", n.here, addr)
	w := newWAN(t, wanConfig{net: n, duckdns: "-"})
	w.start()
	eventually(t, 20*time.Second, func() error { return w.showsOutside(firstAddr) })
	before := w.settled()
	for i := range 4 {
		n.ip("-n %s addr change %s valid_lft %d preferred_lft 2000 nodad", n.here, addr, 4000+i)
		time.Sleep(time.Second)
	}
	time.Sleep(3 * time.Second) // such news waits 2 s for more
	if got := w.questions() - before; got > 1 {
		t.Errorf("%d questions, want the one of a tick at most", got)
	}
	n.ip("-n %s addr add 198.18.0.9/30 dev cable", n.here)
	eventually(t, 10*time.Second, func() error {
		if w.questions()-before < int64(len(wanSources)) {
			return errors.New("another address has nobody asked")
		}
		return nil
	})
}

// settled waits until what the start of the network has led to is over, and returns how many questions that was.
func (w *wan) settled() int64 {
	w.tb.Helper()
	asked, since := w.questions(), time.Now()
	eventually(w.tb, time.Minute, func() error {
		if now := w.questions(); now != asked {
			asked, since = now, time.Now()
		}
		if calm := time.Since(since); calm < 8*time.Second { // rounds are 5 s apart
			return fmt.Errorf("there were questions %s ago", calm)
		}
		return nil
	})
	return asked
}

// questions returns how many the sources got.
func (w *wan) questions() (sum int64) {
	w.each(nil, func(s *standin.EchoServer) { sum += s.Count().Questions })
	return sum
}

// TestRouterIsTheDefaultGateway: a new default route starts a round, and its gateway is asked by NAT-PMP. Its
// word and that of one secure operator are enough.
func TestRouterIsTheDefaultGateway(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	w := newWAN(t, wanConfig{net: n, sources: []string{"cloudflare dot"}, duckdns: "-", lines: []string{"detect router natpmp"}})
	w.outThere(func() error {
		s, err := w.world.Serve(standin.EchoOptions{Kind: standin.EchoNATPMP, Addr: netip.MustParseAddrPort("198.18.0.2:5351")})
		if err != nil {
			return err
		}
		t.Cleanup(s.Close)
		w.echoes["router natpmp"] = append(w.echoes["router natpmp"], s)
		return nil
	})
	w.start()
	eventually(t, 20*time.Second, func() error {
		return w.troubledBy("203.0.113.7 is not believed, since only cloudflare dot tells it", "none is published")
	})
	if err := w.showsOutside(); err != nil {
		t.Error(err)
	}
	n.ip("-n %s route add default via 198.18.0.2 dev cable", n.here)
	began := time.Now()
	eventually(t, 20*time.Second, func() error { return w.showsOutside(firstAddr) })
	t.Logf("a default route: %s outside after %s", firstAddr, time.Since(began).Round(10*time.Millisecond))
	if got := w.echoes["router natpmp"][0].Count().Questions; got == 0 {
		t.Error("the router was not asked")
	}
}

package e2e_test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"plexha/e2e/internal/gate"
)

// cut unplugs a cable of the network, or plugs it in again.
func (n *network) cut(cable string, out bool) {
	n.tb.Helper()
	n.ip("-n %s link set %s %s", n.there, cable, map[bool]string{true: "down", false: "up"}[out])
}

// addSpare lays a second cable, which leads to the same hosts.
func (n *network) addSpare() {
	n.tb.Helper()
	n.ip("-n %s link add spare type veth peer name spare netns %s", n.here, n.there)
	n.ip("-n %s addr add 198.18.0.5/30 dev spare", n.here)
	n.ip("-n %s addr add 198.18.0.6/30 dev spare", n.there)
	n.ip("-n %s link set spare up", n.here)
	n.ip("-n %s link set spare up", n.there)
	n.ip("-n %s route add 198.18.1.0/24 via 198.18.0.6 metric 100", n.here)
}

// listen accepts connections in the world, and does nothing with them.
func (w *wan) listen(addr netip.Addr) netip.AddrPort {
	w.tb.Helper()
	var l net.Listener
	w.outThere(func() (err error) {
		l, err = (&net.ListenConfig{}).Listen(w.tb.Context(), "tcp", netip.AddrPortFrom(addr, 0).String())
		return err
	})
	w.tb.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

// newTwoUplinks returns a home with two uplinks, `wan` and `spare`, whose plexdns runs and has found both
// addresses. DuckDNS has the first one's.
func newTwoUplinks(t *testing.T) (*wan, *network) {
	t.Helper()
	n := newNetwork(t)
	n.addSpare()
	target := n.host()
	c := wanConfig{net: n, duckdns: "-"}
	w := newWAN(t, c)
	probe := w.listen(target)
	c.duckdns, c.uplinks = "", []string{
		fmt.Sprintf("uplink wan auto via cable ipv6 off probe tcp %s", probe),
		fmt.Sprintf("uplink spare auto via spare ipv6 off probe tcp %s", probe),
	}
	w.world.SetAddress(netip.MustParsePrefix("198.18.0.1/32"), firstAddr)
	w.world.SetAddress(netip.MustParsePrefix("198.18.0.5/32"), secondAddr)
	w.dns.write(w.corefile(c))
	w.remember(firstAddr, time.Hour)
	w.start()
	eventually(t, 20*time.Second, func() error { return w.showsOutside(firstAddr, secondAddr) })
	if err := w.holds(firstAddr); err != nil {
		t.Fatal(err)
	}
	return w, n
}

// TestAnotherUplinkTakesOver: clients outside are led to the uplinks that are up. DuckDNS holds one address:
// that of the first of them, without a delay when it goes down, and after a while of calm when it is back.
func TestAnotherUplinkTakesOver(t *testing.T) {
	t.Parallel()
	w, n := newTwoUplinks(t)
	n.cut("cable", true)
	w.arrives("the first uplink is down", secondAddr, 20*time.Second)
	if !gate.Long() {
		return
	}
	n.cut("cable", false)
	back := time.Now()
	eventually(t, 20*time.Second, func() error { return w.showsOutside(firstAddr, secondAddr) })
	t.Logf("the first uplink is back: outside after %s", time.Since(back).Round(10*time.Millisecond))
	eventually(t, 2*time.Minute, func() error { return w.holds(firstAddr) })
	calm := time.Since(back)
	t.Logf("at DuckDNS after %s", calm.Round(10*time.Millisecond))
	if calm < time.Minute {
		t.Errorf("DuckDNS was told after %s already: the uplink has not shown that it stays", calm)
	}
	if diff := cmpAddrs([]netip.Addr{secondAddr, firstAddr}, w.pushes()); diff != "" {
		t.Errorf("pushed (-want +got):\n%s", diff)
	}
}

// TestFlappingUplink: an uplink that comes and goes does not take DuckDNS along.
func TestFlappingUplink(t *testing.T) {
	t.Parallel()
	gate.Need(t, minutes)
	w, n := newTwoUplinks(t)
	up := func(cable bool) func() error {
		return func() error {
			if cable {
				return w.showsOutside(firstAddr, secondAddr)
			}
			return w.showsOutside(secondAddr)
		}
	}
	flaps := 0
	for began := time.Now(); time.Since(began) < 2*time.Minute; flaps++ {
		n.cut("cable", true)
		eventually(t, 20*time.Second, up(false))
		n.cut("cable", false)
		eventually(t, 20*time.Second, up(true))
	}
	pushed := w.pushes() // it looks at the gaps
	t.Logf("%d times down and up: pushed %v", flaps, pushed)
	if flaps < 5 || !slices.Equal(pushed, []netip.Addr{secondAddr}) {
		t.Errorf("%d times down and up: pushed %v, want the other uplink's address once", flaps, pushed)
	}
}

// TestKernelTellsOfNewAddresses: an address that an interface gets starts a round.
func TestKernelTellsOfNewAddresses(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	w := newWAN(t, wanConfig{net: n, running: true})
	w.start()
	w.confirmed(firstAddr)
	w.moveTo(secondAddr)
	n.ip("-n %s addr add 198.18.0.9/30 dev cable", n.here)
	w.arrives("an interface has another address", secondAddr, 20*time.Second)
}

// TestIPv6LeadsToAProxyOrNowhere: this host has an IPv6 address that the world sees. The proxy is another host.
func TestIPv6LeadsToAProxyOrNowhere(t *testing.T) {
	t.Parallel()
	ours, proxys := netip.MustParseAddr("2001:db8:1::1"), netip.MustParseAddr("2001:db8:1::bad:cafe")
	tests := []struct {
		name   string
		uplink string
		proxy  string
		want   []netip.Addr
		says   string // once; empty: nothing of it
	}{
		{
			name: "elsewhere", uplink: "uplink wan auto", proxy: "198.18.0.2", want: []netip.Addr{firstAddr},
			says: "no IPv6 address is published: 2001:db8:1::1 leads to this host, and no `proxy` address is this host's",
		},
		{
			name: "elsewhere, with its suffix", uplink: "uplink wan auto ipv6 ::bad:cafe", proxy: "198.18.0.2",
			want: []netip.Addr{firstAddr, proxys},
		},
		{name: "here", uplink: "uplink wan auto", proxy: "198.18.0.1", want: []netip.Addr{firstAddr, ours}},
		{name: "off", uplink: "uplink wan auto ipv6 off", proxy: "198.18.0.1", want: []netip.Addr{firstAddr}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t)
			n.ip("-n %s addr add %s/64 dev cable nodad", n.here, ours)
			n.ip("-n %s addr add 2001:db8:1::2/64 dev cable nodad", n.there)
			n.ip("-n %s addr add 2001:db8:2::1/128 dev lo nodad", n.there)
			n.ip("-n %s route add default via 2001:db8:1::2 dev cable", n.here)
			w := newWAN(t, wanConfig{
				net: n, also: []netip.Addr{netip.MustParseAddr("2001:db8:2::1")},
				uplinks: []string{tt.uplink}, lines: []string{"proxy " + tt.proxy},
			})
			w.start()
			eventually(t, 30*time.Second, func() error { return w.showsOutside(tt.want...) })
			eventually(t, 30*time.Second, func() error { return w.holds(tt.want...) })
			if tt.says != "" {
				w.says(10*time.Second, tt.says)
			}
			if n := w.dns.proc.output.count("no IPv6 address is published"); n != min(len(tt.says), 1) {
				t.Errorf("the log says %d times that no IPv6 address is published", n)
			}
			for _, a := range w.pushes() {
				if !slices.Contains(tt.want, a) {
					t.Errorf("%s was pushed", a)
				}
			}
			if strings.Contains(tt.uplink, "off") {
				for name, servers := range w.echoes {
					if got := servers[1].Count().Questions; got > 0 {
						t.Errorf("%s was asked %d times over IPv6", name, got)
					}
				}
			}
		})
	}
}

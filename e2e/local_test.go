package e2e_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestNewPrefixesBecomeInternal: a client is in the house if its prefix is one of an interface that also holds a
// private IPv4 address. The interface gets that one and another prefix while plexdns runs.
func TestNewPrefixesBecomeInternal(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	p := newPlexdns(t)
	p.ns = n.here
	node := netip.MustParseAddr("198.18.1.1") // nobody is there: the last resort is answered
	p.write((&home{dns: p}).corefile(homeConfig{
		exact: true, still: true,
		lines: []string{fmt.Sprintf("node plex1 %s:1", node), "uplink wan " + uplink.String(), "state " + p.dir},
	}))
	p.launch()
	expect := func(client, want netip.Addr, within time.Duration) {
		t.Helper()
		eventually(t, within, func() error {
			var got []netip.Addr
			var err error
			inNamespace(t, n.here, func() error {
				var m *dns.Msg
				if m, err = p.tryAsk(client, mainName, dns.TypeA); err == nil {
					got = addresses(m)
				}
				return nil
			})
			if err == nil && !slices.Equal(got, []netip.Addr{want}) {
				err = fmt.Errorf("%s gets %v, want %s", client, got, want)
			}
			return err
		})
	}
	old, fresh := netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("198.18.7.1")
	expect(old, uplink, 20*time.Second)
	n.ip("-n %s addr add %s/24 dev cable", n.here, fresh)
	n.ip("-n %s addr add 192.168.77.1/24 dev cable", n.here)
	expect(fresh, node, 15*time.Second) // it is looked at every 10 s
	expect(old, node, time.Second)
}

package plugin_test

import (
	"context"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin/test"

	plex "plexha/plugin"
)

// systemServers returns the name servers that a look-up on this machine asks.
func systemServers(t *testing.T) []netip.AddrPort {
	t.Helper()
	servers := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53"), netip.MustParseAddrPort("[::1]:53")} // without a file
	conf, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\s*nameserver\s+(\S+)`).FindAllStringSubmatch(string(conf), -1) {
		if addr, err := netip.ParseAddr(m[1]); err == nil {
			servers = append(servers, netip.AddrPortFrom(addr.WithZone(""), 53))
		}
	}
	return servers
}

// TestLookUpsNeverComeToOurListeners: where each name server of this machine is a listener of ours, a HOST's name
// cannot be looked up, and no server is asked.
func TestLookUpsNeverComeToOurListeners(t *testing.T) {
	zone := freshZone()
	cfg := parse(t, zone, "node plex1 nas.plexha.invalid", "internal 192.168.1.0/24", "uplink wan 203.0.113.7", "state "+t.TempDir())
	p, err := plex.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(systemServers(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	// Waits for the first round.
	if _, err := p.ServeDNS(context.Background(), &test.ResponseWriter{RemoteIP: inside}, question(t, "plex."+zone+" A")); err != nil {
		t.Fatal(err)
	}
	got := p.Snapshot().Node("plex1").Why
	if want := "looking up nas.plexha.invalid: the system's resolver is this server itself: "; !strings.HasPrefix(got, want) {
		t.Errorf("the node is down because of %q, want %q", got, want)
	}
}

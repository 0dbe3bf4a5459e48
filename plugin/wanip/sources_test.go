package wanip_test

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/plugin/wanip"
	"plexha/zones"
)

// What is worth what: who runs a source, and whether somebody on the way can change its answer.
func TestSources(t *testing.T) {
	type source struct {
		Name, Operator string
		Nature         wanip.Nature
		Secure         bool
	}
	cfg := &corefile.Config{Detect: []corefile.Source{
		{Kind: "cloudflare", Transport: "dot"},
		{Kind: "cloudflare", Transport: "doh"},
		{Kind: "opendns", Transport: "udp"},
		{Kind: "google", Transport: "udp"},
		{Kind: "akamai", Transport: "udp"},
		{Kind: "https", Args: []string{"https://api.ipify.org/?format=text"}},
		{Kind: "https", Args: []string{"https://icanhazip.com"}},
		{Kind: "https", Args: []string{"https://one.one.one.one/cdn-cgi/trace"}},
		{Kind: "stun", Args: []string{"stun.l.google.com:19302"}},
	}}
	var got []source
	for _, s := range wanip.Sources(cfg, wanip.SourceOptions{}) {
		got = append(got, source{s.Name, s.Operator, s.Nature, s.Secure})
	}
	want := []source{
		{"cloudflare dot", "cloudflare", wanip.Echo, true},
		{"cloudflare doh", "cloudflare", wanip.Echo, true},
		{"opendns udp", "opendns", wanip.Echo, false},
		{"google udp", "google", wanip.Echo, false},
		{"akamai udp", "akamai", wanip.Echo, false},
		{"https https://api.ipify.org/", "ipify.org", wanip.Echo, true},
		{"https https://icanhazip.com", "cloudflare", wanip.Echo, true},
		{"https https://one.one.one.one/cdn-cgi/trace", "cloudflare", wanip.Echo, true},
		{"stun stun.l.google.com:19302", "google", wanip.Echo, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// This host's own sources and the router's stand where the Corefile has them.
func TestSourcesOfAllKinds(t *testing.T) {
	cfg := &corefile.Config{Detect: []corefile.Source{
		{Kind: "interface", Args: []string{"eth0"}},
		{Kind: "router"},
		{Kind: "command", Args: []string{"/usr/local/bin/myip"}},
		{Kind: "file", Args: []string{"/run/myip"}},
		{Kind: "opendns", Transport: "udp"},
	}}
	var got []wanip.Nature
	for _, s := range wanip.Sources(cfg, wanip.SourceOptions{}) {
		got = append(got, s.Nature)
	}
	want := []wanip.Nature{wanip.Host, wanip.Router, wanip.Word, wanip.Echo}
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Every default source is known, of the families that it has.
func TestDefaultSources(t *testing.T) {
	got := map[string][]string{}
	for _, s := range wanip.OperatorServers(corefile.DefaultSources()) {
		got[s.Name] = s.Servers
	}
	want := map[string][]string{
		"cloudflare dot": {"1.1.1.1:853", "1.0.0.1:853", "[2606:4700:4700::1111]:853", "[2606:4700:4700::1001]:853"},
		"opendns dot":    {"208.67.222.222:853", "208.67.220.220:853", "[2620:119:35::35]:853", "[2620:119:53::53]:853"},
		"opendns udp":    {"208.67.222.222:53", "208.67.220.220:53", "[2620:119:35::35]:53", "[2620:119:53::53]:53"},
		"google udp":     {"216.239.32.10:53", "216.239.34.10:53", "[2001:4860:4802:32::a]:53", "[2001:4860:4802:34::a]:53"},
		"akamai udp":     {"193.108.88.1:53"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// An answer that is a server's own address is a mistake, whichever server was asked.
func TestServersOf(t *testing.T) {
	ours := netip.MustParseAddrPort("192.0.2.53:853")
	got := wanip.ServersOf(&corefile.Config{Detect: []corefile.Source{
		{Kind: "cloudflare", Transport: "dot", At: []netip.AddrPort{ours}},
	}})
	for _, want := range []string{"192.0.2.53", "1.1.1.1", "2606:4700:4700::1111", "208.67.222.222", "216.239.32.10", "193.108.88.1"} {
		if !slices.Contains(got, netip.MustParseAddr(want)) {
			t.Errorf("%s is missing in %v", want, got)
		}
	}
	if !slices.IsSortedFunc(got, netip.Addr.Compare) || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("not sorted, or not each once: %v", got)
	}
}

// A path that cannot carry the family is no fault of whom it would lead to; one that does not exist is a fault.
func TestPaths(t *testing.T) {
	s := wanip.Sources(&corefile.Config{Detect: []corefile.Source{
		udp("opendns", netip.MustParseAddrPort("127.0.0.1:9")),
	}}, wanip.SourceOptions{})[0]
	_, err := s.Ask(t.Context(), via.Path{Source: netip.MustParseAddr("203.0.113.77")}, zones.IPv4)
	if !errors.Is(err, wanip.ErrNothing) || !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("from an address that is not this host's: got %v", err)
	}
	_, err = s.Ask(t.Context(), via.Path{Interface: "plexha-none0"}, zones.IPv4)
	if err == nil || errors.Is(err, wanip.ErrNothing) {
		t.Errorf("through an interface that does not exist: got %v", err)
	}
}

package wanip_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/plugin/wanip"
	"plexha/zones"
)

func TestDiagnosis(t *testing.T) {
	redirectedErr := fmt.Errorf("asking 216.239.32.10: %w", wanip.ErrRedirected)
	const ask = "ask the provider for an address of your own, or publish IPv6 alone (`duckdns ... ipv4 off`)"
	for _, tc := range []struct {
		name  string
		known string
		said  []wanip.Finding
		want  []string
	}{
		{"all is well", home, say(home, append(secure, "router")...), nil},
		{"some are silent", home, all(say(home, "ipify"), fail(errTimeout, "amazon")), nil},
		{"an interface has an address inside", home, all(say(home, secure...), say("192.168.1.2", "interface")), nil},
		{
			"carrier-grade NAT: the router's address is a shared one", home,
			all(say(home, secure...), say("100.64.1.2", "router")),
			[]string{"inbound IPv4 cannot work: the router has 100.64.1.2 outside, and the Internet sees 203.0.113.7 " +
				"(100.64.1.2 is shared between customers: carrier-grade NAT (RFC 6598)): " + ask},
		},
		{
			"two routers: the nearer one's address is the other one's inside", home,
			all(say(home, secure...), say("192.168.1.2", "router")),
			[]string{"inbound IPv4 cannot work: the router has 192.168.1.2 outside, and the Internet sees 203.0.113.7 " +
				"(192.168.1.2 is a private address (RFC 1918)): have the router in front of it forward the ports as well, " +
				"or make that one a bridge; if it is the provider's, " + ask},
		},
		{
			"the router has another address than the Internet sees", home,
			all(say(home, secure...), say("198.51.100.9", "router")),
			[]string{"inbound IPv4 cannot work: the router has 198.51.100.9 outside, and the Internet sees 203.0.113.7: " + ask},
		},
		{"a router alone proves nothing", home, all(fail(errTimeout, secure...), say("100.64.1.2", "router")), []string{noOne(home)}},
		{
			"the sources disagree", home, all(say(home, "ipify", "amazon"), say(poison, "opendns udp")),
			[]string{"the sources disagree (203.0.113.7 by ipify, amazon; 198.51.100.66 by opendns udp): 203.0.113.7 stays"},
		},
		{
			"a new address is not confirmed", home, say(moved, "opendns udp"),
			[]string{"203.0.113.99 is not believed, since only opendns udp tells it: two operators must, one of them over TLS " +
				"or from this host: 203.0.113.7 stays"},
		},
		{
			"the first one is not", "", say(home, "opendns udp"),
			[]string{"203.0.113.7 is not believed, since only opendns udp tells it: two operators must, one of them over TLS " +
				"or from this host: none is published"},
		},
		{
			"another one answers for an operator", home, all(say(home, "ipify"), fail(redirectedErr, "google udp")),
			[]string{"port 53 is redirected (somebody else answers for google udp): " +
				"let this host ask name servers outside, or name only sources over dot, doh and https with `detect`"},
		},
		{
			"all plain DNS tells the resolver's address", home, all(say(resolver, "opendns udp", "google udp"), say(home, "ipify", "amazon")),
			[]string{"port 53 is redirected (opendns udp says 198.51.100.53, google udp says 198.51.100.53, the Internet sees 203.0.113.7): " +
				"let this host ask name servers outside, or name only sources over dot, doh and https with `detect`"},
		},
		{"nobody tells anything", home, fail(errTimeout, secure...), []string{noOne(home)}},
		{"nobody has ever", "", fail(errors.New("network is unreachable"), secure...), []string{noOne("")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := wanip.NewMemory(knows(tc.known))
			m.Judge(tc.said, false, began)
			if diff := cmp.Diff(tc.want, m.Diagnose(tc.said, zones.IPv4, true)); diff != "" {
				t.Errorf("troubles (-want +got):\n%s", diff)
			}
		})
	}
}

func noOne(stays string) string {
	text := "no source tells an IPv4 address since 2026-11-22T20:00:00Z: "
	if stays == "" {
		stays = "none is published"
	} else {
		stays += " stays"
	}
	return text + stays + " (plexctl probe shows why)"
}

func TestNoIPv6IsNoTrouble(t *testing.T) {
	m := wanip.NewMemory(wanip.Known{})
	m.Judge(nil, false, began)
	if got := m.Diagnose(nil, zones.IPv6, false); got != nil {
		t.Errorf("troubles %q, want none", got)
	}
}

func TestDiagnosisOfWavering(t *testing.T) {
	m := wanip.NewMemory(knows(home))
	for range 2 {
		m.Judge(say(moved, secure...), false, began)
		m.Judge(say(home, secure...), false, began)
	}
	m.Judge(say(moved, secure...), false, began)
	want := []string{"203.0.113.99 must be told for half an hour now, since the sources have told it in turns with another: 203.0.113.7 stays"}
	if diff := cmp.Diff(want, m.Diagnose(say(moved, secure...), zones.IPv4, true)); diff != "" {
		t.Errorf("troubles (-want +got):\n%s", diff)
	}
}

// The router speaks of IPv4 alone.
func TestRouterSaysNothingOfIPv6(t *testing.T) {
	said := all(say("2001:db8::7", secure...), say("192.168.1.2", "router"))
	m := wanip.NewMemory(knows("2001:db8::7"))
	m.Judge(said, false, began)
	if got := m.Diagnose(said, zones.IPv6, true); got != nil {
		t.Errorf("troubles %q, want none", got)
	}
}

func TestHowOftenATroubleIsTold(t *testing.T) {
	talker := wanip.NewTalker()
	for _, step := range []struct {
		at   time.Duration
		text string
		want string
	}{
		{0, "it rains", "later"}, // it may be over at once
		{time.Minute, "it rains", "it rains"},
		{2 * time.Minute, "it pours", ""}, // still the same trouble
		{3 * time.Minute, "", ""},         // and it may come back
		{4 * time.Minute, "it rains", ""},
		{33 * time.Minute, "", ""},
		{34 * time.Minute, "", "the sources agree again"},
		{35 * time.Minute, "", ""},
		{40 * time.Minute, "it rains", "later"},
		{80 * time.Minute, "it rains", "later"}, // something was said within the hour
		{81 * time.Minute, "", ""},
		{100 * time.Minute, "it rains", "later"}, // it has just begun anew
		{101 * time.Minute, "it rains", "it rains"},
		{9 * time.Hour, "it rains", ""},
		{10 * time.Hour, "", "the sources agree again"},
	} {
		begins, ends, later := talker.Tell(step.text, began.Add(step.at))
		got := strings.Join(append(begins, ends...), "; ")
		if later {
			got += "later"
		}
		if got != step.want {
			t.Errorf("after %v: %q, want %q", step.at, got, step.want)
		}
	}
}

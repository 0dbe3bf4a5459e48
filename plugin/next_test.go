package plugin_test

import (
	"testing"
)

// TestNextPlugin asks for names that we leave to the plugin behind, where there is one.
func TestNextPlugin(t *testing.T) {
	const (
		challenge     = "_acme-challenge.home.duckdns.org. TXT"
		nodeChallenge = "_acme-challenge.plex1.home.duckdns.org. TXT"
	)
	tests := []struct {
		what     string
		lines    []string
		zone     []string // internal zone file
		question string
		want     string // with a plugin behind
		alone    string
	}{
		{"a name that nobody has", nil, nil, "none.home.duckdns.org. A", "nxdomain", "nxdomain"},
		{"a managed name", []string{"fallthrough"}, nil, "plex.home.duckdns.org. A", "192.168.1.2", "192.168.1.2"},
		{"a managed name without that type", []string{"fallthrough"}, nil, "plex.home.duckdns.org. MX", "nodata", "nodata"},
		{"fallthrough", []string{"fallthrough"}, nil, "none.home.duckdns.org. A", "next", "nxdomain"},
		{"fallthrough, ANY", []string{"fallthrough"}, nil, "none.home.duckdns.org. ANY", "next", "nxdomain"},
		{
			"fallthrough for a part of the zone",
			[]string{"fallthrough lan.home.duckdns.org"},
			nil,
			"nas.lan.home.duckdns.org. A", "next", "nxdomain",
		},
		{
			"fallthrough for a part of the zone, another name",
			[]string{"fallthrough lan.home.duckdns.org"},
			nil,
			"nas.home.duckdns.org. A", "nxdomain", "nxdomain",
		},
		{
			"fallthrough, a name of the zone file",
			[]string{"fallthrough"},
			[]string{"nas A 192.168.1.9"},
			"nas.home.duckdns.org. AAAA", "nodata", "nodata",
		},
		{"fallthrough with wildcard", []string{"fallthrough", "wildcard"}, nil, "none.home.duckdns.org. A", "192.168.1.2", "192.168.1.2"},
		{"passthrough", []string{"passthrough nas"}, nil, "nas.home.duckdns.org. A", "next", "nxdomain"},
		{"passthrough, a name below", []string{"passthrough nas"}, nil, "x.NAS.home.duckdns.org. A", "next", "nxdomain"},
		{"passthrough, a name beside", []string{"passthrough nas"}, nil, "mynas.home.duckdns.org. A", "nxdomain", "nxdomain"},
		{"passthrough with wildcard", []string{"passthrough nas", "wildcard"}, nil, "nas.home.duckdns.org. A", "next", "192.168.1.2"},
		{"ACME challenge", nil, nil, challenge, "next", "nxdomain"},
		{"ACME challenge of a node", nil, nil, nodeChallenge, "next", "nxdomain"},
		{"ACME challenge with wildcard", []string{"wildcard"}, nil, nodeChallenge, "next", "nxdomain"},
		{
			"ACME challenge in the zone file", nil,
			[]string{`_acme-challenge TXT "token"`},
			challenge, `TXT "token"`, `TXT "token"`,
		},
		{
			"ACME challenge in the zone file, other type", nil,
			[]string{`_acme-challenge TXT "token"`},
			"_acme-challenge.home.duckdns.org. CAA", "nodata", "nodata",
		},
		{
			"ACME challenge by CNAME in the zone file", nil,
			[]string{"_acme-challenge CNAME x.acme.example."},
			"_acme-challenge.home.duckdns.org. CNAME", "CNAME x.acme.example.", "CNAME x.acme.example.",
		},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			dir := t.TempDir()
			lines := with(oneProxy, tt.lines...)
			if tt.zone != nil {
				lines = with(lines, "zonefile internal "+file(t, dir, "zone", tt.zone...))
			}
			if got := newHouseAt(t, dir, next, lines...).ask(inside, tt.question); got != tt.want {
				t.Errorf("%s with a plugin behind: got %s, want %s", tt.question, got, tt.want)
			}
			if got := newHouseAt(t, dir, nil, lines...).ask(inside, tt.question); got != tt.alone {
				t.Errorf("%s with none: got %s, want %s", tt.question, got, tt.alone)
			}
		})
	}
}

// TestChallengeOfOneView is in the external zone file alone: clients inside are led on.
func TestChallengeOfOneView(t *testing.T) {
	dir := t.TempDir()
	zonefile := file(t, dir, "zone", `_acme-challenge TXT "token"`)
	h := newHouseAt(t, dir, next, with(oneProxy, "zonefile external "+zonefile)...)
	if got := h.ask(outside, "_acme-challenge.home.duckdns.org. TXT"); got != `TXT "token"` {
		t.Errorf("outside: got %s", got)
	}
	if got := h.ask(inside, "_acme-challenge.home.duckdns.org. TXT"); got != "next" {
		t.Errorf("inside: got %s", got)
	}
}

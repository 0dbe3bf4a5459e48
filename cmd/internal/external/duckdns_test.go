package external_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"plexha/e2e/standin"
)

// TestOnce pushes what differs, and says what DuckDNS has answered.
func TestOnce(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(h *house)
		args   []string
		words  []string
		wrong  string
		calls  int
		holds  netip.Addr
	}{
		{
			name:  "nothing is there yet",
			words: []string{"home.duckdns.org\n", "ipv4: uplink wan: 203.0.113.7 is the address: opendns udp", "ipv4: DuckDNS took 203.0.113.7 (UPDATED)"},
			calls: 1, holds: truth,
		},
		{
			name:   "another address",
			change: func(h *house) { h.holds(lie) },
			words:  []string{"ipv4: DuckDNS took 203.0.113.7 (UPDATED)"},
			calls:  1, holds: truth,
		},
		{
			name:   "the same address",
			change: func(h *house) { h.holds(truth) },
			words:  []string{"ipv4: all 2 name servers show it already: nothing is pushed"},
			holds:  truth,
		},
		{
			name: "name servers that are silent",
			change: func(h *house) {
				h.holds(truth)
				for _, s := range h.servers {
					s.SetFault(standin.NameServerFail)
				}
			},
			words: []string{"ipv4: DuckDNS had 203.0.113.7 already (NOCHANGE)"},
			calls: 1, holds: truth,
		},
		{
			name:   "nothing that can be believed",
			change: func(h *house) { h.holds(lie); h.stun.Tell(lie); h.word("203.0.113.77") },
			words:  []string{"ipv4: nothing to push: no address that can be believed is found (see plexctl probe)"},
			wrong:  "home.duckdns.org: no external address is known: see plexctl probe",
			holds:  lie,
		},
		{
			name:  "a dry run",
			args:  []string{"-n"},
			words: []string{"ipv4: would send GET http://127.0.0.1:", "/update?domains=home&token=[redacted]&verbose=true&ip=203.0.113.7\n"},
		},
		{
			name:   "another account's name",
			change: func(h *house) { h.duck.Add("somebody-else's", "home") },
			wrong:  "DuckDNS refused the update: is home a name of the account whose token that is?",
			calls:  1,
		},
		{
			name:   "no token",
			change: func(h *house) { h.file("token", "token=x\n") },
			wrong:  "token",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHouse(t)
			if tc.change != nil {
				tc.change(h)
			}
			out, err := h.says("duckdns once", tc.args...)
			want(t, out, err, tc.words, tc.wrong)
			if calls := h.duck.Calls(); len(calls) != tc.calls || h.record() != tc.holds {
				t.Errorf("%d calls, and DuckDNS holds %s; want %d and %s\n%+v", len(calls), h.record(), tc.calls, tc.holds, calls)
			}
		})
	}
}

// TestVerify shows what each name server shows, and fails if that is not right.
func TestVerify(t *testing.T) {
	h := newHouse(t)
	h.holds(truth)
	out, err := h.says("duckdns verify")
	want(t, out, err, nil, "")
	h.golden(t, "verify.txt", out)
	for _, tc := range []struct {
		name   string
		change func(h *house)
		words  []string
		wrong  string
	}{
		{"one is silent", func(h *house) { h.servers[0].SetFault(standin.NameServerFail) }, []string{"\n1 of 2 name servers show it\n"}, ""},
		{
			"all are silent", func(h *house) {
				h.servers[0].SetFault(standin.NameServerFail)
				h.servers[1].SetFault(standin.NameServerForward)
			},
			[]string{"none of the 2 name servers gives an answer that counts", "SERVFAIL"},
			"the ipv4 record of home.duckdns.org is not as it should be",
		},
		{
			"another address", func(h *house) { h.holds(lie) },
			[]string{"uplink wan: 203.0.113.7 is the address", "\n0 of 2 name servers show it: plexctl duckdns once pushes it\n", lie.String()},
			"is not as it should be",
		},
		{"no record", func(h *house) { h.holds(netip.Addr{}) }, []string{"no record", "\n0 of 2 name servers show it: "}, "is not as it should be"},
		{
			"nobody knows what is right", func(h *house) { h.stun.Tell(lie); h.word("") },
			[]string{"no address that can be believed is found", "there is a record, which nothing here bears out"},
			"is not as it should be",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHouse(t)
			h.holds(truth)
			tc.change(h)
			out, err := h.says("duckdns verify")
			want(t, out, err, tc.words, tc.wrong)
			if calls := h.duck.Calls(); len(calls) > 0 {
				t.Errorf("it calls DuckDNS: %+v", calls)
			}
		})
	}
}

// TestClear takes both families away, and only when that is really meant.
func TestClear(t *testing.T) {
	both := standin.DuckRecord{IPv4: truth, IPv6: netip.MustParseAddr("2001:db8::7")}
	const warning = "home.duckdns.org: this takes the addresses of BOTH families away, IPv4 and IPv6"
	for _, tc := range []struct {
		name  string
		args  []string
		words []string
		wrong string
		left  standin.DuckRecord
	}{
		{"without -yes", nil, []string{warning}, "nothing is cleared without -yes", both},
		{"a dry run", []string{"-n"}, []string{warning, "would send GET http://127.0.0.1:", "domains=home&token=[redacted]&verbose=true&clear=true\n"}, "", both},
		{"a dry run that is really meant", []string{"-yes", "-n"}, []string{"would send GET"}, "", both},
		{"with -yes", []string{"-yes"}, []string{warning, "DuckDNS has cleared both\n"}, "", standin.DuckRecord{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHouse(t)
			h.duck.SetRecord("home", both)
			out, err := h.says("duckdns clear", tc.args...)
			want(t, out, err, tc.words, tc.wrong)
			if got := h.duck.Record("home"); got != tc.left {
				t.Errorf("left is %+v, want %+v", got, tc.left)
			}
		})
	}
}

func TestClearThatFails(t *testing.T) {
	h := newHouse(t)
	api := httptest.NewServer(refusing(http.StatusBadGateway))
	t.Cleanup(api.Close)
	h.api = api.URL
	h.write("")
	out, err := h.says("duckdns clear", "-yes")
	want(t, out, err, nil, "DuckDNS answers 502 Bad Gateway")
	if strings.Contains(out, "has cleared") {
		t.Errorf("it claims to have done it:\n%s", out)
	}
}

func TestNoRecordToLookAfter(t *testing.T) {
	h := newHouse(t)
	h.file("Corefile", "home.test {\nplex {\nnode plex1 127.0.0.1\n}\n}\n")
	_, err := h.says("duckdns once")
	want(t, "", err, nil, "no block that is asked about has a duckdns line")
}

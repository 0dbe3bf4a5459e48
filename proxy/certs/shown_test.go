package certs_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"plexha/proxy/certs"
)

var (
	ns1 = netip.MustParseAddrPort("192.0.2.1:53")
	ns2 = netip.MustParseAddrPort("192.0.2.2:53")
)

func TestAwaitRecord(t *testing.T) {
	var (
		blind   = certs.Sighting{Blind: errors.New("unreachable")}
		none    = certs.Sighting{Without: []netip.AddrPort{ns1, ns2}}
		half    = certs.Sighting{Shown: []netip.AddrPort{ns1}, Without: []netip.AddrPort{ns2}}
		all     = certs.Sighting{Shown: []netip.AddrPort{ns1, ns2}}
		allSeen = certs.Sighting{Shown: []netip.AddrPort{ns1}, Blind: errors.New("unreachable")}
	)
	const timeout = 5 * time.Minute
	tests := []struct {
		name  string
		looks []certs.Sighting // the last one stays
		want  time.Duration
		err   string // empty: none
	}{
		{"shown at once", []certs.Sighting{all}, 0, ""},
		{"shown by one after the other", []certs.Sighting{none, half, all}, 2 * certs.LookEvery, ""},
		{"shown by all that answer", []certs.Sighting{half, allSeen}, certs.LookEvery, ""},
		{"one lags for ever", []certs.Sighting{half}, timeout, "its name servers [192.0.2.2:53] do not show it after 5m0s"},
		{"never shown", []certs.Sighting{none}, timeout, "its name servers [192.0.2.1:53 192.0.2.2:53] do not show it after 5m0s"},
		{"none can be asked", []certs.Sighting{blind}, certs.BlindFor, ""},
		{"none can be asked at first", []certs.Sighting{blind, blind, none, all}, 3 * certs.LookEvery, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, n := time.Now(), 0
				_, err := certs.AwaitRecord(t.Context(), timeout, func(context.Context) certs.Sighting {
					n++
					return tt.looks[min(n, len(tt.looks))-1]
				})
				if got := time.Since(start); got != tt.want {
					t.Errorf("waited %s, want %s", got, tt.want)
				}
				if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
			})
		})
	}
}

func TestAwaitRecordEndsWithTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, gone)
		defer cancel()
		start := time.Now()
		_, err := certs.AwaitRecord(ctx, time.Hour, func(context.Context) certs.Sighting { return certs.Sighting{} })
		if !errors.Is(err, gone) || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %s, want %v after 3s", err, time.Since(start), gone)
		}
	})
}

// TestLook: only a name server of DuckDNS that shows this record and no other counts.
func TestLook(t *testing.T) {
	a := newAccount(t, say("OK"), nil)
	name := "_acme-challenge." + a.domain + ".duckdns.org."
	txt := func(text string) string { return name + ` 60 IN TXT "` + text + `"` }
	modified := func(change func(*dns.Msg)) dns.HandlerFunc {
		return func(w dns.ResponseWriter, q *dns.Msg) {
			answerWith(txt("wanted"))(rewriter{w, change}, q)
		}
	}
	tests := []struct {
		name    string
		handler dns.HandlerFunc
		want    string
	}{
		{"the record", answerWith(txt("wanted")), "shown"},
		{"a record in two parts", answerWith(name + ` 60 IN TXT "wan" "ted"`), "shown"},
		{"the record of the order before", answerWith(txt("other")), "without"},
		{"two records", answerWith(txt("wanted"), txt("other")), "without"},
		{"none", answerWith(), "without"},
		{"no such name", modified(func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeNameError, nil }), "without"},
		{"trouble", modified(func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }), "it answers SERVFAIL"},
		{"a resolver in between", modified(func(m *dns.Msg) { m.Authoritative = false }), "is port 53 redirected?"},
		{"truncated over UDP", func(w dns.ResponseWriter, q *dns.Msg) {
			_, overUDP := w.RemoteAddr().(*net.UDPAddr)
			modified(func(m *dns.Msg) {
				if overUDP {
					m.Truncated, m.Answer = true, nil
				}
			})(w, q)
		}, "shown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := netip.MustParseAddrPort(serveDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
				if q.RecursionDesired {
					t.Error("the question desires recursion")
				}
				tt.handler(w, q)
			}))
			seen := a.Look(t.Context(), []netip.AddrPort{server}, "wanted")
			var got string
			switch {
			case seen.Blind != nil:
				got = seen.Blind.Error()
			case len(seen.Shown) == 1:
				got = "shown"
			case len(seen.Without) == 1:
				got = "without"
			}
			if !strings.HasSuffix(got, tt.want) {
				t.Errorf("%+v, want %q", seen, tt.want)
			}
		})
	}
}

// rewriter changes a message on its way out.
type rewriter struct {
	dns.ResponseWriter

	change func(*dns.Msg)
}

func (r rewriter) WriteMsg(m *dns.Msg) error {
	r.change(m)
	return r.ResponseWriter.WriteMsg(m)
}

// TestFindNameServers: the resolvers are asked one after the other, by their addresses.
func TestFindNameServers(t *testing.T) {
	good := serveDNS(t, answerWith(
		"duckdns.org. 600 IN NS ns1.duckdns.org.", "duckdns.org. 600 IN NS ns2.duckdns.org.",
		"ns1.duckdns.org. 600 IN A 192.0.2.1", "ns2.duckdns.org. 600 IN A 192.0.2.2",
	))
	empty := serveDNS(t, answerWith())
	failing := serveDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
		_ = w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeServerFailure))
	})
	tests := []struct {
		name      string
		resolvers []string
		want      []netip.AddrPort
		err       string
	}{
		{"the first knows", []string{good}, []netip.AddrPort{ns1, ns2}, ""},
		{"the last knows", []string{failing, empty, good}, []netip.AddrPort{ns1, ns2}, ""},
		{"none knows", []string{failing, empty}, nil, "asking " + failing + " in the clear: it answers SERVFAIL for duckdns.org (nor has it worked with 1 more)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAccount(t, say("OK"), map[string]any{"nameservers": nil, "resolvers": tt.resolvers})
			got, err := a.FindNameServers(t.Context())
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
				t.Errorf("name servers (-want +got):\n%s", diff)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

// TestProviderNeverShown: an order whose record does not show leaves nothing behind.
func TestProviderNeverShown(t *testing.T) {
	a := newAccount(t, say("OK"), map[string]any{
		"nameservers": []string{serveDNS(t, answerWith())}, "propagation_timeout": "1ns",
	})
	_, err := a.AppendRecords(t.Context(), "duckdns.org.", record)
	if err == nil || !strings.Contains(err.Error(), "do not show it") {
		t.Errorf("error %v, want one of its name servers", err)
	}
	if diff := cmp.Diff([]string{"set secret of the CA", "clear"}, duck.changes(a.domain)); diff != "" {
		t.Errorf("DuckDNS was asked (-want +got):\n%s", diff)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := a.Present(ctx, "of the next order"); err != nil {
		t.Errorf("the next order: %v", err)
	}
}

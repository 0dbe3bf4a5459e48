package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"plexha/e2e/internal/gate"
	"plexha/e2e/standin"
)

// TestExternalAddressIsFound: nothing is known at first. The address comes when two rounds agree, 5 s apart.
func TestExternalAddressIsFound(t *testing.T) {
	t.Parallel()
	for _, sources := range [][]string{
		wanSources,
		{"cloudflare doh", "opendns dot"},
		{"akamai udp", "https"},
		{"cloudflare dot", "router natpmp"},
		{"https", "router upnp"},
		{"cloudflare udp", "stun", "opendns dot"},
	} {
		t.Run(strings.Join(sources, ", "), func(t *testing.T) {
			t.Parallel()
			w := newWAN(t, wanConfig{sources: sources})
			w.start()
			w.arrives("found", firstAddr, 30*time.Second)
			w.says(30*time.Second, "by 2 of 2 name servers of DuckDNS")
			if diff := cmpAddrs([]netip.Addr{firstAddr}, w.pushes()); diff != "" {
				t.Errorf("pushed (-want +got):\n%s", diff)
			}
			for _, s := range sources {
				if w.echoes[s][0].Count().Questions == 0 {
					t.Errorf("%s was not asked", s)
				}
			}
		})
	}
}

// TestExternalAddressChanges: the new address is in the answers and at DuckDNS after one detection, whatever
// starts that.
func TestExternalAddressChanges(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		within time.Duration
		start  func(w *wan)
		needs  gate.Requirement
	}{
		{name: "trigger over the Unix socket", within: 15 * time.Second, start: func(w *wan) { w.trigger("detect") }},
		{name: "trigger over HTTP", within: 15 * time.Second, start: func(w *wan) {
			resp, err := http.Post("http://"+w.page.String()+"/detect?zone=home.duckdns.org", "", nil)
			if err != nil {
				w.tb.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusAccepted {
				w.tb.Errorf("trigger: %s", resp.Status)
			}
		}},
		{name: "tick", within: 90 * time.Second, start: func(*wan) {}, needs: minutes},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.needs != nil {
				gate.Need(t, tt.needs)
			}
			w := newWAN(t, wanConfig{running: true})
			w.start()
			w.confirmed(firstAddr)
			w.moveTo(secondAddr)
			tt.start(w)
			w.arrives("changed", secondAddr, tt.within)
			if diff := cmpAddrs([]netip.Addr{secondAddr}, w.pushes()); diff != "" {
				t.Errorf("pushed (-want +got):\n%s", diff)
			}
		})
	}
}

// liar is an address that nobody has. It could be an external one.
var liar = netip.MustParseAddr("203.0.113.66")

// TestWhatIsNotPublished: whoever lies or is lied to, the address stays, and the status says why until that is
// over. The log says it once, when it has lasted for a while; that port 53 is redirected, for five minutes,
// which nobody waits for here.
func TestWhatIsNotPublished(t *testing.T) {
	t.Parallel()
	gate.Need(t, minutes) // the log speaks of what has lasted for nearly one
	plain := []string{"opendns udp", "google udp"}
	tests := []struct {
		name string
		is   func(w *wan)
		says []string // in one line
	}{
		{
			"a resolver on the way that gives its own address",
			func(w *wan) { w.fault(standin.EchoOwn, plain...) },
			[]string{"port 53 is redirected", "opendns udp says 127.0.0.1"},
		},
		{
			"a resolver on the way with an address that could be ours",
			func(w *wan) { w.tell(liar, plain...); w.fault(standin.EchoForward, "google udp") },
			[]string{"port 53 is redirected", "google udp", "somebody else answers"},
		},
		{
			"a captive portal",
			func(w *wan) {
				w.fault(standin.EchoPortal, "opendns udp", "google udp", "https")
				w.fault(standin.EchoSilent, "cloudflare dot")
			},
			[]string{"port 53 is redirected", "google udp", "somebody else answers"},
		},
		{
			"a poisoned echo",
			func(w *wan) { w.tell(liar, "opendns udp") },
			[]string{"the sources disagree", "203.0.113.66 by opendns udp", "203.0.113.7 stays"},
		},
		{
			"a liar over TLS",
			func(w *wan) { w.tell(liar, "https") },
			[]string{"the sources disagree", "203.0.113.66 by https", "203.0.113.7 stays"},
		},
		{
			"a liar whom nobody contradicts",
			func(w *wan) {
				w.fault(standin.EchoSilent, "cloudflare dot", "google udp", "https")
				w.tell(liar, "opendns udp")
			},
			[]string{"203.0.113.66 is not believed, since only opendns udp tells it", "203.0.113.7 stays"},
		},
		{
			"two liars over plain DNS whom nobody contradicts",
			func(w *wan) {
				w.fault(standin.EchoSilent, "cloudflare dot", "https")
				w.tell(liar, plain...)
			},
			[]string{"203.0.113.66 is not believed, since only opendns udp, google udp tells it", "203.0.113.7 stays"},
		},
		{
			"carrier-grade NAT",
			func(w *wan) { w.tell(netip.MustParseAddr("100.64.3.4"), "router natpmp") },
			[]string{"inbound IPv4 cannot work", "100.64.3.4 is shared between customers: carrier-grade NAT (RFC 6598)"},
		},
		{
			"a router behind a router",
			func(w *wan) { w.tell(netip.MustParseAddr("192.168.0.2"), "router natpmp") },
			[]string{"inbound IPv4 cannot work", "192.168.0.2 is a private address (RFC 1918)"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWAN(t, wanConfig{sources: append(slices.Clone(wanSources), "router natpmp"), running: true})
			if tt.name == "carrier-grade NAT" || tt.name == "a router behind a router" {
				tt.is(w) // while all is well the router is asked but once an hour
			}
			w.start()
			w.confirmed(firstAddr)
			stays := w.watch(firstAddr)
			tt.is(w)
			w.trigger("detect")
			began := time.Now()
			eventually(t, 20*time.Second, func() error { return w.troubledBy(tt.says...) })
			if tt.says[0] != "port 53 is redirected" {
				line := w.line(3*time.Minute, tt.says...)
				t.Logf("after %s: %s", time.Since(began).Round(time.Second), line)
			}
			w.fault(standin.EchoFine)
			w.tell(netip.Addr{})
			w.trigger("detect")
			eventually(t, 20*time.Second, func() error { return w.troubledBy() })
			stays()
			if n := w.dns.proc.output.count(tt.says[0]); n > 1 {
				t.Errorf("the log says so %d times", n)
			}
			if pushed := w.pushes(); len(pushed) > 0 {
				t.Errorf("pushed: %v", pushed)
			}
		})
	}
}

// TestWhatEchoesMayNotSay: each source's answer is refused or no answer, with the reason in the status.
func TestWhatEchoesMayNotSay(t *testing.T) {
	t.Parallel()
	w := newWAN(t, wanConfig{running: true})
	w.start()
	w.confirmed(firstAddr)
	stays := w.watch(firstAddr)
	private, shared := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("100.64.0.9")
	rounds := []map[string]struct {
		is  func(source string)
		why string // a part of what is said of it; empty: it tells the address
	}{
		{
			"google udp":     {func(s string) { w.tell(private, s) }, "10.1.2.3 is a private address (RFC 1918)"},
			"cloudflare dot": {func(s string) { w.tell(shared, s) }, "100.64.0.9 is shared between customers"},
			"https":          {func(s string) { w.fault(standin.EchoOwn, s) }, "127.0.0.1 is a server's that is asked"},
			"opendns udp":    {func(s string) { w.fault(standin.EchoNoName, s) }, "NXDOMAIN"},
		},
		{
			"google udp":     {func(s string) { w.fault(standin.EchoForward, s) }, "somebody else answers"},
			"cloudflare dot": {func(s string) { w.fault(standin.EchoSeveral, s) }, "tells more than one address"},
			"https":          {func(s string) { w.fault(standin.EchoPortal, s) }, "a page of more than 64 bytes"},
			"opendns udp":    {func(s string) { w.fault(standin.EchoFail, s) }, "SERVFAIL"},
		},
		{
			"google udp":  {func(s string) { w.fault(standin.EchoJunk, s) }, `answers "not.an.address", which is no address`},
			"https":       {func(s string) { w.fault(standin.EchoHTML, s) }, "which is no address"},
			"opendns udp": {func(s string) { w.fault(standin.EchoWrongID, s) }, "do not belong to the question"},
		},
		{
			"google udp": {func(s string) { w.fault(standin.EchoTruncate, s) }, ""},
			"https":      {func(s string) { w.fault(standin.EchoRedirect, s) }, "redirects to 192.168.182.1"},
		},
		{
			"google udp": {func(s string) { w.fault(standin.EchoWrong, s) }, "do not belong to the question"},
			"https":      {func(s string) { w.fault(standin.EchoEndless, s) }, "a page of more than 64 bytes"},
		},
		{"https": {func(s string) { w.fault(standin.EchoFail, s) }, "503"}},
	}
	for _, round := range rounds {
		for source, wrong := range round {
			wrong.is(source)
		}
		w.trigger("detect")
		for source, wrong := range round {
			eventually(t, 20*time.Second, func() error {
				said, err := w.finding(source)
				if err == nil && (wrong.why == "") != (said == "") || !strings.Contains(said, wrong.why) {
					err = fmt.Errorf("%s: said %q, want %q", source, said, wrong.why)
				}
				return err
			})
		}
		w.fault(standin.EchoFine)
		w.tell(netip.Addr{})
	}
	stays()
	if pushed := w.pushes(); len(pushed) > 0 {
		t.Errorf("pushed: %v", pushed)
	}
}

// troubledBy returns nil if the status names a trouble with all the words, or none if there are no words.
func (w *wan) troubledBy(words ...string) error {
	s, err := w.status()
	if err != nil {
		return err
	}
	trouble := s.Clusters[0].Uplinks[0].External.IPv4.Trouble
	lacks := slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(trouble, word) })
	if lacks || len(words) == 0 && trouble != "" {
		return fmt.Errorf("the status says %q, want %q", trouble, words)
	}
	return nil
}

// finding returns why the last round of all sources has got nothing from one; empty: it has got an address.
func (w *wan) finding(source string) (string, error) {
	s, err := w.status()
	if err != nil {
		return "", err
	}
	for _, f := range s.Clusters[0].Uplinks[0].External.IPv4.Findings {
		if f.Source == source || source == "https" && strings.HasPrefix(f.Source, "https ") {
			return f.Refused + f.Error, nil
		}
	}
	return "", errors.New("no finding of " + source)
}

// watch asks from outside until the returned function is called, and fails the test if one answer is another
// than the address.
func (w *wan) watch(want netip.Addr) (stop func()) {
	w.tb.Helper()
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if err := w.showsOutside(want); err != nil {
				w.tb.Error(err)
			}
			select {
			case <-quit:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	stop = sync.OnceFunc(func() {
		close(quit)
		wg.Wait()
	})
	w.tb.Cleanup(stop)
	return stop
}

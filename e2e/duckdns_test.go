package e2e_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"plexha/e2e/internal/gate"
	"plexha/e2e/standin"
)

// wordOnly has plexdns take the external address from a file: these tests are about what follows.
func wordOnly(w *wan, addr netip.Addr) string { return "detect file " + w.address(addr) }

// address writes the home's external address where `detect file` looks.
func (w *wan) address(addr netip.Addr) string {
	w.tb.Helper()
	file := filepath.Join(w.dns.dir, "address")
	writeFile(w.tb, file, addr.String()+"\n")
	return file
}

// newTold returns a home whose address is in a file. It does not run yet.
func newTold(t *testing.T, c wanConfig) *wan {
	t.Helper()
	c.sources = []string{}
	w := newWAN(t, c)
	c.lines = append(c.lines, wordOnly(w, firstAddr))
	w.dns.write(w.corefile(c))
	return w
}

// TestRestartWithoutDuckDNS: what was known is answered at once, and DuckDNS is not stormed when it returns.
func TestRestartWithoutDuckDNS(t *testing.T) {
	t.Parallel()
	t.Run("with the same address", func(t *testing.T) {
		t.Parallel()
		w := newTold(t, wanConfig{running: true})
		w.away(true)
		w.startsWith(firstAddr)
		w.confirmed(firstAddr)
		w.away(false)
		w.trigger("duckdns")
		eventually(t, 20*time.Second, func() error {
			s, err := w.status()
			if seen := s.Clusters[0].DuckDNS.IPv4.View; err == nil && seen != "verified" {
				err = fmt.Errorf("the record is seen as %q", seen)
			}
			return err
		})
		if pushed := w.pushes(); len(pushed) > 0 {
			t.Errorf("pushed %v, want nothing", pushed)
		}
	})
	t.Run("with another address", func(t *testing.T) {
		t.Parallel()
		gate.Need(t, minutes)
		w := newTold(t, wanConfig{running: true})
		w.away(true)
		w.startsWith(firstAddr)
		w.address(secondAddr)
		w.trigger("detect")
		eventually(t, 20*time.Second, func() error { return w.showsOutside(secondAddr) })
		eventually(t, time.Minute, func() error { return w.failing("pushing 203.0.113.8 to DuckDNS") })
		w.dns.stop()
		w.startsWith(secondAddr)
		w.away(false)
		eventually(t, 2*time.Minute, func() error { return w.holds(secondAddr) })
		w.says(time.Minute, "is verified after")
		if diff := cmpAddrs([]netip.Addr{secondAddr}, w.pushes()); diff != "" {
			t.Errorf("pushed (-want +got):\n%s", diff)
		}
	})
}

// away takes DuckDNS off the Internet, name servers and all, or puts it back.
func (w *wan) away(gone bool) {
	api, names := standin.DuckFine, standin.NameServerFine
	if gone {
		api, names = standin.DuckAway, standin.NameServerDrop
	}
	w.duck.SetFault(api)
	for _, s := range w.names {
		s.SetFault(names)
	}
}

// startsWith starts plexdns, whose first answer outside must be the address.
func (w *wan) startsWith(addr netip.Addr) {
	w.tb.Helper()
	began := time.Now()
	w.start()
	if err := w.showsOutside(addr); err != nil {
		w.tb.Error(err)
	}
	w.tb.Logf("started: %s outside after %s", addr, time.Since(began).Round(10*time.Millisecond))
}

// failing returns nil if the last push has failed with these words.
func (w *wan) failing(words string) error {
	s, err := w.status()
	if err != nil {
		return err
	}
	if got := s.Clusters[0].DuckDNS.IPv4.Error; !strings.Contains(got, words) {
		return fmt.Errorf("the last push has failed with %q, want %q", got, words)
	}
	return nil
}

// TestOnePusherAtATime: the Corefile is read anew while a push is under way, and while the next is due.
func TestOnePusherAtATime(t *testing.T) {
	t.Parallel()
	w := newTold(t, wanConfig{running: true, still: true})
	w.duck.SetFault(standin.DuckSlow)
	w.start()
	w.confirmed(firstAddr)
	w.address(secondAddr)
	w.trigger("detect")
	eventually(t, 20*time.Second, func() error {
		if len(w.duck.Calls()) == 0 {
			return errors.New("no push yet")
		}
		return nil
	})
	w.reload()
	w.says(30*time.Second, "is verified after")
	// The first one may have been cut off by the reload, and its instance does not know how it went.
	calls := len(w.duck.Calls())
	if t.Logf("%d calls", calls); calls > 2 {
		t.Errorf("%d pushes of one address", calls)
	}
	w.reload()
	w.reload()
	w.trigger("duckdns")
	if got := len(w.duck.Calls()); got > calls {
		t.Errorf("%d pushes more for two more reloads", got-calls)
	}
	if got := w.duck.AtOnce(); got != 1 {
		t.Errorf("%d pushes at once", got)
	}
}

// reload has plexdns read its Corefile again, and returns when it has.
func (w *wan) reload() {
	w.tb.Helper()
	before := w.dns.proc.output.count("Reloading complete")
	w.dns.proc.signal(w.tb, syscall.SIGUSR1)
	eventually(w.tb, 20*time.Second, func() error {
		if w.dns.proc.output.count("Reloading complete") == before {
			return errors.New("not reloaded yet")
		}
		return nil
	})
}

// TestDuckDNSByItsOwnName: without `api` the library's own URL is called, here by a proxy that knows the way.
func TestDuckDNSByItsOwnName(t *testing.T) {
	t.Parallel()
	w := newTold(t, wanConfig{})
	api := w.api
	corefile := w.corefile(wanConfig{sources: []string{}, lines: []string{wordOnly(w, firstAddr)}})
	w.dns.write(strings.Replace(corefile, " api "+api, "", 1))
	tunnel := httptest.NewServer(standin.Tunnel{"www.duckdns.org:443": strings.TrimPrefix(api, "https://")})
	t.Cleanup(tunnel.Close)
	w.dns.env = append(w.dns.env, "HTTPS_PROXY="+tunnel.URL)
	w.start()
	w.arrives("found", firstAddr, 30*time.Second)
	w.says(20*time.Second, "is verified after")
	if diff := cmpAddrs([]netip.Addr{firstAddr}, w.pushes()); diff != "" {
		t.Errorf("pushed (-want +got):\n%s", diff)
	}
	if got := w.duck.Calls()[0].Query.Get("token"); got != duckToken {
		t.Errorf("DuckDNS got the token %q", got)
	}
}

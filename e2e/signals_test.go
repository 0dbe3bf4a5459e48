package e2e_test

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestReloadGoesOnAfterSIGUSR1 changes the Corefile after a SIGUSR1: in stock CoreDNS the first such signal
// is the last time that anybody looks at the Corefile.
func TestReloadGoesOnAfterSIGUSR1(t *testing.T) {
	t.Parallel()
	h := newHome(t, homeConfig{})
	name := "plex." + zone
	change := func(from, to string) {
		t.Helper()
		h.dns.write(strings.Replace(h.corefile(homeConfig{}), from, to, 1))
	}
	wait := func(want string) {
		t.Helper()
		eventually(t, 10*time.Second, func() error {
			m, err := h.dns.tryAsk(outside, name, dns.TypeA)
			if err == nil && fmt.Sprint(addresses(m)) != "["+want+"]" {
				err = fmt.Errorf("outside the answer is %v, want %s", addresses(m), want)
			}
			return err
		})
	}
	change("203.0.113.7", "203.0.113.8")
	h.dns.proc.signal(t, syscall.SIGUSR1)
	wait("203.0.113.8")
	for _, next := range []string{"203.0.113.9", "203.0.113.10"} {
		change("203.0.113.7", next)
		wait(next) // by the reload plugin alone
		h.dns.proc.signal(t, syscall.SIGUSR1)
	}
	change("uplink wan", "uplynk wan")
	h.dns.proc.signal(t, syscall.SIGUSR1)
	eventually(t, 10*time.Second, func() error {
		if h.dns.proc.output.count(`unknown property "uplynk"`) == 0 {
			return fmt.Errorf("the mistake is not told of")
		}
		return nil
	})
	wait("203.0.113.10")
}

// TestOtherSignals: a closed terminal ends nothing, an interrupt ends it well.
func TestOtherSignals(t *testing.T) {
	t.Parallel()
	h := newHome(t, homeConfig{})
	h.dns.proc.signal(t, syscall.SIGHUP)
	h.dns.proc.signal(t, syscall.SIGUSR2)
	if m := h.dns.ask(inside, zone, dns.TypeSOA); len(m.Answer) != 1 {
		t.Errorf("after SIGHUP and SIGUSR2: got %v", m)
	}
	h.dns.ends = true
	h.dns.proc.signal(t, syscall.SIGINT)
	if err := h.dns.proc.wait(t, 20*time.Second); err != nil {
		t.Errorf("after an interrupt it ended with %v, want code 0", err)
	}
}

// TestVersion: -version names ours, CoreDNS's and Go's.
func TestVersion(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), programs.path(t, "plexdns"), "-version").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"plexdns-", "CoreDNS-1.15.0", ", go1."} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q does not name %s", out, want)
		}
	}
}

// TestOrders: the orders file takes a node out of the answers and back in, while its state goes on being
// tracked.
func TestOrders(t *testing.T) {
	t.Parallel()
	h := newHome(t, homeConfig{lines: []string{"answer nodes first"}})
	orders := h.dns.dir + "/home.duckdns.org.orders"
	wait := func(want netip.Addr) {
		t.Helper()
		eventually(t, 20*time.Second, func() error {
			got := addresses(h.dns.ask(inside, "plex."+zone, dns.TypeA))
			if len(got) != 1 || got[0] != want {
				return fmt.Errorf("got %v, want %s", got, want)
			}
			return nil
		})
	}
	one, two := h.nodes[0].addr.Addr(), h.nodes[1].addr.Addr()
	wait(one)
	writeFile(t, orders, "plex1 drain # new disk\n")
	wait(two)
	status := fmt.Sprint(h.dns.ask(inside, "_status.plex1."+zone, dns.TypeTXT).Answer)
	if !strings.Contains(status, "plex1 up since ") || !strings.Contains(status, ", order drain") {
		t.Errorf("the status does not show state and order: %s", status)
	}
	writeFile(t, orders, "plex1 drian\n") // a mistake changes nothing
	eventually(t, 5*time.Second, func() error {
		if h.dns.proc.output.count(`unknown order "drian"`) == 0 {
			return fmt.Errorf("the mistake is not told of")
		}
		return nil
	})
	wait(two)
	until := time.Now().Add(5 * time.Second).UTC().Truncate(time.Second)
	order := "plex1 down " + until.Format(time.RFC3339)
	writeFile(t, orders, order+"\n")
	// The log still says so once the order has ended, whenever this test looks.
	eventually(t, 20*time.Second, func() error {
		if h.dns.proc.output.count("order on node plex1 of home.duckdns.org: down until "+until.Format(time.RFC3339)) == 0 {
			return fmt.Errorf("the order %q is not told of", order)
		}
		return nil
	})
	wait(one)
	if now := time.Now(); now.Before(until) {
		t.Errorf("at %s the order %q has ended", now.UTC(), order)
	}
}

package e2e_test

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"plexha/e2e/internal/gate"
)

const mainName = "plex." + zone

var cmpAddr = cmpopts.EquateComparable(netip.Addr{})

// asker asks for the IPv4 addresses of a name, as a client at that address.
type asker func(from netip.Addr, name string) ([]netip.Addr, error)

// byLibrary asks as programs do.
func byLibrary(p *plexdns) asker {
	return func(from netip.Addr, name string) ([]netip.Addr, error) {
		m, err := p.tryAsk(from, name, dns.TypeA)
		if err != nil {
			return nil, err
		}
		return addresses(m), nil
	}
}

// byDig asks as people do.
func byDig(ctx context.Context, p *plexdns) asker {
	return func(from netip.Addr, name string) ([]netip.Addr, error) {
		out, err := exec.CommandContext(ctx, "dig", "-b", from.String(), "@"+p.addr.Addr().String(), "-p",
			fmt.Sprint(p.addr.Port()), "+short", "+tries=1", "+time=3", name, "A").Output()
		if err != nil {
			return nil, fmt.Errorf("dig: %w: %s", err, out)
		}
		var as []netip.Addr
		for line := range strings.FieldsSeq(string(out)) {
			a, err := netip.ParseAddr(line)
			if err != nil {
				return nil, fmt.Errorf("dig: %q", out)
			}
			as = append(as, a)
		}
		slices.SortFunc(as, netip.Addr.Compare)
		return as, nil
	}
}

func TestAnswersFollowHealth(t *testing.T) {
	t.Parallel()
	t.Run("library", func(t *testing.T) {
		t.Parallel()
		h := newHome(t, homeConfig{proxies: 1})
		followHealth(t, h, byLibrary(h.dns))
	})
	t.Run("dig", func(t *testing.T) {
		t.Parallel()
		gate.Need(t, gate.Tool("dig"))
		h := newHome(t, homeConfig{proxies: 1})
		followHealth(t, h, byDig(t.Context(), h.dns))
	})
}

func followHealth(t *testing.T, h *home, ask asker) {
	t.Helper()
	outsiders := watchOutside(t, ask)
	proxy := h.proxies[0]
	expect := func(state string, want ...netip.Addr) {
		t.Helper()
		eventually(t, 10*time.Second, func() error {
			got, err := ask(inside, mainName)
			if diff := cmp.Diff(want, got, cmpAddr); err == nil && diff != "" {
				err = fmt.Errorf("%s: answer (-want +got):\n%s", state, diff)
			}
			return err
		})
	}
	expect("all up", proxy.addr.Addr())

	proxy.kill()
	chosen, other := h.nodes[0], h.nodes[1]
	eventually(t, 10*time.Second, func() error {
		got, err := ask(inside, mainName)
		switch {
		case err != nil:
			return err
		case slices.Equal(got, addrs(chosen)):
			return nil
		case slices.Equal(got, addrs(other)):
			chosen, other = other, chosen
			return nil
		default:
			return fmt.Errorf("proxy killed: %v, want one healthy node", got)
		}
	})
	chosen.kill()
	expect("proxy and one node killed", other.addr.Addr())
	other.kill()
	expect("all killed: the last resort", proxy.addr.Addr())
	chosen.start()
	expect("one node back", chosen.addr.Addr())
	other.start()
	proxy.start()
	expect("all back", proxy.addr.Addr())
	outsiders()
}

// watchOutside asks from outside until the returned function is called, and fails the test if one answer is
// not the uplink's address.
func watchOutside(t *testing.T, ask asker) (stop func()) {
	t.Helper()
	quit := make(chan struct{})
	var wg sync.WaitGroup
	asked := 0
	wg.Go(func() {
		for {
			for _, name := range []string{mainName, zone, "plex1." + zone} {
				got, err := ask(outside, name)
				if diff := cmp.Diff([]netip.Addr{uplink}, got, cmpAddr); err != nil || diff != "" {
					t.Errorf("outside, %s: %v, (-want +got):\n%s", name, err, diff)
				}
				asked++
			}
			select {
			case <-quit:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return func() {
		t.Helper()
		close(quit)
		wg.Wait()
		t.Logf("%d answers outside", asked)
	}
}

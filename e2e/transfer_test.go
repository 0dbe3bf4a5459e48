package e2e_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"plexha/e2e/internal/gate"
)

// withSecondaries is a home whose external view goes to those name servers.
func withSecondaries(to ...netip.AddrPort) homeConfig {
	var words []string
	for _, a := range to {
		words = append(words, a.String())
	}
	return homeConfig{
		lines:   []string{"ns ns1 203.0.113.7", "ns ns2 192.0.2.53"},
		plugins: []string{"transfer {\n        to " + strings.Join(words, " ") + "\n    }"},
	}
}

// setUplink changes the external address.
func (h *home) setUplink(c homeConfig, to string) {
	h.tb.Helper()
	h.dns.write(strings.Replace(h.corefile(c), "uplink wan "+uplink.String(), "uplink wan "+to, 1))
}

// transferred fetches the zone.
func (p *plexdns) transferred() ([]dns.RR, error) {
	envelopes, err := new(dns.Transfer).In(new(dns.Msg).SetAxfr(zone), p.addr.String())
	if err != nil {
		return nil, err
	}
	var out []dns.RR
	for e := range envelopes {
		if e.Error != nil {
			return nil, e.Error
		}
		out = append(out, e.RR...)
	}
	return out, nil
}

func TestTransferAndNotify(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var told sync.Map // the ids of the NOTIFYs: one that is sent again, since its answer was late, is none more
	notified := func() (n int) {
		told.Range(func(any, any) bool { n++; return true })
		return n
	}
	secondary := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		if r.Opcode == dns.OpcodeNotify {
			told.Store(r.Id, true)
		}
		_ = w.WriteMsg(new(dns.Msg).SetReply(r)) // the test fails without it
	})}
	go func() { _ = secondary.ActivateAndServe() }()
	t.Cleanup(func() { _ = secondary.Shutdown() })
	c := withSecondaries(netip.MustParseAddrPort(conn.LocalAddr().String()))
	h := newHome(t, c)

	rrs, err := h.dns.transferred()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, rr := range rrs {
		if a, ok := rr.(*dns.A); ok && a.A.String() != uplink.String() && a.A.String() != "192.0.2.53" {
			t.Errorf("an internal address left the house: %s", a)
		}
		names = append(names, rr.Header().Name+" "+dns.TypeToString[rr.Header().Rrtype])
	}
	for _, want := range []string{
		zone + " SOA", zone + " NS", zone + " A",
		"plex." + zone + " A", "plex1." + zone + " A", "plex2." + zone + " A", "ns1." + zone + " A", "ns2." + zone + " A",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("the transfer lacks %s: got %v", want, names)
		}
	}
	eventually(t, 5*time.Second, func() error {
		if notified() == 0 {
			return fmt.Errorf("no NOTIFY at start")
		}
		return nil
	})
	before := notified()
	h.setUplink(c, "203.0.113.8")
	eventually(t, 10*time.Second, func() error {
		if notified() == before {
			return fmt.Errorf("no NOTIFY after a change")
		}
		return nil
	})
	now, err := h.dns.transferred()
	if err != nil {
		t.Fatal(err)
	}
	if old, raised := rrs[0].(*dns.SOA).Serial, now[0].(*dns.SOA).Serial; int32(raised-old) <= 0 { //nolint:gosec // RFC 1982
		t.Errorf("the serial did not rise: %d, then %d", old, raised)
	}
}

// TestNoTransferWithoutAddress: secondaries keep what they have rather than forget it.
func TestNoTransferWithoutAddress(t *testing.T) {
	t.Parallel()
	c := withSecondaries(netip.MustParseAddrPort("127.0.0.1:9"))
	c.exact = true
	c.lines = append(c.lines, "internal 127.0.0.0/8", "answer nodes first")
	h := newHome(t, c)
	if rrs, err := h.dns.transferred(); err == nil {
		t.Errorf("a zone without addresses was transferred: %v", rrs)
	}
	if m := h.dns.ask(outside, "plex."+zone, dns.TypeA); len(m.Answer) == 0 {
		t.Errorf("127.9.9.9 is internal here: got %v", m)
	}
}

// peer is a name server of another make, as a secondary.
type peer struct {
	name string
	conf func(dir string, own, primary netip.AddrPort) string
	args func(conf string) []string
}

var peers = []peer{
	{"nsd", func(dir string, own, primary netip.AddrPort) string {
		return fmt.Sprintf(`server:
    ip-address: %s
    port: %d
    username: ""
    zonesdir: %q
    pidfile: "%[3]s/pid"
    xfrdfile: "%[3]s/xfrd"
    zonelistfile: "%[3]s/list"
    database: ""
    hide-version: yes
remote-control:
    control-enable: no
zone:
    name: %s
    allow-notify: 127.0.0.1 NOKEY
    request-xfr: AXFR %s@%d NOKEY
`, own.Addr(), own.Port(), dir, zone, primary.Addr(), primary.Port())
	}, func(conf string) []string { return []string{"-d", "-c", conf} }},
	{"knotd", func(dir string, own, primary netip.AddrPort) string {
		return fmt.Sprintf(`server:
    listen: %s@%d
    rundir: %s
database:
    storage: %[3]s
remote:
  - id: primary
    address: %[4]s@%[5]d
acl:
  - id: notify
    address: 127.0.0.1
    action: notify
zone:
  - domain: %[6]s
    storage: %[3]s
    master: primary
    acl: notify
`, own.Addr(), own.Port(), dir, primary.Addr(), primary.Port(), zone)
	}, func(conf string) []string { return []string{"-c", conf} }},
	{"named", func(dir string, own, primary netip.AddrPort) string {
		return fmt.Sprintf(`options {
    directory %q;
    pid-file "%[1]s/pid";
    listen-on port %d { %s; };
    listen-on-v6 { none; };
    recursion no;
    notify no;
    session-keyfile "%[1]s/key";
};
controls { };
zone "%[4]s" {
    type secondary;
    primaries port %d { %s; };
    allow-notify { 127.0.0.1; };
    file "zone";
};
`, dir, own.Port(), own.Addr(), zone, primary.Port(), primary.Addr())
	}, func(conf string) []string { return []string{"-g", "-c", conf} }},
}

// TestSecondaries: name servers of other makes take the external view, and its changes within seconds.
func TestSecondaries(t *testing.T) {
	t.Parallel()
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			gate.Need(t, gate.Tool(p.name))
			own := netip.AddrPortFrom(inside, freePort(t, inside))
			c := withSecondaries(own)
			h := newHome(t, c)
			dir := t.TempDir()
			conf := filepath.Join(dir, "conf")
			if err := os.WriteFile(conf, []byte(p.conf(dir, own, h.dns.addr)), 0o600); err != nil {
				t.Fatal(err)
			}
			startProcess(t, "", exec.CommandContext(t.Context(), p.name, p.args(conf)...))
			published := func(want string) {
				t.Helper()
				eventually(t, 30*time.Second, func() error {
					m, err := dns.Exchange(new(dns.Msg).SetQuestion("plex."+zone, dns.TypeA), own.String())
					if err == nil && fmt.Sprint(addresses(m)) != "["+want+"]" {
						err = fmt.Errorf("%s answers %v, want %s", p.name, addresses(m), want)
					}
					return err
				})
			}
			published(uplink.String())
			h.setUplink(c, "203.0.113.8")
			published("203.0.113.8")
		})
	}
}

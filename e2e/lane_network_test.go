package e2e_test

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestLaneAddresses: whichever of its addresses a client asks, at whatever plexdns listens, the answer comes from
// there, and it is the lane's. A client takes none from another address.
func TestLaneAddresses(t *testing.T) {
	t.Parallel()
	var (
		loopback = []string{"127.0.0.1", "127.0.0.2", "127.9.9.9"}
		four     = append(slices.Clone(loopback), "198.18.0.1")
		six      = []string{"::1", "fd12:3456::1", "fe80::1%cable"}
		afar     = []string{"198.18.0.1", "fd12:3456::1", "fe80::1%cable"} // asked from the other end of the cable
	)
	for _, tc := range []struct {
		name, bind string
		here       []string
		there      []string
		lanes      int
	}{
		{"all addresses", "", slices.Concat(four, six), afar, 1},
		{"all IPv4 addresses", "bind 0.0.0.0", four, afar[:1], 1},
		{"all IPv6 addresses", "bind ::", slices.Concat(four, six), afar, 1},
		{"one IPv4 address", "bind 198.18.0.1", four[3:], afar[:1], 1},
		{"one IPv6 address", "bind fd12:3456::1", six[1:2], afar[1:2], 1},
		{"addresses of both families", "bind 127.0.0.2 ::1 198.18.0.1", []string{"127.0.0.2", "::1", "198.18.0.1"}, afar[:1], 3},
		{"an interface", "bind cable", []string{"198.18.0.1", "fd12:3456::1", "fe80::1%cable"}, afar, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t)
			for i, ns := range []string{n.here, n.there} {
				n.ip("-n %s link set cable down", ns)
				n.ip("-n %s link set cable addrgenmode none", ns)
				n.ip("-n %s link set cable up", ns)
				n.ip("-n %s addr add fd12:3456::%d/64 dev cable nodad", ns, i+1)
				n.ip("-n %s addr add fe80::%d/64 dev cable nodad", ns, i+1)
			}
			p := networkPlexdns(t, n, tc.bind, tc.lanes)
			asksAt(t, n.here, p, tc.here[0]) // which waits until there are answers
			before := laneAnswers(t, p)
			for _, addr := range tc.here {
				asksAt(t, n.here, p, addr)
			}
			for _, addr := range tc.there {
				asksAt(t, n.there, p, addr)
			}
			want := float64(len(networkTypes) * (len(tc.here) + len(tc.there)))
			eventually(t, 5*time.Second, func() error {
				if got := laneAnswers(t, p) - before; got != want {
					return fmt.Errorf("the lanes have answered %v times, want %v", got, want)
				}
				return nil
			})
		})
	}
}

// networkTypes are asked at each address: an answer, one without records, and a text.
var networkTypes = []uint16{dns.TypeA, dns.TypeMX, dns.TypeTXT}

// networkPlexdns starts a plexdns in a network namespace, and returns when its lanes have sockets.
func networkPlexdns(t *testing.T, n *network, bind string, lanes int) *plexdns {
	t.Helper()
	p := newPlexdns(t)
	p.ns = n.here
	p.write(fmt.Sprintf(`home.duckdns.org:%d {
    %s
    errors
    prometheus 127.0.0.1:9153
    plex {
        node plex1 198.18.1.1:1
        probe none
        internal private 198.18.0.0/15
        uplink wan %s
        state %s
    }
}
`, p.addr.Port(), bind, uplink, p.dir))
	p.launch()
	eventually(t, 20*time.Second, func() error {
		if got := laneSeries(t, p, "coredns_plex_lane_sockets"); len(got) != lanes || slices.Contains(got, 0) {
			return fmt.Errorf("the lanes have %v sockets, want %d lanes", got, lanes)
		}
		return nil
	})
	return p
}

// laneSeries returns the values of a metric of a plexdns in a network namespace; none: it does not serve yet.
func laneSeries(t *testing.T, p *plexdns, name string) (values []float64) {
	t.Helper()
	inNamespace(t, p.ns, func() error {
		// Not by net/http, which would connect on another thread.
		conn, err := net.DialTimeout("tcp", "127.0.0.1:9153", time.Second)
		if err != nil {
			return nil // not yet
		}
		defer conn.Close()
		if _, err := fmt.Fprint(conn, "GET /metrics HTTP/1.0\r\n\r\n"); err != nil {
			return err
		}
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			if series, value, ok := cutLast(lines.Text(), " "); ok && strings.HasPrefix(series, name+"{") {
				n, err := strconv.ParseFloat(value, 64)
				if err != nil {
					return err
				}
				values = append(values, n)
			}
		}
		return lines.Err()
	})
	return values
}

// laneAnswers returns how often the lanes have answered.
func laneAnswers(t *testing.T, p *plexdns) (sum float64) {
	t.Helper()
	for _, n := range laneSeries(t, p, "coredns_plex_lane_answers_total") {
		sum += n
	}
	return sum
}

// asksAt asks plexdns at one of its addresses, from a network namespace.
func asksAt(t *testing.T, ns string, p *plexdns, addr string) {
	t.Helper()
	at := netip.AddrPortFrom(netip.MustParseAddr(addr), p.addr.Port())
	inNamespace(t, ns, func() error {
		for _, qtype := range networkTypes {
			m, err := dns.Exchange(new(dns.Msg).SetQuestion(mainName, qtype), at.String())
			if err != nil {
				return fmt.Errorf("asking %s: %w", at, err)
			}
			if m.Rcode != dns.RcodeSuccess {
				t.Errorf("%s says %s", at, dns.RcodeToString[m.Rcode])
			}
		}
		return nil
	})
}

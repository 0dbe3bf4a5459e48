package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"plexha/corefile"
)

const (
	// lookupEvery is how often a name is looked up again.
	lookupEvery = 30 * time.Second
	// lookupGap is the least time between two look-ups of one name, however many probes fail.
	lookupGap = time.Second
	// lookupLeast is the least time that a look-up gets.
	lookupLeast = 2 * time.Second
	// lookupTries is how many name servers must have had their chance when a look-up's time is over.
	lookupTries = 3
)

// names looks names up; *net.Resolver is one.
type names interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

func (p *Prober) lookupTimeout() time.Duration { return max(2*p.cfg.Timeout, lookupLeast) }

// lookup returns the addresses of a name, IPv4 before IPv6.
func lookup(ctx context.Context, from names, name string) ([]netip.Addr, error) {
	addrs, err := from.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, lookupError(err)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs), nil
}

// lookupError is a resolver's error without the name it was about: whoever asked says that.
func lookupError(err error) error {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return &nameError{e}
	}
	return err
}

type nameError struct{ cause *net.DNSError }

func (e *nameError) Error() string { return e.cause.Err }
func (e *nameError) Unwrap() error { return e.cause }

// isNotFound reports whether err says for certain that a name does not exist or has no such records.
func isNotFound(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return ok && e.IsNotFound
}

// errOurselves is why a look-up failed that had no other server than us.
var errOurselves = errors.New("the system's resolver is this server itself: " +
	"give addresses, or put the names in the hosts file")

// resolver is the system's resolver without our own listeners. It reads the hosts file first.
type resolver struct {
	avoid []netip.AddrPort
}

func newResolver(avoid []netip.AddrPort) *resolver { return &resolver{avoid: avoid} }

func (r *resolver) LookupNetIP(ctx context.Context, network, host string) (addrs []netip.Addr, err error) {
	err = r.look(ctx, func(n *net.Resolver) (err error) {
		addrs, err = n.LookupNetIP(ctx, network, host)
		return err
	})
	return addrs, err
}

func (r *resolver) LookupSRV(ctx context.Context, service, proto, name string) (cname string, srvs []*net.SRV, err error) {
	err = r.look(ctx, func(n *net.Resolver) (err error) {
		cname, srvs, err = n.LookupSRV(ctx, service, proto, name)
		return err
	})
	return cname, srvs, err
}

// look does one look-up. One that failed because only we could have answered fails with errOurselves.
func (r *resolver) look(ctx context.Context, do func(*net.Resolver) error) error {
	var d serverDialer
	d.ours = ourServers(r.avoid)
	if end, ok := ctx.Deadline(); ok {
		d.share = time.Until(end) / lookupTries
	}
	err := do(&net.Resolver{PreferGo: true, Dial: d.dial})
	if err != nil && d.onlyOurs() {
		return errOurselves
	}
	return err
}

// ourServers returns a function that tells whether a query to an address would come to one of listeners. An
// unspecified listener stands for each address of this host; the IPv6 one for IPv4, too.
func ourServers(listeners []netip.AddrPort) func(netip.AddrPort) bool {
	local := interfaceAddrs()
	return func(at netip.AddrPort) bool {
		at = netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
		return slices.ContainsFunc(listeners, func(l netip.AddrPort) bool {
			addr := l.Addr().Unmap()
			switch {
			case l.Port() != at.Port():
				return false
			case !addr.IsUnspecified():
				return addr.WithZone("") == at.Addr()
			case addr.Is4() && !at.Addr().Is4():
				return false
			default:
				return at.Addr().IsUnspecified() || at.Addr().IsLoopback() || slices.Contains(local, at.Addr())
			}
		})
	}
}

func interfaceAddrs() []netip.Addr {
	var local []netip.Addr
	addrs, _ := net.InterfaceAddrs() // none known: loopback is still told
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			local = append(local, p.Addr().Unmap())
		}
	}
	return local
}

// ResolverWarning returns what to tell the operator at start when the resolver configuration in the file
// conf leads only to our own listeners while names of the Corefile are to be looked up, else "".
func ResolverWarning(cfg *corefile.Config, conf string, listeners []netip.AddrPort) string {
	wanted := lookedUp(cfg)
	servers := resolvConf(conf)
	ours := ourServers(listeners)
	if len(wanted) == 0 || slices.ContainsFunc(servers, func(s netip.AddrPort) bool { return !ours(s) }) {
		return ""
	}
	return fmt.Sprintf("looking up %s: %v", strings.Join(wanted, ", "), errOurselves)
}

// lookedUp returns the names that probes need addresses of, each once.
func lookedUp(cfg *corefile.Config) []string {
	var hosts []string
	for _, n := range cfg.Cluster.Nodes {
		hosts = append(hosts, n.Host)
	}
	for _, f := range cfg.Finders {
		hosts = append(hosts, f.DNS)
	}
	for _, u := range cfg.Cluster.Uplinks {
		host, _, _ := net.SplitHostPort(u.Probe) // empty, or validated
		hosts = append(hosts, host)
	}
	host, _, _ := net.SplitHostPort(cfg.Canary) // empty, or validated
	hosts = append(hosts, host)

	var wanted []string
	for _, h := range hosts {
		if _, err := netip.ParseAddr(h); err != nil && h != "" && !slices.Contains(wanted, h) {
			wanted = append(wanted, h)
		}
	}
	return wanted
}

// resolvConf returns the name servers of a resolv.conf(5). Without any it is the one on this host.
func resolvConf(path string) []netip.AddrPort {
	const port = 53
	var servers []netip.AddrPort
	if file, err := os.Open(path); err == nil { //nolint:gosec // the operator's own
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			words := strings.Fields(lines.Text())
			if len(words) < 2 || words[0] != "nameserver" {
				continue
			}
			if addr, err := netip.ParseAddr(words[1]); err == nil {
				servers = append(servers, netip.AddrPortFrom(addr, port))
			}
		}
	}
	if servers == nil {
		return []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)}
	}
	return servers
}

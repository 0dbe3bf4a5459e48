package unit

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"regexp"

	"plexha/corefile"
)

// keepalivedOptions are what the command line says of the virtual address.
type keepalivedOptions struct {
	device   string
	vips     list
	router   int
	priority int
}

// The ranges of RFC 5798: 0 is no router, and 255 is who owns the address, which nobody does here.
const (
	mostRouter   = 255
	mostPriority = 254
)

func (o *keepalivedOptions) define(set *flag.FlagSet) {
	set.StringVar(&o.device, "interface", "", "`NAME` keepalived: the network interface that has the address")
	set.Var(&o.vips, "vip", "`ADDRESS[/LEN]` keepalived: the address, and one of IPv6 (default those of the only proxy line)")
	set.IntVar(&o.router, "router-id", 53, "`N` keepalived: the same on all machines, and no other's in this network")
	set.IntVar(&o.priority, "priority", 100, "`N` keepalived: the same on all machines, and the address moves only when it must")
}

// virtual is what keepalived does: all that its text is made of.
type virtual struct {
	Zone             string
	Interface        string
	Router, Priority int
	Addresses        []netip.Prefix // of the first one's family
	Others           []netip.Prefix // of the other family, which one packet can't announce as well
	Check            string         // a command
	Listens          []string       // addresses that plexproxy listens at while they are another machine's
}

// Penalty is what a machine whose check fails has less: any other one has more then.
func (v *virtual) Penalty() int { return v.Priority - 1 }

var interfaceName = regexp.MustCompile(`^[A-Za-z0-9_.:@-]{1,15}$`)

// text returns the configuration of keepalived.
func (o *keepalivedOptions) text(blocks []*corefile.Config) (string, error) {
	if len(blocks) > 1 {
		return "", errors.New("the Corefile has several plex blocks: say whose proxies with -zone")
	}
	cfg := blocks[0]
	v := &virtual{Zone: zoneOf(cfg), Interface: o.device, Router: o.router, Priority: o.priority}
	vips, err := o.addresses(cfg)
	switch {
	case !interfaceName.MatchString(o.device):
		return "", errors.New("-interface is missing, or is none: name the one that is in the clients' network, such as eth0")
	case o.router < 1 || o.router > mostRouter:
		return "", fmt.Errorf("-router-id %d: want 1 to %d", o.router, mostRouter)
	case o.priority < 2 || o.priority > mostPriority:
		return "", fmt.Errorf("-priority %d: want 2 to %d", o.priority, mostPriority)
	case err != nil:
		return "", err
	}
	for _, p := range vips {
		if p.Addr().Is4() == vips[0].Addr().Is4() {
			v.Addresses = append(v.Addresses, p)
		} else {
			v.Others = append(v.Others, p)
		}
	}
	if v.Check, err = check(cfg); err != nil {
		return "", err
	}
	v.Listens = listensAt(cfg, vips)
	return render("keepalived", v)
}

// addresses returns the virtual addresses: those that are given, else those of the only proxy.
func (o *keepalivedOptions) addresses(cfg *corefile.Config) ([]netip.Prefix, error) {
	words := o.vips
	if len(words) == 0 {
		if len(cfg.Cluster.Proxies) != 1 {
			return nil, fmt.Errorf("the block has %d proxies, where one behind an address that moves is one line: "+
				"say the address with -vip", len(cfg.Cluster.Proxies))
		}
		for _, at := range cfg.Cluster.Proxies[0].Addrs {
			words = append(words, at.Addr().String())
		}
	}
	var all []netip.Prefix
	for _, word := range words {
		p, err := netip.ParsePrefix(word)
		if addr, addrErr := netip.ParseAddr(word); err != nil && addrErr == nil && addr.Zone() == "" {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("-vip %q: want ADDRESS or ADDRESS/LEN", word)
		}
		all = append(all, p)
	}
	return all, nil
}

// errNoCheck is that a machine which has not got the virtual address could only ask the one that has.
var errNoCheck = errors.New("the check asks plexproxy on its own machine, and neither a listen line nor proxy_status is at an " +
	"address that each machine has: write `proxy_status 127.0.0.1:8054`")

// check returns the command that asks the plexproxy of the same machine what the probes of a plexdns ask: where clients
// reach it, else at its status page.
func check(cfg *corefile.Config) (string, error) {
	const curl = "/usr/bin/curl --silent --fail --output /dev/null --max-time 2 "
	const ready = "/.plexha/ready"
	name := cfg.Cluster.Main + "." + zoneOf(cfg)
	for _, l := range cfg.Listen {
		host, port := here(l.Addr)
		if host == "" || l.Plain && cfg.TLS.Kind != corefile.TLSOff {
			continue // what only leads to HTTPS says nothing of that
		}
		scheme, more := "https", "--insecure "
		if l.Plain || cfg.TLS.Kind == corefile.TLSOff {
			scheme, more = "http", ""
		}
		at := net.JoinHostPort(name, port)
		return fmt.Sprintf("%s%s--connect-to %s:%s %s://%s%s", curl, more, at, net.JoinHostPort(host, port), scheme, at, ready), nil
	}
	host, port := here(cfg.ProxyStatus.Addr.String())
	if host == "" || port == "0" {
		return "", errNoCheck
	}
	return curl + "http://" + net.JoinHostPort(host, port) + ready, nil
}

// here returns where a machine reaches what listens at an address on itself. Host is empty if that could be another
// machine: with ip_nonlocal_bind=1 one listens at the virtual address while another has it.
func here(listen string) (host, port string) {
	host, port, err := net.SplitHostPort(listen)
	addr, notAddr := netip.ParseAddr(host)
	switch {
	case err != nil: // a socket of systemd's
		return "", ""
	case host == "", notAddr == nil && addr.IsUnspecified():
		return "127.0.0.1", port
	case notAddr == nil && addr.IsLoopback():
		return host, port
	}
	return "", ""
}

// listensAt returns which virtual addresses stand in listen lines.
func listensAt(cfg *corefile.Config, vips []netip.Prefix) []string {
	var all []string
	for _, l := range cfg.Listen {
		at, err := netip.ParseAddrPort(l.Addr)
		for _, vip := range vips {
			if err == nil && vip.Addr() == at.Addr() {
				all = appendNew(all, at.Addr().String())
			}
		}
	}
	return all
}

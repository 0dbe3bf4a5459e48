package plugin

import (
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"sync"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/fall"
	"github.com/coredns/coredns/plugin/transfer"

	"plexha/corefile"
	"plexha/corefile/lint"
	"plexha/plugin/probe"
	"plexha/plugin/runtime"
	"plexha/zones"
)

func init() { plugin.Register(name, setup) }

// setup reads the plex blocks of one server block. It starts nothing: CoreDNS may drop an instance after its
// setup without telling anybody.
func setup(c *caddy.Controller) error {
	configs, err := ofInstance[corefile.Parser](c).Parse(&c.Dispenser, c.ServerBlockKeys)
	if err != nil {
		return refuse(err)
	}
	server := dnsserver.GetConfig(c)
	lanes := ofInstance[lanes](c)
	block := lanes.join(c, server)
	var siblings []*Plex
	for _, cfg := range configs {
		p, err := newPlex(cfg, server.Root)
		if err != nil {
			return refuse(err)
		}
		siblings = append(siblings, p)
		server.AddPlugin(func(next plugin.Handler) plugin.Handler {
			p.Next = next
			return p
		})
		lanes.add(block, server, p)
		ofInstance[findings](c).join(cfg)
		c.OnStartup(func() error {
			if err := p.begin(c); err != nil {
				return refuse(err)
			}
			return nil
		})
		c.OnRestartFailed(func() error {
			p.stays()
			return nil
		})
		c.OnShutdown(func() error {
			p.Stop()
			return nil
		})
	}
	for _, p := range siblings {
		p.siblings = siblings
	}
	handOver(c)
	return nil
}

// refuse takes note of why there is no instance of a Corefile.
func refuse(err error) error {
	runtime.Refuse(err)
	return plugin.Error(name, err)
}

// begin starts the block, now that its instance has all of its plugins.
func (p *Plex) begin(c *caddy.Controller) error {
	lanes := ofInstance[lanes](c)
	lanes.look(c)
	p.findings = ofInstance[findings](c).of(p.cfg, lanes.findings)
	xfer, _ := dnsserver.GetConfig(c).Handler("transfer").(*transfer.Transfer)
	if err := checkTransfer(p.cfg, xfer); err != nil {
		return err
	}
	if len(olderInstances()) == 0 {
		p.serves("served") // before all else that will happen
	}
	if err := p.start(listeners(c), xfer); err != nil {
		return err
	}
	onTrial(func() { p.serves("taken over") }, p.Stop)
	return nil
}

// ofInstance returns the one T that the blocks of a CoreDNS instance share.
func ofInstance[T any](c *caddy.Controller) *T {
	key := reflect.TypeFor[*T]()
	if v, ok := c.Get(key).(*T); ok {
		return v
	}
	v := new(T)
	c.Set(key, v)
	return v
}

// handOver lets nobody replace the instance while somebody does already. It is told of each restart once,
// however many blocks there are.
func handOver(c *caddy.Controller) {
	turn := ofInstance[runtime.Turn](c)
	if turn.Taken() {
		return
	}
	c.OnRestart(func() error {
		if err := turn.Begin(); err != nil {
			return err
		}
		runtime.Refuse(nil)
		return nil
	})
	c.OnRestartFailed(turn.End)
	c.OnShutdown(turn.Over)
}

// onTrial has one of two called, once: kept when the instance that is being started has replaced another one, or
// dropped. CoreDNS drops it without a word, but tells the instance that it was to replace, whether that has plex
// blocks or not.
func onTrial(kept, dropped func()) {
	var decided sync.Once
	for _, other := range olderInstances() {
		// Before all others: one of them lets go of who waits to replace that instance too, and then fails.
		other.OnShutdown = slices.Insert(other.OnShutdown, 0, func() error {
			decided.Do(kept)
			return nil
		})
		other.OnRestartFailed = append(other.OnRestartFailed, func() error {
			decided.Do(dropped)
			return nil
		})
	}
}

// olderInstances returns all instances of the process but the one that is being started, which is the last.
func olderInstances() []*caddy.Instance {
	all := caddy.Instances()
	return all[:max(len(all)-1, 0)]
}

// newPlex returns a handler for one block, with its zone files read.
func newPlex(cfg *corefile.Config, root string) (*Plex, error) {
	p := &Plex{cfg: cfg, cluster: newCluster()}
	p.statics = staticZones{corefile: cfg.File, root: root, files: cfg.ZoneFiles, cluster: &cfg.Cluster}
	if err := p.statics.load(); err != nil {
		return nil, err
	}
	p.siblings = []*Plex{p}
	p.fall = fall.F{Zones: slices.Clone(cfg.Fallthrough)}
	p.wires = wiresOf(cfg)
	return p, nil
}

// checkTransfer asks for explicit name servers where secondaries will publish them.
func checkTransfer(cfg *corefile.Config, xfer *transfer.Transfer) error {
	noAddress := func(ns zones.NameServer) bool { return len(ns.Addrs) == 0 }
	if xfer != nil && slices.ContainsFunc(cfg.Cluster.NS, noAddress) {
		return lint.ErrNoNameServer
	}
	return nil
}

// listeners returns where the server block listens, under all of its keys.
func listeners(c *caddy.Controller) []netip.AddrPort {
	var out []netip.AddrPort
	for i := range c.ServerBlockKeys {
		key := *c
		key.ServerBlockKeyIndex = i
		out = append(out, listenersOf(dnsserver.GetConfig(&key))...)
	}
	return out
}

func listenersOf(server *dnsserver.Config) []netip.AddrPort {
	port, err := strconv.ParseUint(server.Port, 10, 16)
	if err != nil || port == 0 {
		return nil
	}
	var out []netip.AddrPort
	for _, host := range server.ListenHosts {
		addr := netip.IPv6Unspecified()
		if ip := net.ParseIP(host); ip != nil {
			addr, _ = netip.AddrFromSlice(ip)
		}
		out = append(out, netip.AddrPortFrom(addr.Unmap(), uint16(port)))
	}
	return out
}

// greet says once at start what the operator should know.
func (p *Plex) greet(own []netip.AddrPort) {
	if w := probe.ResolverWarning(p.cfg, "/etc/resolv.conf", own); w != "" {
		log.Warning(w)
	}
}

package plugin

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"plexha/corefile/lint"
	"plexha/plugin/duckdns"
	"plexha/plugin/runtime"
	"plexha/plugin/status"
	"plexha/plugin/wanip"
	"plexha/zones"
	"plexha/zones/board"
	"plexha/zones/timeline"
)

// Zone implements [status.Source].
func (p *Plex) Zone() string { return p.zone() }

// External implements [status.Source].
func (p *Plex) External() []wanip.Report { return p.detector.Reports() }

// DuckDNS implements [status.Source].
func (p *Plex) DuckDNS() *duckdns.Report {
	if p.duck == nil {
		return nil
	}
	r := p.duck.Report()
	return &r
}

// Detect implements [status.Source].
func (p *Plex) Detect() { p.detector.Trigger() }

// Push implements [status.Source].
func (p *Plex) Push() {
	if p.duck != nil {
		p.duck.Trigger()
	}
}

// Answers implements [status.Source]. They are those of the first zone; the others' differ by zone files alone.
func (p *Plex) Answers() []status.Answer { return p.current.Load().answers() }

// Timeline implements [status.Source].
func (p *Plex) Timeline() *timeline.Timeline { return runtime.Timeline(p.zone()) }

// Subscribe implements [status.Source].
func (p *Plex) Subscribe() (news <-chan struct{}, cancel func()) { return p.shown.subscribe() }

// Stalled implements [status.Source].
func (p *Plex) Stalled() []zones.Subject { return p.stalled() }

// Findings implements [status.Source].
func (p *Plex) Findings() []lint.Finding { return p.findings }

// Order implements [status.Source].
func (p *Plex) Order(o board.OrderLine) error {
	if p.state == "" {
		return errors.New("no state folder is writable: orders are kept there")
	}
	if err := p.orders.Set(o, p.board.Snapshot(), time.Now()); err != nil {
		return err
	}
	p.readOrders()
	return nil
}

// happened adds to the timeline what no board knows.
func (p *Plex) happened(events ...timeline.Event) {
	for _, e := range events {
		p.Timeline().Add(e)
	}
	if len(events) > 0 {
		p.shown.tell()
	}
}

// zoneFile is whose an apex is that a zone file gives.
const zoneFile = "zone file"

// render returns what each name of an origin leads to, in the words of the status page.
func (c *compiled) render(origin string, static *staticSet) []status.Answer {
	var out []status.Answer
	for _, view := range []zones.View{zones.Internal, zones.External} {
		file := static.statics[view][origin].apex
		for _, l := range c.snap.Leads(view) {
			a := answerOf(l, view, origin)
			if l.Name == zones.Apex && len(file) > 0 {
				if len(out) > 0 && out[len(out)-1].Name == a.Name && out[len(out)-1].View == a.View {
					continue // of another variant
				}
				a = ofFile(a, file)
			}
			out = append(out, a)
		}
	}
	return out
}

func answerOf(l zones.Lead, view zones.View, origin string) status.Answer {
	a := status.Answer{
		Name: person(fqdn(l.Name, origin)), View: view.String(), Variant: zones.NodeName(l.Variant), TTL: l.TTL,
		Addresses: slices.Concat([]netip.Addr{}, l.Addrs), To: []string{}, Servfail: l.Servfail,
		Standing: l.Standing.String(), Why: l.Why,
	}
	for _, s := range l.To {
		a.To = append(a.To, s.String())
	}
	slices.SortStableFunc(a.Addresses, byFamily)
	return a
}

// ofFile is the answer of an apex whose addresses a zone file gives, whatever the state of things.
func ofFile(a status.Answer, file []dns.RR) status.Answer {
	a.Variant, a.Servfail, a.Addresses, a.TTL = "", false, []netip.Addr{}, file[0].Header().Ttl
	a.To, a.Standing, a.Why = []string{zoneFile}, zones.AsMeant.String(), "given by a zone file"
	for _, rr := range file {
		a.TTL = min(a.TTL, rr.Header().Ttl)
		switch rr := rr.(type) {
		case *dns.A:
			a.Addresses = append(a.Addresses, addrOf(rr.A))
		case *dns.AAAA:
			a.Addresses = append(a.Addresses, addrOf(rr.AAAA))
		}
	}
	slices.SortStableFunc(a.Addresses, byFamily)
	return a
}

func addrOf(ip []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// byFamily orders IPv4 before IPv6.
func byFamily(a, b netip.Addr) int { return a.BitLen() - b.BitLen() }

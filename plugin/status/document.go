package status

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"plexha/corefile/lint"
	"plexha/plugin/wanip"
	"plexha/zones"
	"plexha/zones/timeline"
)

// Version is that of [Document]. It grows when something is renamed or taken away, not when something is added.
const Version = 1

// Document is what /status.json shows. All times are UTC, and what is not known is left out. It holds no secret.
type Document struct {
	Version  int       `json:"version"` // of this form: [Version]
	Plexdns  string    `json:"plexdns"` // the program's version
	At       time.Time `json:"at"`
	Clusters []Cluster `json:"clusters"` // those that this client may see, ordered by zone
}

// Cluster is one plex block, as one snapshot has it.
type Cluster struct {
	Zone     string    `json:"zone"`             // its first one, as a person writes it
	Snapshot uint64    `json:"snapshot"`         // its number, which grows with each change
	At       time.Time `json:"at"`               // when the last change was
	Ready    bool      `json:"ready"`            // the first round of probes has ended
	Changed  time.Time `json:"changed,omitzero"` // when something last went wrong or right again: doubts, orders and reloads apart
	Isolated bool      `json:"isolated"`         // the canary is silent too: we are the ones cut off, and verdicts are held
	Nodes    []Node    `json:"nodes"`            // in file order, as are the others
	Proxies  []Proxy   `json:"proxies"`
	Uplinks  []Uplink  `json:"uplinks"`
	DuckDNS  *DuckDNS  `json:"duckdns,omitzero"` // without a `duckdns` line there is none

	Answers  []Answer       `json:"answers"`           // the internal view before the external one; within it in the zone's order
	Stalled  []string       `json:"stalled,omitempty"` // whose probes give no sign of life
	Findings []lint.Finding `json:"findings"`          // what is unwise in the Corefile
}

// Answer is what one name leads to in one view, now.
type Answer struct {
	Name      string         `json:"name"`               // as a person writes it
	View      string         `json:"view"`               // internal or external
	Variant   zones.NodeName `json:"variant,omitempty"`  // with `spread`: the node whose clients are answered so
	TTL       uint32         `json:"ttl"`                // seconds
	Addresses []netip.Addr   `json:"addresses"`          // IPv4 before IPv6; empty: NODATA, unless Servfail
	To        []string       `json:"to"`                 // whose addresses they are, such as "proxy 192.168.1.2:443"
	Servfail  bool           `json:"servfail,omitempty"` // A and AAAA are answered with SERVFAIL
	Standing  string         `json:"standing,omitempty"` // as meant, stand-in or nothing up: how far from what is meant they are
	Why       string         `json:"why"`                // why to them, in a few words
}

// Health is how a node, a proxy or an uplink is.
type Health struct {
	State      string    `json:"state"`
	Since      time.Time `json:"since,omitzero"`  // when State last changed
	Why        string    `json:"why,omitempty"`   // the last probe's words; none while all is well
	New        bool      `json:"new,omitempty"`   // came with a reload, and stays out of answers until it has a state
	Order      string    `json:"order,omitempty"` // what the operator said
	OrderUntil time.Time `json:"order_until,omitzero"`
	OrderWhy   string    `json:"order_why,omitempty"`
	Addresses  []Address `json:"addresses"` // those that are known, IPv4 before IPv6
}

// Address is how a node, a proxy or an uplink is at one of its addresses.
type Address struct {
	Address netip.Addr `json:"address"`
	State   string     `json:"state"`
	Since   time.Time  `json:"since,omitzero"`
	Why     string     `json:"why,omitempty"`
}

// Node is one Plex server.
type Node struct {
	Name     zones.NodeName `json:"name"`
	Dial     string         `json:"dial"` // HOST:PORT, as the Corefile has it
	Identity string         `json:"identity,omitempty"`
	Backup   bool           `json:"backup,omitempty"`

	Health
}

// Proxy is one plexproxy.
type Proxy struct {
	Name string `json:"name"` // its first ADDRESS:PORT, by which orders name it

	Health
}

// Uplink is one Internet connection.
type Uplink struct {
	Name string `json:"name"`
	Led  bool   `json:"led"` // clients outside are led here

	Health

	External *External `json:"external,omitzero"` // how its addresses are found; none if they are given
}

// External is what the last round of detection has found.
type External struct {
	At        time.Time    `json:"at,omitzero"`
	IPv4      Family       `json:"ipv4"`
	IPv6      Family       `json:"ipv6"`
	Published []netip.Addr `json:"published"`         // what clients outside can be told
	NoIPv6    string       `json:"no_ipv6,omitempty"` // why an IPv6 address that is known is not published
}

// Family is what is known of an uplink's address of one IP version.
type Family struct {
	Address   netip.Addr `json:"address,omitzero"`
	Since     time.Time  `json:"since,omitzero"`     // when it became this one
	Confirmed time.Time  `json:"confirmed,omitzero"` // when a source last said so; left out: nobody has since the start
	By        []string   `json:"by,omitempty"`       // who said so last
	Agree     bool       `json:"agree"`              // no source contradicts
	Trouble   string     `json:"trouble,omitempty"`  // what to know or do about it
	Findings  []Finding  `json:"findings"`           // of the last round that asked all sources
}

// Finding is what one source said.
type Finding struct {
	Source   string     `json:"source"` // as the Corefile has it, without what may be secret
	Operator string     `json:"operator"`
	Secure   bool       `json:"secure"` // nobody on the way could have changed it
	Address  netip.Addr `json:"address,omitzero"`
	Refused  string     `json:"refused,omitempty"` // why Address cannot be the external one
	Error    string     `json:"error,omitempty"`   // why there is no Address
	Took     float64    `json:"took"`              // seconds
}

// render returns a cluster as it is now.
func render(src Source) Cluster {
	snap := src.Snapshot()
	c := Cluster{
		Zone: spoken(src.Zone()), Snapshot: snap.Seq, At: snap.At.UTC(), Ready: snap.Ready, Isolated: snap.Isolated,
		Nodes: []Node{}, Proxies: []Proxy{}, Uplinks: []Uplink{},
	}
	for i := range snap.Nodes {
		n := &snap.Nodes[i]
		dial := net.JoinHostPort(n.Host, strconv.Itoa(int(n.Port)))
		c.Nodes = append(c.Nodes, Node{n.Name, dial, n.Identity, n.Backup, health(&n.Health)})
	}
	for i := range snap.Proxies {
		p := &snap.Proxies[i]
		c.Proxies = append(c.Proxies, Proxy{p.Subject().Name, health(&p.Health)})
	}
	c.Uplinks = append(c.Uplinks, uplinks(snap, src.External())...)
	if r := src.DuckDNS(); r != nil {
		c.DuckDNS = duckDNS(r)
	}
	c.Answers = append([]Answer{}, src.Answers()...)
	for _, s := range src.Stalled() {
		c.Stalled = append(c.Stalled, s.String())
	}
	c.Findings = append([]lint.Finding{}, src.Findings()...)
	c.Changed = changed(src.Timeline().Since(0))
	return c
}

// changed returns when something last went wrong, or right again.
func changed(events []timeline.Event) time.Time {
	for _, e := range slices.Backward(events) {
		if e.Level != timeline.Doubt && e.Kind != timeline.Order && e.Kind != timeline.Configuration {
			return utc(e.At)
		}
	}
	return time.Time{}
}

func uplinks(snap *zones.Snapshot, reports []wanip.Report) []Uplink {
	led := map[string]bool{}
	for _, u := range snap.Outside() {
		led[u.Name] = true
	}
	found := map[string]*External{}
	for i := range reports {
		found[reports[i].Uplink] = RenderExternal(&reports[i])
	}
	var out []Uplink
	for i := range snap.Uplinks {
		u := &snap.Uplinks[i]
		shown := Uplink{Name: u.Name, Led: led[u.Name], Health: health(&u.Health)}
		if u.Auto {
			shown.External = found[u.Name]
		}
		out = append(out, shown)
	}
	return out
}

func health(h *zones.Health) Health {
	out := Health{State: h.State.String(), Since: utc(h.Since), Why: h.Why, New: h.New, Addresses: []Address{}}
	if h.Order != zones.NoOrder {
		out.Order, out.OrderUntil, out.OrderWhy = h.Order.String(), utc(h.OrderUntil), h.OrderWhy
	}
	for _, a := range h.Addrs {
		out.Addresses = append(out.Addresses, Address{a.Addr, a.State.String(), utc(a.Since), a.Why})
	}
	return out
}

// RenderExternal returns a report as it is shown.
func RenderExternal(r *wanip.Report) *External {
	return &External{
		At: utc(r.At), IPv4: family(&r.IPv4), IPv6: family(&r.IPv6),
		Published: append([]netip.Addr{}, r.Published...), NoIPv6: r.NoIPv6,
	}
}

func family(r *wanip.FamilyReport) Family {
	f := Family{
		Address: r.Known.Addr, Since: utc(r.Known.Since), Confirmed: utc(r.Known.Confirmed),
		Agree: r.Agree, Trouble: r.Trouble, Findings: []Finding{},
	}
	for _, by := range r.Known.By {
		f.By = append(f.By, open(by))
	}
	for i := range r.Findings {
		f.Findings = append(f.Findings, finding(&r.Findings[i]))
	}
	return f
}

func finding(f *wanip.Finding) Finding {
	out := Finding{
		Source: open(f.Source), Operator: f.Operator, Secure: f.Secure,
		Address: f.Addr, Refused: f.Refused, Took: f.Took.Seconds(),
	}
	if f.Err != nil {
		out.Error = strings.ReplaceAll(f.Err.Error(), f.Source, out.Source)
	}
	return out
}

// open returns the name of a source without what may be secret in it: a URL's user and query.
func open(source string) string {
	kind, rest, _ := strings.Cut(source, " ")
	if kind != "https" {
		return source
	}
	u, err := url.Parse(rest)
	if err != nil {
		return kind
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return kind + " " + u.String()
}

// utc returns a time in UTC; the zero Time stays what it is.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

package resolver

import (
	"embed"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"text/template"
)

// kind is a resolver that we know.
type kind struct {
	name, title string
	noPort      bool // its configuration has no place for a port
}

// kinds are in the order of the list. The lines of each are in the file of its name.
var kinds = []kind{
	{name: "adguardhome", title: "AdGuard Home"},
	{name: "bind", title: "BIND 9"},
	{name: "coredns", title: "CoreDNS"},
	{name: "dnsmasq", title: "dnsmasq"},
	{name: "fritzbox", title: "FRITZ!Box", noPort: true},
	{name: "knot", title: "Knot Resolver"},
	{name: "openwrt", title: "OpenWrt, by its dnsmasq"},
	{name: "opnsense", title: "OPNsense, by its Unbound"},
	{name: "pfsense", title: "pfSense, by its Unbound"},
	{name: "pihole", title: "Pi-hole"},
	{name: "systemd-resolved", title: "systemd-resolved, for one machine"},
	{name: "technitium", title: "Technitium DNS Server"},
	{name: "unbound", title: "Unbound"},
	{name: "windows", title: "Windows Server", noPort: true},
}

func names() []string {
	var all []string
	for _, k := range kinds {
		all = append(all, k.name)
	}
	return all
}

//go:embed lines
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"host":   netip.AddrPort.Addr,
	"port":   netip.AddrPort.Port,
	"joined": joined,

	"join": strings.Join,
}).ParseFS(files, "lines/*.tmpl"))

// joined writes an address and a port with what a program wants between them, such as 192.168.1.53#5300.
func joined(between string, at netip.AddrPort) string {
	return fmt.Sprintf("%s%s%d", at.Addr(), between, at.Port())
}

// page is what the lines are made of.
type page struct {
	Title string
	Zones []zone
}

// Names returns the zones in words.
func (p page) Names() string {
	var all []string
	for _, z := range p.Zones {
		all = append(all, z.Name)
	}
	return strings.Join(all, ", ")
}

// Servers returns who answers for any of the zones.
func (p page) Servers() []netip.AddrPort {
	var all []netip.AddrPort
	for _, z := range p.Zones {
		for _, s := range z.Servers {
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// Loopback reports whether a server is on the resolver's own machine.
func (p page) Loopback() bool {
	return slices.ContainsFunc(p.Servers(), func(s netip.AddrPort) bool { return s.Addr().IsLoopback() })
}

// Hosts returns the names that clients use, of all zones.
func (p page) Hosts() []string {
	var all []string
	for _, z := range p.Zones {
		all = append(all, z.Hosts...)
	}
	return all
}

// lines returns what to write into the resolver's configuration.
func (k kind) lines(zones []zone) (string, error) {
	p := page{k.title, zones}
	for _, s := range p.Servers() {
		if k.noPort && s.Port() != dnsPort {
			return "", fmt.Errorf("%s asks at port %d alone, and plexdns answers at %s: give its server block a key without a port, "+
				"or name another plexdns with -at", k.title, dnsPort, s)
		}
	}
	var out strings.Builder
	if err := templates.ExecuteTemplate(&out, k.name+".tmpl", p); err != nil {
		return "", fmt.Errorf("writing the lines for %s: %w", k.title, err)
	}
	return out.String(), nil
}

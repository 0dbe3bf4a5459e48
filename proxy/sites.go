package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"plexha/corefile"
	"plexha/proxy/relay"
	"plexha/zones"
)

// names are the hosts of a block, each below every origin, as Caddy matches them: without the final dot.
type names struct {
	main  []string
	apex  []string
	nodes []nodeNames
	below []string // *.ORIGIN
}

// nodeNames are the hosts of one node.
type nodeNames struct {
	node  zones.NodeName
	hosts []string
}

// hosts returns the names of a block, but for those of nodes that are found.
func hosts(c *corefile.Config) names {
	n := names{main: below(c, c.Cluster.Main), below: below(c, "*")}
	for _, origin := range c.Cluster.Origins {
		n.apex = append(n.apex, strings.TrimSuffix(origin, "."))
	}
	for _, node := range c.Cluster.Nodes {
		n.nodes = append(n.nodes, nodeNames{node.Name, below(c, string(node.Name))})
	}
	return n
}

// below returns the hosts of a label.
func below(c *corefile.Config, label string) []string {
	var out []string
	for _, origin := range c.Cluster.Origins {
		out = append(out, label+"."+strings.TrimSuffix(origin, "."))
	}
	return out
}

// exact returns all hosts without a wildcard.
func (n names) exact() []string {
	all := slices.Concat(n.main, n.apex)
	for _, node := range n.nodes {
		all = append(all, node.hosts...)
	}
	return all
}

// open reports whether names of the block are known only when they are asked for: those of nodes that are found,
// and with `wildcard` any.
func open(c *corefile.Config) bool { return len(c.Finders) > 0 || c.Cluster.Wildcard }

// zone is the name by which a block is known: its first origin.
func zone(c *corefile.Config) string { return c.Cluster.Origins[0] }

// routes returns what is served at a listener: what concerns all, then the sites of each block, then a refusal.
func (b *builder) routes(f *front) caddyhttp.RouteList {
	all := caddyhttp.RouteList{
		{HandlersRaw: handlers(handler("plexha_gate", Gate{}), handler("plexha_status", Status{}))},
	}
	for _, c := range f.blocks {
		if f.Plain && c.TLS.Kind != corefile.TLSOff {
			all = append(all, b.redirects(c)...)
		} else {
			all = append(all, b.sites(c)...)
		}
	}
	const misdirected = "421 Misdirected Request: this proxy does not serve that name\n"
	return append(all, caddyhttp.Route{HandlersRaw: handlers(answer(http.StatusMisdirectedRequest, misdirected))})
}

// sites returns the routes of a block: its nodes' own names before the main one, which with `wildcard` has all
// that are left.
func (b *builder) sites(c *corefile.Config) caddyhttp.RouteList {
	n := hosts(c)
	to := relay.Site{Zone: zone(c), Balance: c.Balance}
	all := caddyhttp.RouteList{site(match("host", n.apex), redirect(b.url(c, c.Cluster.Main+"."+askedHost)))}
	for _, node := range n.nodes {
		to := to
		to.Node = node.node
		all = append(all, site(match("host", node.hosts), relay.Handlers(to)...))
	}
	if len(c.Finders) > 0 {
		to := to
		to.Found = true
		all = append(all, site(match("plexha_found", Found{Zone: zone(c)}), relay.Handlers(to)...))
	}
	main := n.main
	if c.Cluster.Wildcard {
		main = slices.Concat(main, n.below)
	}
	return append(all, site(match("host", main), relay.Handlers(to)...))
}

// askedHost is Caddy's placeholder for the host that a request is for, without its port.
const askedHost = "{http.request.host}"

// redirects returns the routes of a block where there is no TLS: all lead to where there is.
func (b *builder) redirects(c *corefile.Config) caddyhttp.RouteList {
	to := redirect(b.url(c, askedHost))
	n := hosts(c)
	switch {
	case c.Cluster.Wildcard:
		return caddyhttp.RouteList{site(match("host", slices.Concat(n.exact(), n.below)), to)}
	case len(c.Finders) > 0:
		return caddyhttp.RouteList{site(match("host", n.exact()), to), site(match("plexha_found", Found{Zone: zone(c)}), to)}
	default:
		return caddyhttp.RouteList{site(match("host", n.exact()), to)}
	}
}

// url returns the URL of a request at a host of the block, as clients reach it: where the proxy lines say, else where
// we listen.
func (b *builder) url(c *corefile.Config, host string) string {
	off := c.TLS.Kind == corefile.TLSOff
	scheme, standard := "https", uint16(443)
	if off {
		scheme, standard = "http", 80
	}
	port := b.port(c, off)
	if len(c.Cluster.Proxies) > 0 {
		port = c.Cluster.Proxies[0].Addrs[0].Port()
	}
	if port != 0 && port != standard {
		host += ":" + strconv.Itoa(int(port))
	}
	return fmt.Sprintf("%s://%s{http.request.uri}", scheme, host)
}

// port returns the port of the block's first listener without TLS, or with it. 0: there is none, or nobody knows.
func (b *builder) port(c *corefile.Config, plain bool) uint16 {
	for _, l := range c.Listen {
		if l.Plain == plain {
			return b.At(l.Addr).Port
		}
	}
	return 0
}

// redirect answers that the request is to be repeated, as it is, at another URL for good.
func redirect(to string) json.RawMessage {
	return handler("static_response", caddyhttp.StaticResponse{
		StatusCode: caddyhttp.WeakString(strconv.Itoa(http.StatusPermanentRedirect)),
		Headers:    http.Header{"Location": {to}},
	})
}

// answer says no more than a line.
func answer(status int, text string) json.RawMessage {
	return handler("static_response", caddyhttp.StaticResponse{
		StatusCode: caddyhttp.WeakString(strconv.Itoa(status)),
		Headers:    http.Header{"Content-Type": {"text/plain; charset=utf-8"}},
		Body:       text,
	})
}

func site(matchers caddyhttp.RawMatcherSets, all ...json.RawMessage) caddyhttp.Route {
	return caddyhttp.Route{MatcherSetsRaw: matchers, HandlersRaw: all, Terminal: true}
}

func match(matcher string, config any) caddyhttp.RawMatcherSets {
	return caddyhttp.RawMatcherSets{caddy.ModuleMap{matcher: caddyconfig.JSON(config, nil)}}
}

func handlers(all ...json.RawMessage) []json.RawMessage { return all }

func handler(name string, config any) json.RawMessage {
	return caddyconfig.JSONModuleObject(config, "handler", name, nil)
}

package corefile_test

import (
	"net/netip"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plexha/corefile"
	"plexha/zones"
)

func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
func prefix(s string) netip.Prefix     { return netip.MustParsePrefix(s) }

func prefixes(all ...string) []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range all {
		ps = append(ps, prefix(s))
	}
	return ps
}

func TestDefaults(t *testing.T) {
	want := &corefile.Config{
		File: "Corefile",
		Line: 2,
		Cluster: zones.Cluster{
			Origins:  []string{"home.duckdns.org."},
			Main:     "plex",
			Nodes:    []zones.Node{{Name: "plex1", Host: "docker1", Port: 32400, Weight: 1}},
			Uplinks:  []zones.Uplink{{Name: "wan", Auto: true}},
			NS:       []zones.NameServer{{Name: "ns1"}},
			Prefixes: zones.Prefixes{Private: true, Onlink: true},
			Tier:     zones.Nodes,
			Mode:     zones.Spread,
			AllDown:  zones.LastResort,
			TTL:      10 * time.Second,
			MinTTL:   time.Second,
			Negative: 10 * time.Second,
		},
		Uplinks: []corefile.UplinkDetect{{Name: "wan"}},
		Detect: []corefile.Source{
			{Kind: "cloudflare", Transport: "dot"},
			{Kind: "opendns", Transport: "dot"},
			{Kind: "opendns", Transport: "udp"},
			{Kind: "google", Transport: "udp"},
			{Kind: "akamai", Transport: "udp"},
			{Kind: "https", Args: []string{"https://api.ipify.org"}},
			{Kind: "https", Args: []string{"https://checkip.amazonaws.com"}},
			{Kind: "router"},
		},
		Probe:       corefile.Probe{Kind: corefile.ProbePlex},
		Interval:    2 * time.Second,
		Timeout:     time.Second,
		Rise:        2,
		Fall:        2,
		Balance:     "uri_hash",
		TLS:         corefile.TLS{Kind: corefile.TLSInternal},
		Listen:      []corefile.Listener{{Addr: ":443"}, {Addr: ":80", Plain: true}},
		RetryFor:    5 * time.Second,
		RetryEvery:  250 * time.Millisecond,
		Status:      corefile.Status{Addr: addrPort("127.0.0.1:8053")},
		ProxyStatus: corefile.Status{Addr: addrPort("127.0.0.1:8054")},
	}
	if diff := cmp.Diff(want, block(t, ""), equal); diff != "" {
		t.Errorf("a block with a node only (-want +got):\n%s", diff)
	}
}

func TestEveryDefaultEqualsAnExplicitValue(t *testing.T) {
	explicit := block(t, `
		name plex
		internal private onlink
		uplink wan auto
		answer nodes spread
		alldown last_resort
		probe plex
		interval 2s
		timeout 1s
		rise 2
		fall 2
		ttl 10s 1s
		negative 10s
		ns ns1
		detect cloudflare dot opendns dot opendns udp google udp akamai udp
		detect https https://api.ipify.org https https://checkip.amazonaws.com router
		balance uri_hash
		affinity plex
		tls internal
		listen :443 :80
		retry 5s every 250ms
		max_requests 0
		status 127.0.0.1:8053
		proxy_status 127.0.0.1:8054
		lane on`)
	ignored := cmpopts.IgnoreFields(corefile.Config{}, "Inactive")
	if diff := cmp.Diff(block(t, ""), explicit, equal, ignored); diff != "" {
		t.Errorf("explicit defaults differ (-default +explicit):\n%s", diff)
	}
	withProxy, explicitly := block(t, "proxy 192.168.1.2"), block(t, "proxy 192.168.1.2:443\nanswer proxies all")
	if diff := cmp.Diff(withProxy, explicitly, equal); diff != "" {
		t.Errorf("explicit defaults with a proxy differ (-default +explicit):\n%s", diff)
	}
	for line, explicit := range map[string]string{
		"duckdns token_file f":                      "duckdns home token_file f every 5m refresh 24h",
		"duckdns token from $CREDENTIALS_DIRECTORY": "duckdns home token from $CREDENTIALS_DIRECTORY/duckdns_token every 5m refresh 24h",
		"detect opendns cloudflare google akamai":   "detect opendns udp cloudflare dot google udp akamai udp",
		"detect cloudflare at 192.0.2.1 ::1 opendns dot at 192.0.2.2 https https://a.example:8443/ip at 192.0.2.4": "detect cloudflare at 192.0.2.1:853 [::1]:853 opendns dot at 192.0.2.2:853 https https://a.example:8443/ip at 192.0.2.4:8443",
		"detect cloudflare doh at 192.0.2.1 google at 192.0.2.2 https https://a.example/ip at 192.0.2.4":           "detect cloudflare doh at 192.0.2.1:443 google at 192.0.2.2:53 https https://a.example/ip at 192.0.2.4:443",
		"duckdns token_file f verify at 192.0.2.1 2001:db8::1":                                                     "duckdns token_file f verify at 192.0.2.1:53 [2001:db8::1]:53",
	} {
		if diff := cmp.Diff(block(t, line), block(t, explicit), equal); diff != "" {
			t.Errorf("%s differs from %s (-default +explicit):\n%s", line, explicit, diff)
		}
	}
}

// TestProperties says for each form of each property what it changes in the defaults.
func TestProperties(t *testing.T) {
	type config = corefile.Config
	plain80 := []corefile.Listener{{Addr: ":80", Plain: true}}
	plex2 := zones.Node{Name: "plex2", Host: "docker2", Port: 32400, Weight: 1}
	node := func(change func(*zones.Node)) func(*config) {
		return func(c *config) {
			n := plex2
			change(&n)
			c.Cluster.Nodes = append(c.Cluster.Nodes, n)
		}
	}
	proxies := func(lines ...[]netip.AddrPort) func(*config) {
		return func(c *config) {
			c.Cluster.Tier, c.Cluster.Mode = zones.Proxies, zones.All
			for _, addrs := range lines {
				c.Cluster.Proxies = append(c.Cluster.Proxies, zones.Proxy{Addrs: addrs})
			}
		}
	}
	uplink := func(u zones.Uplink, d corefile.UplinkDetect) func(*config) {
		return func(c *config) {
			c.Cluster.Uplinks, c.Uplinks = []zones.Uplink{u}, []corefile.UplinkDetect{d}
		}
	}
	ports := func(all ...string) (ap []netip.AddrPort) {
		for _, s := range all {
			ap = append(ap, addrPort(s))
		}
		return ap
	}
	duck := func(change func(*corefile.DuckDNS)) func(*config) {
		return func(c *config) {
			c.DuckDNS = &corefile.DuckDNS{Name: "home", TokenFile: "/etc/t", Every: 5 * time.Minute, Refresh: 24 * time.Hour}
			change(c.DuckDNS)
		}
	}
	type source = corefile.Source
	detect := func(all ...source) func(*config) { return func(c *config) { c.Detect = all } }
	for _, tc := range []struct {
		name, line string
		change     func(*config)
	}{
		{"node", "node plex2 docker2", node(func(*zones.Node) {})},
		{"node, name in capitals", "node PLEX2 docker2", node(func(*zones.Node) {})},
		{"node, port", "node plex2 docker2:1", node(func(n *zones.Node) { n.Port = 1 })},
		{"node, IPv4", "node plex2 192.168.1.4:32401", node(func(n *zones.Node) { n.Host, n.Port = "192.168.1.4", 32401 })},
		{"node, IPv6", "node plex2 fd12:0::4", node(func(n *zones.Node) { n.Host = "fd12::4" })},
		{"node, IPv6 in brackets", "node plex2 [fd12::4]", node(func(n *zones.Node) { n.Host = "fd12::4" })},
		{"node, IPv6 and port", "node plex2 [fd12::4]:7", node(func(n *zones.Node) { n.Host, n.Port = "fd12::4", 7 })},
		{"node, loopback", "node plex2 127.0.0.1", node(func(n *zones.Node) { n.Host = "127.0.0.1" })},
		{"node, container's name", "node plex2 my_plex", node(func(n *zones.Node) { n.Host = "my_plex" })},
		{"node, other zone of the same ending", "node plex2 plex.evilhome.duckdns.org", node(func(n *zones.Node) { n.Host = "plex.evilhome.duckdns.org" })},
		{"node, https", "node plex2 docker2 https", node(func(n *zones.Node) { n.HTTPS = true })},
		{"node, verified", "node plex2 docker2 https verify", node(func(n *zones.Node) { n.HTTPS, n.Verify = true, true })},
		{"node, at", "node plex2 docker2 at 192.168.1.4 fd12::4 backup", node(func(n *zones.Node) {
			n.At, n.Backup = []netip.Addr{addr("192.168.1.4"), addr("fd12::4")}, true
		})},
		{"node, weight", "node plex2 docker2 weight 1000", node(func(n *zones.Node) { n.Weight = 1000 })},
		{"node, backup", "node plex2 docker2 backup", node(func(n *zones.Node) { n.Backup = true })},
		{
			"node, id", "node plex2 docker2 id 0123456789ABCDEF0123456789abcdef01234567",
			node(func(n *zones.Node) { n.ID = "0123456789abcdef0123456789abcdef01234567" }),
		},

		{"nodes", "nodes p tasks.plex", func(c *config) { c.Finders = []corefile.Finder{{Name: "p", DNS: "tasks.plex"}} }},
		{"nodes, SRV", "nodes p _plex._tcp.lan. 1 max 4", func(c *config) {
			c.Finders = []corefile.Finder{{Name: "p", DNS: "_plex._tcp.lan.", Port: 1, Max: 4}}
		}},
		{"nodes, max short of a node's name", "nodes p tasks.plex max 1\nnode p2 docker2", func(c *config) {
			c.Finders = []corefile.Finder{{Name: "p", DNS: "tasks.plex", Max: 1}}
			node(func(n *zones.Node) { n.Name = "p2" })(c)
		}},

		{"proxy", "proxy 192.168.1.2", proxies(ports("192.168.1.2:443"))},
		{"proxy, both families", "proxy fd12::2 192.168.1.2", proxies(ports("192.168.1.2:443", "[fd12::2]:443"))},
		{
			"proxy, several of a family", "proxy 192.168.1.2 192.168.1.3 fd12::2",
			proxies(ports("192.168.1.2:443", "[fd12::2]:443"), ports("192.168.1.3:443")),
		},
		{"proxy, lines", "proxy 192.168.1.2\nproxy fd12::3", proxies(ports("192.168.1.2:443"), ports("[fd12::3]:443"))},
		{"proxy, port", "proxy 192.168.1.2:8443 [fd12::2]:8444", proxies(ports("192.168.1.2:8443", "[fd12::2]:8444"))},
		{"proxy, loopback", "proxy 127.0.0.1", proxies(ports("127.0.0.1:443"))},
		{"proxy, at a node's address", "node plex2 docker2\nproxy 192.168.1.4\n", func(c *config) {
			proxies(ports("192.168.1.4:443"))(c)
			c.Cluster.Nodes = append(c.Cluster.Nodes, plex2)
		}},
		{"proxy, tls off after it", "proxy 192.168.1.2 fd12::2\ntls off", func(c *config) {
			proxies(ports("192.168.1.2:80", "[fd12::2]:80"))(c)
			c.TLS.Kind, c.Listen = corefile.TLSOff, plain80
		}},

		{"name", "name Media", func(c *config) { c.Cluster.Main = "media" }},
		{"internal replaces the words", "internal 192.168.1.0/24", func(c *config) {
			c.Cluster.Prefixes = zones.Prefixes{Internal: prefixes("192.168.1.0/24")}
		}},
		{"internal keeps a word it names", "internal 8.8.8.0/24 private", func(c *config) {
			c.Cluster.Prefixes = zones.Prefixes{Private: true, Internal: prefixes("8.8.8.0/24")}
		}},
		{"internal, lines and bare addresses", "internal onlink\ninternal 8.8.8.8 2001:db8::1", func(c *config) {
			c.Cluster.Prefixes = zones.Prefixes{Onlink: true, Internal: prefixes("8.8.8.8/32", "2001:db8::1/128")}
		}},
		{"external", "external 192.168.9.0/24 fd12:9::/64\nexternal 127.0.0.2", func(c *config) {
			c.Cluster.Prefixes.External = prefixes("192.168.9.0/24", "fd12:9::/64", "127.0.0.2/32")
		}},

		{"uplink, auto", "uplink dsl auto", uplink(zones.Uplink{Name: "dsl", Auto: true}, corefile.UplinkDetect{Name: "dsl"})},
		{
			"uplink, addresses", "uplink dsl 203.0.113.7 2001:db8::7",
			uplink(zones.Uplink{Name: "dsl", Addrs: []netip.Addr{addr("203.0.113.7"), addr("2001:db8::7")}}, corefile.UplinkDetect{Name: "dsl"}),
		},
		{
			"uplink, via and probe", "uplink dsl 203.0.113.7 via ppp0 probe tcp 1.1.1.1:853",
			uplink(zones.Uplink{Name: "dsl", Addrs: []netip.Addr{addr("203.0.113.7")}, Probe: "1.1.1.1:853"},
				corefile.UplinkDetect{Name: "dsl", Via: "ppp0"}),
		},
		{
			"uplink, IPv6 given", "uplink dsl auto ipv6 2001:db8::7",
			uplink(zones.Uplink{Name: "dsl", Auto: true, Addrs: []netip.Addr{addr("2001:db8::7")}}, corefile.UplinkDetect{Name: "dsl"}),
		},
		{
			"uplink, IPv6 off", "uplink dsl 203.0.113.7 ipv6 off",
			uplink(zones.Uplink{Name: "dsl", Addrs: []netip.Addr{addr("203.0.113.7")}}, corefile.UplinkDetect{Name: "dsl", NoIPv6: true}),
		},
		{
			"uplink, IPv6 suffix", "uplink dsl auto ipv6 ::10",
			uplink(zones.Uplink{Name: "dsl", Auto: true}, corefile.UplinkDetect{Name: "dsl", Suffix: addr("::10"), Bits: 64}),
		},
		{
			"uplink, IPv6 suffix behind a short prefix", "uplink dsl auto ipv6 ::2:0:0:0:10/56",
			uplink(zones.Uplink{Name: "dsl", Auto: true}, corefile.UplinkDetect{Name: "dsl", Suffix: addr("::2:0:0:0:10"), Bits: 56}),
		},
		{"uplinks in order", "uplink b auto via eth1\nuplink a auto", func(c *config) {
			c.Cluster.Uplinks = []zones.Uplink{{Name: "b", Auto: true}, {Name: "a", Auto: true}}
			c.Uplinks = []corefile.UplinkDetect{{Name: "b", Via: "eth1"}, {Name: "a"}}
		}},

		{"answer nodes", "answer nodes", func(*config) {}},
		{"answer nodes all", "answer nodes all", func(c *config) { c.Cluster.Mode = zones.All }},
		{"answer nodes first", "answer nodes first", func(c *config) { c.Cluster.Mode = zones.First }},
		{"answer nodes beside a proxy", "proxy 192.168.1.2\nanswer nodes", func(c *config) {
			proxies(ports("192.168.1.2:443"))(c)
			c.Cluster.Tier, c.Cluster.Mode = zones.Nodes, zones.Spread
		}},
		{"answer proxies spread", "answer proxies spread\nproxy 192.168.1.2", func(c *config) {
			proxies(ports("192.168.1.2:443"))(c)
			c.Cluster.Mode = zones.Spread
		}},
		{"alldown servfail", "alldown servfail", func(c *config) { c.Cluster.AllDown = zones.Servfail }},
		{"alldown empty", "alldown empty", func(c *config) { c.Cluster.AllDown = zones.Empty }},

		{"probe http", "probe http /web?x=1", func(c *config) {
			c.Probe = corefile.Probe{Kind: corefile.ProbeHTTP, Path: "/web?x=1", StatusMin: 200, StatusMax: 399}
		}},
		{"probe http, options", `probe http / body "ok (yes|no)" status 204`, func(c *config) {
			c.Probe = corefile.Probe{Kind: corefile.ProbeHTTP, Path: "/", StatusMin: 204, StatusMax: 204, Body: regexp.MustCompile("ok (yes|no)")}
		}},
		{"probe http, range", "probe http / status 200-299", func(c *config) {
			c.Probe = corefile.Probe{Kind: corefile.ProbeHTTP, Path: "/", StatusMin: 200, StatusMax: 299}
		}},
		{"probe tcp", "probe tcp", func(c *config) { c.Probe.Kind = corefile.ProbeTCP }},
		{"probe none", "probe none", func(c *config) { c.Probe.Kind = corefile.ProbeNone }},
		{"thresholds", "interval 100ms\ntimeout 5s\nrise 1\nfall 3", func(c *config) {
			c.Interval, c.Timeout, c.Rise, c.Fall = 100*time.Millisecond, 5*time.Second, 1, 3
		}},
		{"canary", "canary [2001:db8::1]:53", func(c *config) { c.Canary = "[2001:db8::1]:53" }},
		{"canary, name", "canary router.lan:80", func(c *config) { c.Canary = "router.lan:80" }},

		{"ttl", "ttl 60s 5s", func(c *config) { c.Cluster.TTL, c.Cluster.MinTTL = time.Minute, 5*time.Second }},
		{"ttl without MIN", "ttl 1m", func(c *config) { c.Cluster.TTL = time.Minute }},
		{"ttl below the default MIN", "ttl 0s", func(c *config) { c.Cluster.TTL, c.Cluster.MinTTL = 0, 0 }},
		{"negative", "negative 0s", func(c *config) { c.Cluster.Negative = 0 }},
		{"ns", "ns a 192.168.1.5 203.0.113.5\nns B 2001:db8::5", func(c *config) {
			c.Cluster.NS = []zones.NameServer{
				{Name: "a", Addrs: []netip.Addr{addr("192.168.1.5"), addr("203.0.113.5")}},
				{Name: "b", Addrs: []netip.Addr{addr("2001:db8::5")}},
			}
		}},
		{"zonefile", "zonefile internal db.in\nzonefile external /etc/db.out", func(c *config) {
			c.ZoneFiles = []corefile.ZoneFile{
				{View: zones.Internal, Path: "db.in", Line: 4}, {View: zones.External, Path: "/etc/db.out", Line: 5},
			}
		}},
		{"passthrough", "passthrough NAS www.home.duckdns.org _x._tcp.Home.duckdns.org.", func(c *config) {
			c.Passthrough = []string{"nas.home.duckdns.org.", "www.home.duckdns.org.", "_x._tcp.home.duckdns.org."}
		}},
		{"fallthrough", "fallthrough", func(c *config) { c.Fallthrough = []string{"."} }},
		{"fallthrough for zones", "fallthrough a.home.duckdns.org duckdns.org.", func(c *config) {
			c.Fallthrough = []string{"a.home.duckdns.org.", "duckdns.org."}
		}},
		{"wildcard", "wildcard", func(c *config) { c.Cluster.Wildcard = true }},
		{"trust_ecs", "trust_ecs 192.168.1.1 fd12::/64", func(c *config) { c.TrustECS = prefixes("192.168.1.1/32", "fd12::/64") }},

		{"duckdns", "duckdns token_file /etc/t", duck(func(*corefile.DuckDNS) {})},
		{"duckdns, token", "duckdns token " + token, duck(func(d *corefile.DuckDNS) { d.TokenFile, d.Token = "", corefile.NewSecret(token) })},
		{"duckdns, credential", "duckdns token from $CREDENTIALS_DIRECTORY", duck(func(d *corefile.DuckDNS) {
			d.TokenFile, d.Credential = "", "duckdns_token"
		})},
		{"duckdns, credential of another name", "duckdns token from $CREDENTIALS_DIRECTORY/duck ipv4 off", duck(func(d *corefile.DuckDNS) {
			d.TokenFile, d.Credential, d.NoIPv4 = "", "duck", true
		})},
		{"duckdns, name", "duckdns House token_file /etc/t", duck(func(d *corefile.DuckDNS) { d.Name = "house" })},
		{"duckdns, name like an option", "duckdns tokens token_file /etc/t", duck(func(d *corefile.DuckDNS) { d.Name = "tokens" })},
		{"duckdns, options", "duckdns token_file /etc/t every 1m refresh 12h verify off ipv6 off", duck(func(d *corefile.DuckDNS) {
			d.Every, d.Refresh, d.NoVerify, d.NoIPv6 = time.Minute, 12*time.Hour, true, true
		})},
		{"duckdns, IPv6 only", "duckdns ipv4 off token_file /etc/t", duck(func(d *corefile.DuckDNS) { d.NoIPv4 = true })},
		{"duckdns, verified elsewhere", "duckdns verify at 192.0.2.1 [::1]:5353 token_file /etc/t", duck(func(d *corefile.DuckDNS) {
			d.VerifyAt = ports("192.0.2.1:53", "[::1]:5353")
		})},
		{"duckdns, API", "duckdns token_file /etc/t api https://duck.example/update", duck(func(d *corefile.DuckDNS) {
			d.API = "https://duck.example"
		})},
		{"duckdns, API on this host", "duckdns token_file /etc/t api http://[::1]:8080/", duck(func(d *corefile.DuckDNS) {
			d.API = "http://[::1]:8080"
		})},

		{"detect, operators", "detect opendns cloudflare google akamai", detect(
			source{Kind: "opendns", Transport: "udp"}, source{Kind: "cloudflare", Transport: "dot"},
			source{Kind: "google", Transport: "udp"}, source{Kind: "akamai", Transport: "udp"},
		)},
		{"detect, by all ways", "detect opendns udp opendns dot\ndetect cloudflare udp cloudflare dot cloudflare doh", detect(
			source{Kind: "opendns", Transport: "udp"}, source{Kind: "opendns", Transport: "dot"},
			source{Kind: "cloudflare", Transport: "udp"}, source{Kind: "cloudflare", Transport: "dot"}, source{Kind: "cloudflare", Transport: "doh"},
		)},
		{"detect, at", "detect opendns at 192.0.2.1:5353 ::1 cloudflare doh at [::1]:8443", detect(
			source{Kind: "opendns", Transport: "udp", At: ports("192.0.2.1:5353", "[::1]:53")},
			source{Kind: "cloudflare", Transport: "doh", At: ports("[::1]:8443")},
		)},
		{"detect, at an IPv6 address that ends like a port", "detect cloudflare at 2606:4700:4700::853 [2606:4700:4700::1:853] opendns at ::1:853", detect(
			source{Kind: "cloudflare", Transport: "dot", At: ports("[2606:4700:4700::853]:853", "[2606:4700:4700::1:853]:853")},
			source{Kind: "opendns", Transport: "udp", At: ports("[::1:853]:53")},
		)},
		{"detect, HTTPS", "detect https https://ip.example/v4?x=1 at 192.0.2.1 https https://[2001:db8::1]:8443", detect(
			source{Kind: "https", Args: []string{"https://ip.example/v4?x=1"}, At: ports("192.0.2.1:443")},
			source{Kind: "https", Args: []string{"https://[2001:db8::1]:8443"}},
		)},
		{"detect, router both ways", "detect cloudflare router at 192.168.1.1", detect(
			source{Kind: "cloudflare", Transport: "dot"}, source{Kind: "router", At: ports("192.168.1.1:0")},
		)},
		{"detect, router each way", "detect router natpmp at 192.168.1.1 router upnp at 192.168.1.2 cloudflare", detect(
			source{Kind: "router", Transport: "natpmp", At: ports("192.168.1.1:0")},
			source{Kind: "router", Transport: "upnp", At: ports("192.168.1.2:0")},
			source{Kind: "cloudflare", Transport: "dot"},
		)},
		{"detect, UPnP at its URL", "detect router upnp at http://192.168.1.1:5000/rootDesc.xml cloudflare", detect(
			source{Kind: "router", Transport: "upnp", Args: []string{"http://192.168.1.1:5000/rootDesc.xml"}},
			source{Kind: "cloudflare", Transport: "dot"},
		)},
		{"detect, STUN", "detect stun stun.example:3478 stun [::1]:3478 cloudflare", detect(
			source{Kind: "stun", Args: []string{"stun.example:3478"}}, source{Kind: "stun", Args: []string{"[::1]:3478"}},
			source{Kind: "cloudflare", Transport: "dot"},
		)},
		{"detect, command with all its words", "detect command /bin/ip --at at 192.0.2.1 file", detect(
			source{Kind: "command", Args: []string{"/bin/ip", "--at", "at", "192.0.2.1", "file"}},
		)},
		{"detect, this host's own word", "detect interface eth0 file /run/ip", detect(
			source{Kind: "interface", Args: []string{"eth0"}}, source{Kind: "file", Args: []string{"/run/ip"}},
		)},
		{"detect, the interface of each uplink", "uplink a auto via eth0\nuplink b auto via eth1\ndetect interface eth0 interface eth1", func(c *config) {
			c.Cluster.Uplinks = []zones.Uplink{{Name: "a", Auto: true}, {Name: "b", Auto: true}}
			c.Uplinks = []corefile.UplinkDetect{{Name: "a", Via: "eth0"}, {Name: "b", Via: "eth1"}}
			detect(source{Kind: "interface", Args: []string{"eth0"}}, source{Kind: "interface", Args: []string{"eth1"}})(c)
		}},
		{"detect, one voice for an uplink that is given", "uplink a 203.0.113.7\ndetect interface eth9 opendns", func(c *config) {
			uplink(zones.Uplink{Name: "a", Addrs: []netip.Addr{addr("203.0.113.7")}}, corefile.UplinkDetect{Name: "a"})(c)
			detect(source{Kind: "interface", Args: []string{"eth9"}}, source{Kind: "opendns", Transport: "udp"})(c)
		}},
		{"detect, exceptions alone", "detect allow 100.64.0.0/10 2001:db8::/32\ndetect allow 192.0.2.1", func(c *config) {
			c.Allow = prefixes("100.64.0.0/10", "2001:db8::/32", "192.0.2.1/32")
		}},
		{"detect, exceptions between sources", "detect cloudflare allow 10.0.0.0/8 router", func(c *config) {
			detect(source{Kind: "cloudflare", Transport: "dot"}, source{Kind: "router"})(c)
			c.Allow = prefixes("10.0.0.0/8")
		}},

		{"balance", "balance least_conn", func(c *config) { c.Balance = "least_conn" }},
		{"affinity by client", "affinity plex by client", func(c *config) { c.Affinity.ByClient = true }},
		{"affinity off", "affinity off", func(c *config) { c.Affinity.Off = true }},
		{"tls acme", "tls acme mail@example.com", func(c *config) {
			c.TLS = corefile.TLS{Kind: corefile.TLSACME, Email: "mail@example.com"}
		}},
		{"tls acme, options", "tls acme mail@example.com ca https://acme.test/dir dns\nduckdns token_file /etc/t", func(c *config) {
			duck(func(*corefile.DuckDNS) {})(c)
			c.TLS = corefile.TLS{Kind: corefile.TLSACME, Email: "mail@example.com", DNS: true, CA: "https://acme.test/dir"}
		}},
		{"tls files", "tls files a.pem b.pem", func(c *config) {
			c.TLS = corefile.TLS{Kind: corefile.TLSFiles, CertFile: "a.pem", KeyFile: "b.pem"}
		}},
		{"tls off", "tls off", func(c *config) { c.TLS.Kind, c.Listen = corefile.TLSOff, plain80 }},
		{"listen", "listen :8443 192.168.1.2:80 [::1]:443\nlisten fd/3 localhost:81", func(c *config) {
			c.Listen = []corefile.Listener{
				{Addr: ":8443"}, {Addr: "192.168.1.2:80", Plain: true}, {Addr: "[::1]:443"}, {Addr: "fd/3"}, {Addr: "localhost:81"},
			}
		}},
		{"listen beats tls off", "tls off\nlisten :8080", func(c *config) {
			c.TLS.Kind, c.Listen = corefile.TLSOff, []corefile.Listener{{Addr: ":8080", Plain: true}}
		}},
		{"listen, plain HTTP", "listen :8443 http://:8080 http://[::1]:81 http://fd/4", func(c *config) {
			c.Listen = []corefile.Listener{
				{Addr: ":8443"}, {Addr: ":8080", Plain: true}, {Addr: "[::1]:81", Plain: true}, {Addr: "fd/4", Plain: true},
			}
		}},
		{"listen, HTTP/3 where there is TLS", "listen :443 :80 h3\nlisten :8443", func(c *config) {
			c.Listen = []corefile.Listener{{Addr: ":443", H3: true}, {Addr: ":80", Plain: true}, {Addr: ":8443"}}
		}},
		{"retry", "retry 0s", func(c *config) { c.RetryFor = 0 }},
		{"retry every", "retry 3s every 100ms", func(c *config) {
			c.RetryFor, c.RetryEvery = 3*time.Second, 100*time.Millisecond
		}},
		{"max_requests", "max_requests 8", func(c *config) { c.MaxRequests = 8 }},
		{"trusted_proxies", "trusted_proxies 192.168.1.0/24", func(c *config) {
			c.TrustedProxies = prefixes("192.168.1.0/24")
		}},
		{"storage", "storage /srv/caddy", func(c *config) { c.Storage = "/srv/caddy" }},
		{"access_log", "access_log stdout", func(c *config) { c.AccessLog = corefile.AccessLogStdout }},
		{"access_log, file", "access_log /var/log/plexproxy.json", func(c *config) { c.AccessLog = "/var/log/plexproxy.json" }},

		{"state", "state /srv/plexha", func(c *config) { c.State.Dir = "/srv/plexha" }},
		{"state in etcd", "state etcd://etcd1:2379/plexha", func(c *config) {
			c.State.Etcd, c.Inactive = "etcd://etcd1:2379/plexha", []string{"state etcd"}
		}},
		{"state in both", "state /srv/plexha etcd://etcd1:2379", func(c *config) {
			c.State = corefile.State{Dir: "/srv/plexha", Etcd: "etcd://etcd1:2379"}
			c.Inactive = []string{"state etcd"}
		}},
		{"status", "status [::]:8053 public\nproxy_status 192.168.1.2:8053", func(c *config) {
			c.Status = corefile.Status{Addr: addrPort("[::]:8053"), Public: true}
			c.ProxyStatus = corefile.Status{Addr: addrPort("192.168.1.2:8053")}
		}},
		{"status at any free port", "status 127.0.0.1:0\nproxy_status 127.0.0.1:0", func(c *config) {
			c.Status = corefile.Status{Addr: addrPort("127.0.0.1:0")}
			c.ProxyStatus = corefile.Status{Addr: addrPort("127.0.0.1:0")}
		}},
		{"open_ok", "open_ok plex1 p3\nnodes p tasks.plex", func(c *config) {
			c.Finders = []corefile.Finder{{Name: "p", DNS: "tasks.plex"}}
			c.OpenOK = []zones.NodeName{"plex1", "p3"}
		}},
		{"lane off", "lane off", func(c *config) { c.Lane.Off = true }},
		{"lane sockets", "lane on 4", func(c *config) { c.Lane.Sockets = 4 }},
		{"notify", "notify ntfy://ntfy.sh/me generic+https://u:p@h/\nnotify smtp://u:p@h/", func(c *config) {
			for _, u := range []string{"ntfy://ntfy.sh/me", "generic+https://u:p@h/", "smtp://u:p@h/"} {
				c.Notify = append(c.Notify, corefile.NewSecret(u))
			}
			c.Inactive = []string{"notify"}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := block(t, "")
			tc.change(want)
			if diff := cmp.Diff(want, block(t, tc.line), equal); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.line, diff)
			}
		})
	}
}

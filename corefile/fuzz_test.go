package corefile_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/caddy/caddyfile"

	"plexha/corefile"
	"plexha/zones"
)

// FuzzParse reads whatever comes as a Corefile and, bare, as the tokens of a setup. No panic; every mistake
// has its place; what parses is as its documentation says.
func FuzzParse(f *testing.F) {
	files, err := fs.Glob(corefile.Examples, "examples/*.corefile")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(corefile.Examples, file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	mistakes, err := os.ReadFile(golden)
	if err != nil {
		f.Fatal(err)
	}
	for paragraph := range strings.SplitSeq(string(mistakes), "\n\n") {
		properties, _ := cut(paragraph)
		f.Add(server("node plex1 docker1\n" + properties))
		f.Add("plex {\n" + properties + "\n}\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "import") {
			return // it would read files
		}
		configs, err := corefile.Read("Corefile", strings.NewReader(text))
		check(t, configs, err)
		d := caddyfile.NewDispenser("Corefile", strings.NewReader(text))
		configs, err = new(corefile.Parser).Parse(&d, []string{"dns://home.duckdns.org.:53"})
		check(t, configs, err)
	})
}

func check(t *testing.T, configs []*corefile.Config, err error) {
	t.Helper()
	if err == nil {
		for _, c := range configs {
			checkConfig(t, c)
		}
		return
	}
	all, ok := errors.AsType[corefile.Errors](err)
	if !ok || len(all) == 0 || configs != nil {
		t.Fatalf("got %T and %d configurations, want Errors alone", err, len(configs))
	}
	for _, e := range all {
		if e.File == "" || e.Line == 0 && !errors.Is(e, corefile.ErrNoBlock) || e.Err.Error() == "" {
			t.Errorf("mistake without its place: %#v", e)
		}
	}
}

func badListener(l corefile.Listener) bool { return l.Addr == "" || l.Plain && l.H3 }

func noPort(a netip.AddrPort) bool { return !a.IsValid() || a.Port() == 0 }

func badSource(s corefile.Source) bool {
	if s.Kind == "router" {
		return len(s.At) > 1 || len(s.At) == 1 && (!s.At[0].IsValid() || s.At[0].Port() != 0)
	}
	return s.String() == "" || s.Operator() == "" || slices.ContainsFunc(s.At, noPort)
}

func goodDuck(d corefile.DuckDNS) bool {
	tokens := 0
	for _, given := range []bool{d.TokenFile != "", !d.Token.IsZero(), d.Credential != ""} {
		if given {
			tokens++
		}
	}
	return tokens == 1 && d.Every > 0 && d.Refresh > 0 && !(d.NoIPv4 && d.NoIPv6) && !slices.ContainsFunc(d.VerifyAt, noPort)
}

// checkConfig says what everybody may rely on.
func checkConfig(t *testing.T, c *corefile.Config) {
	t.Helper()
	cluster := c.Cluster
	names := []string{cluster.Main}
	endpoints := map[string]bool{}
	for _, ns := range cluster.NS {
		names = append(names, ns.Name)
	}
	for _, n := range cluster.Nodes {
		names = append(names, string(n.Name))
		if n.Port == 0 || n.Weight < 1 || n.Host == "" || c.InZone(n.Host) || n.Verify && !n.HTTPS {
			t.Errorf("bad node %+v", n)
		}
	}
	for _, p := range cluster.Proxies {
		for _, a := range p.Addrs {
			if endpoints[a.String()] || !a.IsValid() || a.Port() == 0 {
				t.Errorf("bad proxy %v", p)
			}
			endpoints[a.String()] = true
		}
		if len(p.Addrs) == 2 && !(p.Addrs[0].Addr().Is4() && p.Addrs[1].Addr().Is6()) {
			t.Errorf("proxy %v is not one IPv4 and one IPv6 address", p)
		}
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(cluster.NS)+len(cluster.Nodes)+1 {
		t.Errorf("a name is used twice: %v", names)
	}
	for what, ok := range map[string]bool{
		"origins":   len(cluster.Origins) > 0 && !slices.Contains(cluster.Origins, "."),
		"members":   len(cluster.Nodes)+len(c.Finders) > 0,
		"uplinks":   len(cluster.Uplinks) > 0 && len(cluster.Uplinks) == len(c.Uplinks),
		"ns":        len(cluster.NS) > 0,
		"ttl":       0 <= cluster.MinTTL && cluster.MinTTL <= cluster.TTL,
		"tier":      cluster.Tier == zones.Nodes || len(cluster.Proxies) > 0,
		"timing":    c.Interval > 0 && c.Timeout > 0 && c.Rise > 0 && c.Fall > 0,
		"listen":    len(c.Listen) > 0 && !slices.ContainsFunc(c.Listen, badListener),
		"detect":    len(c.Detect) > 0 && !slices.ContainsFunc(c.Detect, badSource),
		"duckdns":   c.DuckDNS == nil || goodDuck(*c.DuckDNS),
		"place":     c.File != "" && c.Line > 0,
		"in a zone": !slices.ContainsFunc(c.Passthrough, func(name string) bool { return !c.InZone(name) }),
	} {
		if !ok {
			t.Errorf("%s: %+v", what, c)
		}
	}
}

package status_test

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile/lint"
	"plexha/plugin/status"
	"plexha/plugin/status/page"
	"plexha/zones"
)

// document is what is shown of clusters.
func document(clusters ...status.Cluster) *status.Document {
	return &status.Document{Version: status.Version, Plexdns: "1.2.3", At: after(time.Hour).UTC(), Clusters: clusters}
}

// inWords writes a cluster of a page as text.
func inWords(c *page.Cluster) string {
	var b strings.Builder
	said := func(t page.Trouble) string {
		return fmt.Sprintf("%s: %s%s%s: %s", t.Level, t.Text, timed(" since ", t.Since), timed(" until ", t.Until), t.Why)
	}
	fmt.Fprintf(&b, "%s\n%s; and %d more\n", c.Zone, said(page.Trouble{Level: c.Level, Text: c.Headline, Since: c.Since, Why: c.Why}), c.More)
	for _, t := range c.Troubles {
		fmt.Fprintf(&b, "- %s\n", said(t))
	}
	for _, s := range c.Sections {
		fmt.Fprintf(&b, "\n# %s: %s (%s) %s\n", s.Name, s.Title, strings.Join(s.Columns, ", "), s.Note)
		for _, r := range s.Rows {
			cells := make([]string, 0, len(r.Cells))
			for _, c := range r.Cells {
				cells = append(cells, strings.TrimSpace(fmt.Sprintf("%s %s%s %s", c.Badge, c.Text, timed(" at ", c.Time), quoted(c.Small))))
			}
			fmt.Fprintf(&b, "%s: %s", r.Level, strings.Join(cells, " | "))
			for _, f := range r.Forms {
				fmt.Fprintf(&b, " [%s %s %s]", f.Label, f.Action, f.Fields)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func timed(word string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return word + t.UTC().Format(time.TimeOnly)
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}

// TestDraw: all that is in a document is on its page.
func TestDraw(t *testing.T) {
	const file = "testdata/full.txt"
	d := status.Draw(document(status.Render(full())))
	got := inWords(&d.Clusters[0])
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d.Program != "plexdns" || d.Version != "1.2.3" || !d.At.Equal(after(time.Hour)) || d.Changes {
		t.Errorf("got %+v", d)
	}
	for _, s := range d.Clusters[0].Sections {
		for _, r := range s.Rows {
			if len(r.Cells) != len(s.Columns) {
				t.Errorf("%s has %d columns, and a row with %d cells", s.Name, len(s.Columns), len(r.Cells))
			}
		}
	}
}

// home is a document of a cluster in which all is well.
func atHome() status.Cluster {
	since := noon.UTC()
	up := func(addr string) status.Health {
		return status.Health{State: "up", Since: since, Addresses: []status.Address{{Address: address(addr), State: "up", Since: since}}}
	}
	return status.Cluster{
		Zone: "home.duckdns.org", Ready: true,
		Nodes:   []status.Node{{Name: "plex1", Health: up("192.168.1.11")}, {Name: "plex2", Health: up("192.168.1.12")}},
		Proxies: []status.Proxy{{Name: "192.168.1.2:443", Health: up("192.168.1.2")}},
		Uplinks: []status.Uplink{{Name: "wan", Led: true, Health: up("203.0.113.7"), External: &status.External{}}},
		DuckDNS: &status.DuckDNS{Name: "home.duckdns.org", Verify: true, IPv4: &status.Record{
			Wanted: address("203.0.113.7"), Published: address("203.0.113.7"), View: "verified",
		}},
	}
}

// TestHeadline: whether all is well, and if not, what is worst and since when.
func TestHeadline(t *testing.T) {
	since := after(time.Minute).UTC()
	down := func(h *status.Health) { h.State, h.Since, h.Why = "down", since, "connection refused" }
	for _, tc := range []struct {
		name string
		with func(*status.Cluster)
		want []string // the headline, then the troubles
	}{
		{"all is well", func(*status.Cluster) {}, []string{"good: all is well since 12:00:00"}},
		{"all is well again", func(c *status.Cluster) { c.Changed = since }, []string{"good: all is well since 12:01:00"}},
		{"nobody was asked yet", func(c *status.Cluster) { c.Ready = false; down(&c.Nodes[0].Health) }, []string{"quiet: starting: everybody is asked for the first time"}},
		{"a node is down", func(c *status.Cluster) { down(&c.Nodes[0].Health) }, []string{
			"poor: plex1 is down since 12:01:00: connection refused", "poor: plex1 is down since 12:01:00: connection refused",
		}},
		{"the only proxy is down", func(c *status.Cluster) { down(&c.Proxies[0].Health) }, []string{
			"bad: proxy 192.168.1.2:443 is down since 12:01:00: connection refused", "bad: proxy 192.168.1.2:443 is down since 12:01:00: connection refused",
		}},
		{"nothing is up", func(c *status.Cluster) {
			for i := range c.Nodes {
				down(&c.Nodes[i].Health)
			}
			down(&c.Proxies[0].Health)
		}, []string{
			"bad: no node is up since 12:01:00; and 3 more", "bad: no node is up since 12:01:00",
			"bad: proxy 192.168.1.2:443 is down since 12:01:00: connection refused",
			"poor: plex1 is down since 12:01:00: connection refused", "poor: plex2 is down since 12:01:00: connection refused",
		}},
		{"the canary is silent too", func(c *status.Cluster) { c.Isolated = true }, []string{
			"bad: this machine is cut off: the canary is silent too, and the last verdicts are held",
			"bad: this machine is cut off: the canary is silent too, and the last verdicts are held",
		}},
		{"no external address is known", func(c *status.Cluster) {
			c.Uplinks[0].Health = status.Health{State: "unknown"}
		}, []string{
			"bad: no external address is known: clients outside get SERVFAIL; and 1 more", "bad: no external address is known: clients outside get SERVFAIL",
			"poor: no address of uplink wan is known",
		}},
		{"one of two is not known", func(c *status.Cluster) {
			c.Uplinks = append(c.Uplinks, status.Uplink{Name: "spare", Health: status.Health{State: "unknown"}})
		}, []string{"poor: no address of uplink spare is known", "poor: no address of uplink spare is known"}},
		{"the only uplink is down", func(c *status.Cluster) { down(&c.Uplinks[0].Health) }, []string{
			"bad: uplink wan is down since 12:01:00: connection refused", "bad: uplink wan is down since 12:01:00: connection refused",
		}},
		{"an address that cannot work", func(c *status.Cluster) { c.Uplinks[0].External.IPv4.Trouble = "inbound IPv4 cannot work: CGNAT" }, []string{
			"poor: IPv4 of uplink wan: inbound IPv4 cannot work: CGNAT", "poor: IPv4 of uplink wan: inbound IPv4 cannot work: CGNAT",
		}},
		{"IPv6 that is not published", func(c *status.Cluster) { c.Uplinks[0].External.NoIPv6 = "no proxy has it" }, []string{
			"good: all is well since 12:00:00", "quiet: the IPv6 address of uplink wan is not published: no proxy has it",
		}},
		{"no token", func(c *status.Cluster) { c.DuckDNS.Trouble = "no such file" }, []string{
			"bad: DuckDNS cannot be told: no such file", "bad: DuckDNS cannot be told: no such file",
		}},
		{"DuckDNS refuses", func(c *status.Cluster) { c.DuckDNS.IPv4.RefusedSince, c.DuckDNS.IPv4.Error = since, "KO" }, []string{
			"bad: DuckDNS refuses our IPv4 address since 12:01:00: KO", "bad: DuckDNS refuses our IPv4 address since 12:01:00: KO",
		}},
		{"DuckDNS fails, and has the address", func(c *status.Cluster) { c.DuckDNS.IPv4.FailingSince, c.DuckDNS.IPv4.Error = since, "timeout" }, []string{
			"poor: DuckDNS cannot be told our IPv4 address, which it has since 12:01:00: timeout",
			"poor: DuckDNS cannot be told our IPv4 address, which it has since 12:01:00: timeout",
		}},
		{"DuckDNS fails, and has another", func(c *status.Cluster) {
			c.DuckDNS.IPv4.FailingSince, c.DuckDNS.IPv4.Published = since, address("203.0.113.6")
		}, []string{
			"bad: DuckDNS cannot be told our IPv4 address since 12:01:00", "bad: DuckDNS cannot be told our IPv4 address since 12:01:00",
		}},
		{"DuckDNS shows another", func(c *status.Cluster) {
			c.DuckDNS.IPv4.Since, c.DuckDNS.IPv4.Other = since, []netip.Addr{address("203.0.113.5")}
		}, []string{
			"bad: DuckDNS shows 203.0.113.5 instead of 203.0.113.7 since 12:01:00", "bad: DuckDNS shows 203.0.113.5 instead of 203.0.113.7 since 12:01:00",
		}},
		{"DuckDNS shows nothing", func(c *status.Cluster) { c.DuckDNS.IPv4.Since = since }, []string{
			"bad: DuckDNS shows nothing instead of 203.0.113.7 since 12:01:00", "bad: DuckDNS shows nothing instead of 203.0.113.7 since 12:01:00",
		}},
		{"somebody else answers for DuckDNS", func(c *status.Cluster) { c.DuckDNS.IPv4.Intercepted = "10.0.0.1 answers" }, []string{
			"poor: somebody else answers for DuckDNS's name servers: 10.0.0.1 answers", "poor: somebody else answers for DuckDNS's name servers: 10.0.0.1 answers",
		}},
		{"nobody answers for DuckDNS", func(c *status.Cluster) { c.DuckDNS.IPv4.View = "unreachable" }, []string{
			"poor: nobody tells what DuckDNS's name servers show for IPv4", "poor: nobody tells what DuckDNS's name servers show for IPv4",
		}},
		{"no DuckDNS", func(c *status.Cluster) { c.DuckDNS = nil }, []string{"good: all is well since 12:00:00"}},
		{"a probe that does not run", func(c *status.Cluster) { c.Stalled = []string{"node plex1"} }, []string{
			"poor: the probe of node plex1 gives no sign of life", "poor: the probe of node plex1 gives no sign of life",
		}},
		{"a node is drained", func(c *status.Cluster) { c.Nodes[0].Order, c.Nodes[0].OrderWhy = "drain", "new disk" }, []string{
			"good: all is well since 12:00:00", "quiet: plex1 is drained: new disk",
		}},
		{"an impostor", func(c *status.Cluster) { c.Nodes[1].State, c.Nodes[1].Why = "impostor", "it is plex1" }, []string{
			"poor: plex2 answers as another server than it should be since 12:00:00: it is plex1",
			"poor: plex2 answers as another server than it should be since 12:00:00: it is plex1",
		}},
		{"a Corefile that is unwise", func(c *status.Cluster) {
			c.Findings = []lint.Finding{{Level: lint.Warning}, {Level: lint.Warning}, {Level: lint.Note}}
		}, []string{"good: all is well since 12:00:00", "quiet: the Corefile has 2 warnings, which are below"}},
		{"a Corefile with a warning", func(c *status.Cluster) { c.Findings = []lint.Finding{{Level: lint.Warning}} }, []string{
			"good: all is well since 12:00:00", "quiet: the Corefile has a warning, which is below",
		}},
		{"a Corefile to be known", func(c *status.Cluster) { c.Findings = []lint.Finding{{Level: lint.Note}} }, []string{"good: all is well since 12:00:00"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := atHome()
			tc.with(&c)
			d := status.Draw(document(c))
			if diff := cmp.Diff(tc.want, headline(&d.Clusters[0])); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// headline returns that of a cluster, and its troubles.
func headline(c *page.Cluster) []string {
	all := []page.Trouble{{Level: c.Level, Text: c.Headline, Since: c.Since, Why: c.Why}}
	var out []string
	for _, t := range append(all, c.Troubles...) {
		said := fmt.Sprintf("%s: %s%s%s", t.Level, t.Text, timed(" since ", t.Since), timed(" until ", t.Until))
		if t.Why != "" {
			said += ": " + t.Why
		}
		out = append(out, said)
	}
	if c.More > 0 {
		out[0] += fmt.Sprintf("; and %d more", c.More)
	}
	return out
}

// TestAnswersThatAreAlike are in one row.
func TestAnswersThatAreAlike(t *testing.T) {
	c := atHome()
	answer := func(name string, with func(*status.Answer)) {
		a := status.Answer{
			Name: name, View: "internal", TTL: 10, Addresses: []netip.Addr{address("192.168.1.2"), address("fd12::2")},
			To: []string{"proxy 192.168.1.2:443"}, Standing: zones.AsMeant.String(), Why: "the proxies that are up",
		}
		with(&a)
		c.Answers = append(c.Answers, a)
	}
	as := func(*status.Answer) {}
	answer("home.duckdns.org", as)
	answer("plex.home.duckdns.org", as)
	answer("plex1.home.duckdns.org", func(a *status.Answer) { a.Standing, a.Why = "stand-in", "no proxy is up: a node that is" })
	answer("plex2.home.duckdns.org", as)
	answer("plex.home.duckdns.org", func(a *status.Answer) { a.Variant = "plex1" })
	answer("plex.home.duckdns.org", func(a *status.Answer) { a.View = "external" })
	answer("ns1.home.duckdns.org", func(a *status.Answer) { a.Addresses = nil })
	answer("plex2.home.duckdns.org", func(a *status.Answer) { a.Addresses, a.Standing = nil, "nothing up" })
	answer("plex2.home.duckdns.org", func(a *status.Answer) { a.Addresses, a.Servfail = nil, true })
	d := status.Draw(document(c))
	var got []string
	for _, s := range d.Clusters[0].Sections {
		if s.Name != "answers" {
			continue
		}
		for _, r := range s.Rows {
			got = append(got, fmt.Sprintf("%s: %s, %s%s: %s", r.Level, r.Cells[0].Text, r.Cells[1].Text, quoted(r.Cells[1].Small), r.Cells[2].Text))
		}
	}
	want := []string{
		"good: home.duckdns.org, plex, plex2, internal: 192.168.1.2, fd12::2",
		"poor: plex1, internal: 192.168.1.2, fd12::2",
		"good: plex, internal(clients of plex1): 192.168.1.2, fd12::2",
		"good: plex, external: 192.168.1.2, fd12::2",
		"quiet: ns1, internal: no address",
		"bad: plex2, internal: no address",
		"bad: plex2, internal: SERVFAIL",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

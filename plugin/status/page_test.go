package status_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"plexha/plugin/status"
	"plexha/plugin/status/page"
	"plexha/zones"
	"plexha/zones/timeline"
)

// crowd is a cluster with 32 nodes, of which one is down and one drained, 4 proxies and 500 events.
func crowd() *cluster {
	c := full()
	snap := c.snapshot
	snap.Nodes, snap.Proxies = nil, nil
	for i := range 32 {
		h := up(fmt.Sprintf("192.168.1.%d", 10+i))
		name := zones.NodeName(fmt.Sprintf("plex%d", i+1))
		switch i {
		case 3:
			h.State, h.Why = zones.Down, "dial tcp 192.168.1.13:32400: connect: connection refused"
		case 4:
			h.Order, h.OrderWhy = zones.OrderDrain, "new disk"
		}
		node := zones.Node{Name: name, Host: fmt.Sprintf("docker%d.home.lan", i+1), Port: 32400}
		snap.Nodes = append(snap.Nodes, zones.NodeHealth{Node: node, Health: h})
		for _, view := range []string{"internal", "external"} {
			c.answers = append(c.answers, status.Answer{
				Name: string(name) + ".home.duckdns.org", View: view, TTL: uint32(i), Addresses: []netip.Addr{address("192.168.1.2")},
				To: []string{"proxy 192.168.1.2:443"}, Why: "the proxies that are up",
			})
		}
	}
	for i := range 4 {
		at := netip.MustParseAddrPort(fmt.Sprintf("192.168.1.%d:443", 2+i))
		snap.Proxies = append(snap.Proxies, zones.ProxyHealth{Proxy: zones.Proxy{Addrs: []netip.AddrPort{at}}, Health: up(at.Addr().String())})
	}
	for i := range timeline.Kept {
		to := []string{"down: connection refused", "up"}[i%2]
		level := []timeline.Level{timeline.Warning, timeline.Info}[i%2]
		c.timeline.Add(timeline.Event{
			At: after(time.Duration(i) * time.Second), Level: level, Kind: timeline.State,
			Text: fmt.Sprintf("node plex%d is %s", i%32+1, to),
		})
	}
	return c
}

// drawn is the page of a cluster.
func drawn(c *cluster) page.Doc {
	d := status.Draw(&status.Document{Version: status.Version, Plexdns: "1.2.3", At: after(time.Hour), Clusters: []status.Cluster{status.Render(c)}})
	d.Changes, d.Host = true, "attic"
	d.Clusters[0].Events = c.timeline.Since(0)
	return d
}

// maxPage bounds the page of a cluster with 32 nodes, 4 proxies and 500 events, in bytes.
const maxPage = 100_000

// TestPageOfACrowdIsSmall, though all is in it.
func TestPageOfACrowdIsSmall(t *testing.T) {
	var b bytes.Buffer
	if err := page.Render(&b, drawn(crowd())); err != nil {
		t.Fatal(err)
	}
	if b.Len() > maxPage {
		t.Errorf("it has %d bytes, want %d at most", b.Len(), maxPage)
	}
	_, events, _ := strings.Cut(b.String(), `class="events"`)
	if got := strings.Count(events, "<li"); got != timeline.Kept {
		t.Errorf("%d events are there, want %d", got, timeline.Kept)
	}
}

// TestWordsOfOthers: what a probe was answered, an order's words and a Corefile's line are text on the page.
func TestWordsOfOthers(t *testing.T) {
	const words = `<img src=x onerror=alert(1)>"'`
	c := full()
	node := &c.snapshot.Nodes[0]
	node.Why, node.OrderWhy, node.State = words, words, zones.Down
	c.findings[0].Text = words
	c.duckdns.IPv4.Error, c.duckdns.IPv4.Intercepted = words, words
	c.answers[0].Why = words
	c.timeline.Add(timeline.Event{At: noon, Level: timeline.Warning, Text: words})
	var b bytes.Buffer
	if err := page.Render(&b, drawn(c)); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(b.String(), "&lt;img src=x onerror=alert(1)&gt;&#34;&#39;"); got < 7 {
		t.Errorf("the words are there %d times", got)
	}
	if strings.Contains(b.String(), "<img") {
		t.Error("they have become an element")
	}
}

// BenchmarkPage draws the page of a crowd from its snapshot.
func BenchmarkPage(b *testing.B) {
	c := crowd()
	b.ReportAllocs()
	var buf bytes.Buffer
	for b.Loop() {
		buf.Reset()
		if err := page.Render(&buf, drawn(c)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(buf.Len()), "bytes")
}

package affinity_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"plexha/proxy/affinity"
	"plexha/zones"
)

// entries is how many pins and sessions a table holds at most by default.
const entries = 100_000

func BenchmarkParse(b *testing.B) {
	for name, r := range map[string]*http.Request{
		"decision": request(b, "GET "+decision("c1", "t1", "s1"), "Cookie: plexha_node=plex1"),
		"segment":  request(b, segment1),
		"library":  request(b, library+as("c1", "t1")),
		"headers":  request(b, "GET /library", "X-Plex-Client-Identifier: c1", "X-Plex-Token: t1"),
		"file":     request(b, "GET /web/js/chunk-1.js"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				affinity.Parse(r)
			}
		})
	}
}

// crowd is a full table, whose clients have a token each.
type crowd struct {
	table   *affinity.Table
	nodes   *affinity.Nodes
	now     time.Time
	clients []affinity.Keys
	parts   []affinity.Keys // segments of their sessions
}

func newCrowd(b *testing.B) *crowd {
	c := &crowd{table: affinity.NewTable(entries), nodes: &affinity.Nodes{}, now: time.Unix(1_800_000_000, 0)}
	for i := range 3 {
		name := zones.NodeName(fmt.Sprintf("plex%d", i+1))
		c.nodes.All = append(c.nodes.All, affinity.Node{Name: name, ID: string(name), Weight: 1, Up: true, New: true})
	}
	for i := range entries {
		session := fmt.Sprintf("s%d", i)
		if i%2 == 0 { // a client and its token are two pins
			k := affinity.Parse(request(b, "GET "+decision(fmt.Sprintf("c%d", i), fmt.Sprintf("t%d", i), session)))
			c.learn(k)
			c.clients = append(c.clients, k)
		}
		k := affinity.Parse(request(b, "GET /video/:/transcode/universal/session/"+session+"/0/1.m4s"))
		c.table.Answered(k, affinity.Placement{}, "plex1", http.StatusOK, c.nodes, c.now)
		c.parts = append(c.parts, k)
	}
	if got := c.table.Sizes(); got != (affinity.Sizes{Pins: entries, Sessions: entries}) {
		b.Fatalf("%+v", got)
	}
	return c
}

func (c *crowd) learn(k affinity.Keys) {
	p := c.table.Place(k, c.nodes, false, c.now)
	c.table.Answered(k, p, p.Node, http.StatusOK, c.nodes, c.now)
}

func BenchmarkPlace(b *testing.B) {
	c := newCrowd(b)
	library := affinity.Parse(request(b, library+as("c0", "t0")))
	var fresh []affinity.Keys
	for i := range 3 * entries {
		fresh = append(fresh, affinity.Parse(request(b, root+as(fmt.Sprintf("new%d", i), fmt.Sprintf("token%d", i)))))
	}
	for _, bb := range []struct {
		name string
		keys func(i int) affinity.Keys
	}{
		{"same client", func(int) affinity.Keys { return library }},
		{"known session", func(i int) affinity.Keys { return c.parts[i*7919%len(c.parts)] }},
		{"known client", func(i int) affinity.Keys { return c.clients[i*7919%len(c.clients)] }},
		{"new client", func(i int) affinity.Keys { return fresh[i%len(fresh)] }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.table.Place(bb.keys(i), c.nodes, false, c.now)
			}
		})
	}
}

func BenchmarkAnswered(b *testing.B) {
	c := newCrowd(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k := c.clients[i*7919%len(c.clients)]
		c.table.Answered(k, affinity.Placement{Node: "plex1", By: affinity.ByClient}, "plex1", http.StatusOK, c.nodes, c.now)
	}
}

// What a full table takes.
func BenchmarkTable(b *testing.B) {
	b.Run("memory", func(b *testing.B) {
		for b.Loop() {
			c := newCrowd(b)
			c.clients, c.parts = nil, nil
			with := inUse()
			runtime.KeepAlive(c)
			c.table = nil
			b.ReportMetric(float64(with-inUse())/(2*entries), "B/entry")
		}
	})
	b.Run("save", func(b *testing.B) {
		c := newCrowd(b)
		for b.Loop() {
			if err := c.table.Save(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

package plugin_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	_ "github.com/coredns/coredns/plugin/metrics"
	"github.com/miekg/dns"

	plex "plexha/plugin"
	"plexha/plugin/lane"
)

// overheard are the servers of Corefiles with the directive `overhear`, by address.
var overheard sync.Map

func init() {
	plugin.Register("overhear", func(c *caddy.Controller) error {
		server := dnsserver.GetConfig(c)
		before := server.UDPDecorateWriterFunc
		server.UDPDecorateWriterFunc = func(s *dnsserver.Server) dns.DecorateWriter {
			overheard.Store(s.Addr, s)
			if before != nil {
				return before(s)
			}
			return nil
		}
		return nil
	})
}

// overhear starts a server, whose Corefile has the directive, and returns its chain and its lane, both without sockets.
func overhear(t *testing.T, text string) (*chain, *worker) {
	t.Helper()
	directives(t)
	if all := dnsserver.Directives; !slices.Contains(all, "overhear") {
		dnsserver.SetDirectives(slices.Insert(slices.Clone(all), slices.Index(all, "plex"), "overhear"))
	}
	l := startLaned(t, text)
	addr := "dns://127.0.0.1:" + l.port
	found, ok := overheard.Load(addr)
	if !ok {
		t.Fatal("no server has been overheard")
	}
	server := found.(*dnsserver.Server)
	c := &chain{t: t, conn: newMemoryConn()}
	s := &dns.Server{PacketConn: c.conn, Net: "udp", TsigSecret: server.TsigSecret, Handler: dns.HandlerFunc(
		func(w dns.ResponseWriter, r *dns.Msg) {
			c.busy.Add(1) // an answer is counted when it has been sent
			defer c.busy.Done()
			ctx := context.WithValue(context.Background(), dnsserver.Key{}, server)
			server.ServeDNS(context.WithValue(ctx, dnsserver.LoopKey{}, 0), w, r)
		})}
	var done sync.WaitGroup
	done.Go(func() { _ = s.ActivateAndServe() })
	t.Cleanup(func() {
		_ = c.conn.Close()
		done.Wait()
	})
	plans := plex.Plans(l.instance)
	i := slices.IndexFunc(plans, func(p lane.Plan) bool { return p.Addr == addr })
	if i < 0 {
		t.Fatalf("no lane is planned at %s: %v", addr, plans)
	}
	w := newWorker(plans[i].Routes)
	w.addr = addr
	return c, w
}

// corefiles put plex blocks among other plugins and server blocks. Each ZONEFILES stands for the rest of a plex block.
var corefiles = []struct {
	what, text string
	shape
	blocks []string // zones of plex blocks that have a lane, beside the one that all have
	others []string // names that others answer, with all below them
	dnssec bool
}{
	{
		what: "every plugin that lets the lane be", shape: shape{in: insideFile, out: outsideFile},
		text: `home.duckdns.org:PORT {
	bind 127.0.0.1
	metadata
	cancel
	bufsize 700
	errors
	prometheus 127.0.0.1:0
	nsid somebody
	chaos plexha somebody
	any
	cache
	transfer {
		to *
	}
	overhear
	plex {
		ns ns1 192.168.1.53 203.0.113.53
		BLOCK
	}
}
`,
	},
	{
		what: "signatures", dnssec: true, shape: shape{in: insideFile},
		text: `home.duckdns.org:PORT {
	bind 127.0.0.1
	dnssec {
		key file KEY
	}
	prometheus 127.0.0.1:0
	overhear
	plex {
		BLOCK
	}
}
`,
	},
	{
		what: "other plugins behind", others: []string{
			"left.home.duckdns.org.", "host.home.duckdns.org.", "nowhere.home.duckdns.org.",
		}, shape: shape{in: insideFile, names: []string{
			"left.home.duckdns.org.", "x.left.home.duckdns.org.", "host.home.duckdns.org.", "other.example.org.",
		}},
		text: `home.duckdns.org:PORT example.org:PORT {
	bind 127.0.0.1
	prometheus 127.0.0.1:0
	overhear
	plex home.duckdns.org {
		passthrough left
		fallthrough
		BLOCK
	}
	hosts {
		192.0.2.1 left.home.duckdns.org
		192.0.2.2 host.home.duckdns.org
		192.0.2.3 other.example.org
		192.0.2.4 nowhere.home.duckdns.org
	}
}
`,
	},
	{
		what:   "several blocks at an address",
		blocks: []string{"home.example.org.", "plexes.home.duckdns.org."},
		others: []string{"left.home.example.org.", "sub.home.duckdns.org."},
		shape: shape{in: []string{"nas A 192.168.1.9", "in.sub A 192.168.1.8", "tv CNAME in.sub"}, names: []string{
			"home.example.org.", "plex.home.example.org.", "none.home.example.org.", "left.home.example.org.",
			"plexes.home.duckdns.org.", "plex.plexes.home.duckdns.org.", "deep.plexes.home.duckdns.org.",
			"sub.home.duckdns.org.", "x.sub.home.duckdns.org.", "in.sub.home.duckdns.org.", "a.example.net.",
		}},
		text: `home.duckdns.org:PORT home.example.org:PORT {
	bind 127.0.0.1
	prometheus 127.0.0.1:0
	overhear
	plex home.duckdns.org {
		BLOCK
	}
	plex home.example.org {
		BARE
		answer nodes first
		wildcard
		passthrough left
	}
	whoami
}
plexes.home.duckdns.org:PORT {
	bind 127.0.0.1
	overhear
	plex {
		BARE
	}
}
sub.home.duckdns.org:PORT {
	bind 127.0.0.1
	hosts {
		192.0.2.9 x.sub.home.duckdns.org
	}
}
.:PORT {
	bind 127.0.0.1
	whoami
}
`,
	},
	{
		what: "trusted resolvers, a lane that another block does without", shape: shape{in: insideFile, names: []string{"plex.home.example.org."}},
		text: `home.duckdns.org:PORT {
	bind 127.0.0.1
	overhear
	plex {
		trust_ecs 192.168.1.0/24 127.0.0.0/8
		BLOCK
	}
}
home.example.org:PORT {
	bind 127.0.0.1
	plex {
		BARE
		lane off
	}
}
`,
	},
}

// bare is a block of which everything is known at once.
const bare = `node plex1 127.0.1.1:1 at 192.168.1.11 fd00::11
		node plex2 127.0.2.1:1 at 192.168.1.12
		probe none
		internal 192.168.1.0/24 fd00::/64 127.0.0.0/8
		uplink wan 203.0.113.7 2001:db8::7
		state STATE
		status 127.0.0.1:0
`

// TestLaneAnswersAsCoreDNSDoes does with whole Corefiles what [TestLaneAnswersAsTheChainDoes] does with houses: what
// the plugins beside ours make of answers, and whose the names are, is the same in both.
func TestLaneAnswersAsCoreDNSDoes(t *testing.T) {
	for i, tt := range corefiles {
		t.Run(tt.what, func(t *testing.T) {
			dir := t.TempDir()
			block := bare + "answer nodes all\nzonefile internal " + filepath.Join(dir, file(t, dir, "in", tt.in...)) +
				"\nzonefile external " + filepath.Join(dir, file(t, dir, "out", append(slices.Clone(tt.out), "x A 192.0.2.1")...)) + "\n"
			text := strings.NewReplacer("BLOCK", block, "BARE", bare).Replace(tt.text)
			if tt.dnssec {
				_, base := newKey(t, zone)
				text = strings.ReplaceAll(text, "KEY", base)
			}
			c, w := overhear(t, text)
			e := tt.exempt(t)
			e.dnssec, e.origins = tt.dnssec, append(e.origins, tt.blocks...)
			e.cuts = append(e.cuts, tt.others...)
			all := tt.questions(t, rand.New(rand.NewPCG(uint64(i), 9))) //nolint:gosec // the same each time
			n := differ(t, c, w, e, all)
			t.Logf("the lane has answered %d of %d questions", n, len(all))
			if n < len(all)/10 {
				t.Errorf("the lane has answered %d of %d questions: too few to show anything", n, len(all))
			}
		})
	}
}

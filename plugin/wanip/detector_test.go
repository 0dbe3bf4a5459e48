package wanip_test

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/plugin/wanip"
	"plexha/zones"
)

func TestFirstAddress(t *testing.T) {
	inHouse(t, nil, func(h *house, d *wanip.Detector) {
		pass(4 * time.Second)
		if got := take(h, &h.told); got != nil {
			t.Errorf("after one round the board was told %q", got)
		}
		if got := d.Reports()[0].IPv4; got.Trouble != "" || len(got.Findings) != 8 {
			t.Errorf("after one round the report has %d findings and the trouble %q", len(got.Findings), got.Trouble)
		}
		pass(time.Second)
		if diff := cmp.Diff([]string{"5s wan [203.0.113.7]"}, take(h, &h.told)); diff != "" {
			t.Errorf("the board (-want +got):\n%s", diff)
		}
		want := []string{"info: uplink wan of home.duckdns.org: its IPv4 address is 203.0.113.7 " +
			"(cloudflare dot, opendns dot, opendns udp, google udp, akamai udp, ipify, amazon, router)"}
		if diff := cmp.Diff(want, take(h, &h.log)); diff != "" {
			t.Errorf("the log (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]time.Duration{5 * time.Second}, take(h, &h.news)); diff != "" {
			t.Errorf("news (-want +got):\n%s", diff)
		}
		if !d.Confirmed("wan", netip.MustParseAddr(home)) || d.Confirmed("wan", netip.MustParseAddr(moved)) {
			t.Error("what was found counts as confirmed, and nothing else does")
		}
	})
}

// Whoever shows the reports is told whenever they differ, be it in a time alone.
func TestReportsAreTold(t *testing.T) {
	inHouse(t, nil, func(h *house, d *wanip.Detector) {
		var before []wanip.Report
		for range 10 {
			pass(time.Minute)
			got := d.Reports()
			h.note(func() {
				if h.shown == 0 && !cmp.Equal(before, got, cmp.Exporter(func(reflect.Type) bool { return true })) {
					t.Error("the reports differ, and nobody is told")
				}
				h.shown = 0
			})
			before = got
		}
		h.tells(moved)
		pass(2 * time.Minute)
		h.note(func() {
			if h.shown == 0 {
				t.Error("the address is another one, and nobody is told")
			}
		})
	})
}

// Whatever the moment of the change, and whoever is asked then.
func TestHowSoonAChangeIsFound(t *testing.T) {
	for _, tc := range []struct {
		name string
		hint func(*house, *wanip.Detector)
		most time.Duration
	}{
		{"by the tick", func(*house, *wanip.Detector) {}, 65 * time.Second},
		{"by the kernel", func(h *house, _ *wanip.Detector) { h.events <- struct{}{} }, 7 * time.Second},
		{"by a trigger", func(_ *house, d *wanip.Detector) { d.Trigger() }, 5 * time.Second},
		{"by a clock that jumps", func(h *house, _ *wanip.Detector) { h.note(func() { h.ahead += time.Hour }) }, 10 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for phase := 10 * time.Minute; phase < 11*time.Minute; phase += 7 * time.Second {
				inHouse(t, nil, func(h *house, d *wanip.Detector) {
					pass(phase)
					take(h, &h.told)
					h.tells(moved)
					tc.hint(h, d)
					pass(tc.most)
					if got := take(h, &h.told); len(got) != 1 || !strings.HasSuffix(got[0], "wan ["+moved+"]") {
						t.Errorf("a change after %v: the board was told %q within %v", phase, got, tc.most)
					}
				})
			}
		})
	}
}

func TestWhatADayCosts(t *testing.T) {
	inHouse(t, func(h *house) {
		h.opts = h.opts.HostingIPv6("2001:db8::5")
		h.answers(func(_ string, f zones.Family) (string, error) {
			if f == zones.IPv6 {
				return "2001:db8::5", nil
			}
			return home, nil
		})
	}, func(h *house, _ *wanip.Detector) {
		pass(time.Hour)
		take(h, &h.asked)
		pass(24 * time.Hour)
		each := map[string]int{}
		for _, q := range take(h, &h.asked) {
			each[fmt.Sprintf("%s %s", q.source, q.family)]++
			each[q.family.String()]++
		}
		for _, f := range zones.Families() {
			if got := each[f.String()]; got < 24*60 || got > 24*68 {
				t.Errorf("%d questions a day over %s, want one a minute and one of each source an hour", got, f)
			}
			if got := each["router "+f.String()]; got > 24 {
				t.Errorf("the router was asked %d times a day over %s, want once an hour at most", got, f)
			}
			for _, s := range defaults[:7] {
				if got := each[s+" "+f.String()]; got < 200 || got > 260 {
					t.Errorf("%s was asked %d times a day over %s, want all in turn", s, got, f)
				}
			}
		}
	})
}

func TestJitter(t *testing.T) {
	gaps := map[time.Duration]int{}
	inHouse(t, func(h *house) {
		fresh := h.opts
		h.opts = wanip.Options{
			Config: fresh.Config, Board: fresh.Board, Sources: fresh.Sources,
		}.HostingIPv6("").Following(h.events)
	}, func(h *house, _ *wanip.Detector) {
		pass(30 * time.Minute)
		asked := take(h, &h.asked)
		last := asked[0].after
		for _, q := range asked {
			if q.after > time.Minute && q.after != last {
				gaps[(q.after-last).Round(time.Second)]++
			}
			last = q.after
		}
	})
	if len(gaps) < 3 {
		t.Errorf("gaps between looks: %v, want some spread", gaps)
	}
	for gap := range gaps {
		if gap < 54*time.Second || gap > 66*time.Second {
			t.Errorf("a gap of %v, want a minute and a tenth of it more or less", gap)
		}
	}
}

func TestLiarsAreNeverPublished(t *testing.T) {
	poisoned := map[string]string{"opendns udp": poison}
	redirected := map[string]string{"opendns udp": resolver, "google udp": resolver, "akamai udp": resolver}
	for _, tc := range []struct {
		name  string
		tells func(*house)
		log   []string
	}{
		{
			"one poisoned echo", func(h *house) { h.tells(home, poisoned) },
			[]string{"warning: uplink wan of home.duckdns.org: the sources disagree (203.0.113.7 by cloudflare dot, opendns dot, google udp, " +
				"akamai udp, ipify, amazon; 198.51.100.66 by opendns udp): 203.0.113.7 stays"},
		},
		{
			"port 53 is redirected", func(h *house) { h.tells(home, redirected) },
			[]string{"warning: uplink wan of home.duckdns.org: port 53 is redirected (opendns udp says 198.51.100.53, google udp says " +
				"198.51.100.53, akamai udp says 198.51.100.53, the Internet sees 203.0.113.7): let this host ask name servers outside, " +
				"or name only sources over dot, doh and https with `detect`"},
		},
		{"a captive portal", func(h *house) { h.tells("10.11.12.13") }, []string{
			"warning: uplink wan of home.duckdns.org: no source tells an IPv4 address since 2000-01-01T00:11:05Z: 203.0.113.7 stays (plexctl probe shows why)",
		}},
		{"the network is gone", func(h *house) { h.tells("") }, []string{
			"warning: uplink wan of home.duckdns.org: no source tells an IPv4 address since 2000-01-01T00:11:05Z: 203.0.113.7 stays (plexctl probe shows why)",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inHouse(t, nil, func(h *house, d *wanip.Detector) {
				pass(11 * time.Minute)
				take(h, &h.told)
				take(h, &h.log)
				tc.tells(h)
				pass(24 * time.Hour)
				if got := take(h, &h.told); got != nil {
					t.Errorf("the board was told %q", got)
				}
				if diff := cmp.Diff(tc.log, take(h, &h.log)); diff != "" {
					t.Errorf("the log of a day (-want +got):\n%s", diff)
				}
				if got := d.Reports()[0].IPv4.Trouble; !strings.HasSuffix(tc.log[0], got) || got == "" {
					t.Errorf("the report's trouble is %q", got)
				}
				h.tells(home)
				pass(2 * time.Hour)
				if got := take(h, &h.log); len(got) != 1 || !strings.HasPrefix(got[0], "info: ") {
					t.Errorf("when it is over, the log says %q", got)
				}
				if got := d.Reports()[0].IPv4.Trouble; got != "" {
					t.Errorf("when it is over, the report's trouble is %q", got)
				}
			})
		})
	}
}

// Where two uplinks share the load, chance makes all of plain DNS leave through the other one now and then.
func TestPort53IsNotCalledRedirectedForAMoment(t *testing.T) {
	inHouse(t, nil, func(h *house, d *wanip.Detector) {
		pass(10 * time.Minute)
		take(h, &h.log)
		h.tells(home, map[string]string{"opendns udp": moved, "google udp": moved, "akamai udp": moved})
		d.Trigger()
		pass(4 * time.Minute)
		if got := d.Reports()[0].IPv4.Trouble; !strings.HasPrefix(got, "port 53 is redirected") {
			t.Errorf("the report's trouble is %q", got)
		}
		h.tells(home)
		pass(2 * time.Hour)
		if got := take(h, &h.log); got != nil {
			t.Errorf("the log has %q", got)
		}
	})
}

// A liar costs no more than an honest source: it is asked once an hour.
func TestWhatALiarCosts(t *testing.T) {
	inHouse(t, func(h *house) { h.tells(home, map[string]string{"opendns udp": poison}) }, func(h *house, _ *wanip.Detector) {
		pass(time.Hour)
		take(h, &h.asked)
		pass(24 * time.Hour)
		if got := len(take(h, &h.asked)); got > 24*70 {
			t.Errorf("%d questions a day", got)
		}
	})
}

// Anybody in the house can answer for the router, and anybody on the way for plain DNS. A router with two uplinks
// may tell the one that is dead.
func TestAStaleVoiceThatAnybodyCanHave(t *testing.T) {
	for _, stale := range []string{"google udp", "router"} {
		t.Run(stale, func(t *testing.T) {
			inHouse(t, nil, func(h *house, _ *wanip.Detector) {
				pass(10 * time.Minute)
				take(h, &h.told)
				h.tells(moved, map[string]string{stale: home})
				pass(70 * time.Second)
				if got := take(h, &h.told); len(got) != 1 || !strings.HasSuffix(got[0], "wan ["+moved+"]") {
					t.Errorf("the board was told %q", got)
				}
			})
		})
	}
}

// A proxy on the way that remembers, or a file that nobody writes any more.
func TestAVoiceThatIsStale(t *testing.T) {
	inHouse(t, nil, func(h *house, _ *wanip.Detector) {
		pass(10 * time.Minute)
		take(h, &h.told)
		h.tells(moved, map[string]string{"ipify": home})
		pass(30 * time.Minute)
		if got := take(h, &h.told); got != nil {
			t.Errorf("within half an hour the board was told %q", got)
		}
		pass(10 * time.Minute)
		if got := take(h, &h.told); len(got) != 1 || !strings.HasSuffix(got[0], "wan ["+moved+"]") {
			t.Errorf("then the board was told %q", got)
		}
	})
}

func TestTheRouterIsAskedWhenTheOthersDoNotTellTheSame(t *testing.T) {
	inHouse(t, func(h *house) {
		h.opts.Sources = []wanip.Source{h.source("cloudflare dot"), h.source("router")}
	}, func(h *house, _ *wanip.Detector) {
		pass(10 * time.Minute)
		take(h, &h.told)
		h.tells(moved)
		pass(65 * time.Second)
		if got := take(h, &h.told); len(got) != 1 || !strings.HasSuffix(got[0], "wan ["+moved+"]") {
			t.Errorf("the board was told %q", got)
		}
	})
}

func TestTheOperatorsWordBesideOthersIsOneVoice(t *testing.T) {
	inHouse(t, func(h *house) {
		h.opts.Sources = []wanip.Source{h.source("ipify"), h.source("file")}
		h.tells(home, map[string]string{"ipify": ""})
	}, func(h *house, _ *wanip.Detector) {
		pass(time.Hour)
		if got := take(h, &h.told); got != nil {
			t.Errorf("the board was told %q by the file alone", got)
		}
	})
}

// Each connection leaves through either uplink, as chance has it. The router that does so has one of them.
func TestTwoUplinksBehindOneName(t *testing.T) {
	for _, router := range []string{home, ""} {
		t.Run("the router says "+router, func(t *testing.T) {
			inHouse(t, nil, func(h *house, _ *wanip.Detector) {
				pass(10 * time.Minute)
				take(h, &h.told)
				take(h, &h.log)
				h.answers(balanced(router))
				pass(24 * time.Hour)
				if got := take(h, &h.told); got != nil {
					t.Errorf("the board was told %q", got)
				}
				if got := take(h, &h.log); len(got) != 1 || !strings.Contains(got[0], "the sources disagree") {
					t.Errorf("the log of a day is %q, want the disagreement once", got)
				}
			})
		})
	}
}

// balanced is what sources tell when half of all connections leave through another uplink.
func balanced(router string) func(source string, f zones.Family) (string, error) {
	return func(source string, f zones.Family) (string, error) {
		switch {
		case f == zones.IPv6, source == "router" && router == "":
			return "", errUnreachable
		case source == "router":
			return router, nil
		case xxhash.Sum64String(source+time.Now().String())%2 == 0:
			return home, nil
		default:
			return moved, nil
		}
	}
}

func TestWhileThereIsNoNetwork(t *testing.T) {
	inHouse(t, func(h *house) { h.tells("") }, func(h *house, _ *wanip.Detector) {
		pass(200 * time.Second)
		want := []string{"0s: 8", "1s: 8", "3s: 8", "7s: 8", "15s: 8", "31s: 8", "1m3s: 8", "2m3s: 8", "3m3s: 8"}
		if diff := cmp.Diff(want, rounds(take(h, &h.asked))); diff != "" {
			t.Errorf("rounds (-want +got):\n%s", diff)
		}
		// Nothing is known, so that nobody outside gets an answer: that is told sooner than a long silence.
		log := []string{
			"warning: uplink wan of home.duckdns.org: no source tells an IPv4 address since 2000-01-01T00:00:00Z: " +
				"none is published (plexctl probe shows why)",
		}
		if diff := cmp.Diff(log, take(h, &h.log)); diff != "" {
			t.Errorf("the log (-want +got):\n%s", diff)
		}
		h.tells(home)
		h.events <- struct{}{}
		pass(7 * time.Second)
		if got := take(h, &h.told); !slices.Equal(got, []string{"3m27s wan [203.0.113.7]"}) {
			t.Errorf("7 s after the network came the board was told %q", got)
		}
	})
}

// A hint never makes a round later than it would have been.
func TestAHintWhileTheNetworkComesUp(t *testing.T) {
	inHouse(t, func(h *house) { h.tells("") }, func(h *house, d *wanip.Detector) {
		pass(500 * time.Millisecond)
		d.Trigger()
		pass(3 * time.Second)
		if diff := cmp.Diff([]string{"0s: 8", "1s: 8", "3s: 8"}, rounds(take(h, &h.asked))); diff != "" {
			t.Errorf("rounds (-want +got):\n%s", diff)
		}
	})
}

func TestIPv6IsAskedForFromTheAddressThatLasts(t *testing.T) {
	inHouse(t, func(h *house) {
		h.opts = h.opts.HostingIPv6("2001:db8::5")
		h.opts.Config.Cluster.Proxies = []zones.Proxy{{Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.168.1.5:443")}}}
		h.hosts = addrs("192.168.1.5")
		h.answers(func(_ string, f zones.Family) (string, error) {
			if f == zones.IPv4 {
				return "", errUnreachable
			}
			return "2001:db8::5", nil
		})
	}, func(h *house, d *wanip.Detector) {
		pass(10 * time.Minute)
		if diff := cmp.Diff([]string{"5s wan [2001:db8::5]"}, take(h, &h.told)); diff != "" {
			t.Errorf("the board (-want +got):\n%s", diff)
		}
		for _, q := range take(h, &h.asked) {
			if want := map[zones.Family]string{zones.IPv6: "2001:db8::5"}[q.family]; want != "" && q.path.Source.String() != want ||
				want == "" && q.path.Source.IsValid() {
				t.Fatalf("%s was asked over %s from %v", q.source, q.family, q.path.Source)
			}
		}
		if got := take(h, &h.log); len(got) != 1 {
			t.Errorf("the log has %q, want the address alone: an uplink without IPv4 is no trouble", got)
		}
	})
}

// It stays the same one while it is about as good as another.
func TestTheAddressThatLastsIsRemembered(t *testing.T) {
	var offered []string
	inHouse(t, func(h *house) {
		h.opts = h.opts.HostedBy(func(p via.Path) (netip.Addr, error) {
			offered = append(offered, p.Source.String())
			return netip.MustParseAddr("2001:db8::5"), nil
		})
	}, func(*house, *wanip.Detector) { pass(time.Second) })
	if diff := cmp.Diff([]string{"invalid IP", "2001:db8::5"}, offered); diff != "" {
		t.Errorf("what was kept, if it is still good (-want +got):\n%s", diff)
	}
}

func TestNobodyIsAskedForIPv6WithoutAnAddressOfOurOwn(t *testing.T) {
	inHouse(t, nil, func(h *house, _ *wanip.Detector) {
		pass(time.Hour)
		for _, q := range take(h, &h.asked) {
			if q.family == zones.IPv6 {
				t.Fatalf("%s was asked after %v", q.source, q.after)
			}
		}
	})
}

// A file needs no packet to tell the router's IPv6 address.
func TestTheOperatorsWordNeedsNoAddressOfOurOwn(t *testing.T) {
	inHouse(t, func(h *house) {
		h.opts.Sources = []wanip.Source{h.source("file")}
		h.opts.Config.Uplinks[0].Suffix, h.opts.Config.Uplinks[0].Bits = netip.MustParseAddr("::10"), 64
		h.answers(func(_ string, f zones.Family) (string, error) {
			if f == zones.IPv4 {
				return "", wanip.ErrNothing
			}
			return "2001:db8:0:1::1", nil
		})
	}, func(h *house, d *wanip.Detector) {
		pass(5 * time.Second)
		if diff := cmp.Diff([]string{"5s wan [2001:db8:0:1::10]"}, take(h, &h.told)); diff != "" {
			t.Errorf("the board (-want +got):\n%s", diff)
		}
		if !d.Confirmed("wan", netip.MustParseAddr("2001:db8:0:1::10")) {
			t.Error("the address made of the detected prefix and the suffix is not confirmed")
		}
	})
}

func TestNoAddressOfAHostThatIsNoProxy(t *testing.T) {
	inHouse(t, func(h *house) {
		h.opts = h.opts.HostingIPv6("2001:db8::5")
		h.answers(func(_ string, f zones.Family) (string, error) {
			if f == zones.IPv4 {
				return home, nil
			}
			return "2001:db8::5", nil
		})
	}, func(h *house, d *wanip.Detector) {
		pass(24 * time.Hour)
		if diff := cmp.Diff([]string{"5s wan [203.0.113.7]"}, take(h, &h.told)); diff != "" {
			t.Errorf("the board (-want +got):\n%s", diff)
		}
		var warnings []string
		for _, line := range take(h, &h.log) {
			if strings.HasPrefix(line, "warning: ") {
				warnings = append(warnings, line)
			}
		}
		if len(warnings) != 1 || !strings.Contains(warnings[0], "2001:db8::5 leads to this host") {
			t.Errorf("warnings %q, want one", warnings)
		}
		if got := d.Reports()[0].NoIPv6; !strings.HasPrefix(got, "no IPv6 address is published") {
			t.Errorf("the report says %q", got)
		}
		if d.Confirmed("wan", netip.MustParseAddr("2001:db8::5")) {
			t.Error("an address that is not published counts as confirmed")
		}
	})
}

func TestWhatIsNeverAskedFor(t *testing.T) {
	for _, tc := range []struct {
		name   string
		uplink zones.Uplink
		detect corefile.UplinkDetect
		want   string // the families that are asked for
	}{
		{"given addresses", zones.Uplink{Name: "wan", Addrs: addrs(home)}, corefile.UplinkDetect{}, ""},
		{"a given IPv6 address", zones.Uplink{Name: "wan", Auto: true, Addrs: addrs("2001:db8::1")}, corefile.UplinkDetect{}, "ipv4"},
		{"ipv6 off", zones.Uplink{Name: "wan", Auto: true}, corefile.UplinkDetect{NoIPv6: true}, "ipv4"},
		{"auto", zones.Uplink{Name: "wan", Auto: true}, corefile.UplinkDetect{}, "ipv4 ipv6"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inHouse(t, func(h *house) {
				h.opts = h.opts.HostingIPv6("2001:db8::5")
				h.opts.Config.Cluster.Uplinks = []zones.Uplink{tc.uplink}
				h.opts.Config.Uplinks = []corefile.UplinkDetect{tc.detect}
			}, func(h *house, d *wanip.Detector) {
				pass(time.Hour)
				var got []string
				for _, q := range take(h, &h.asked) {
					if f := q.family.String(); !slices.Contains(got, f) {
						got = append(got, f)
					}
				}
				slices.Sort(got)
				if strings.Join(got, " ") != tc.want {
					t.Errorf("asked for %q, want %q", got, tc.want)
				}
				for _, a := range tc.uplink.Addrs {
					if !d.Confirmed("wan", a) {
						t.Errorf("%s was given and does not count as confirmed", a)
					}
				}
			})
		})
	}
}

func TestEachUplinkHasItsOwnWayOut(t *testing.T) {
	inHouse(t, func(h *house) {
		eth1 := h.source("interface")
		eth1.Interface = "eth1"
		h.opts.Sources = []wanip.Source{h.source("ipify"), h.source("amazon"), eth1}
		h.opts.Config.Cluster.Uplinks = []zones.Uplink{{Name: "dsl", Auto: true}, {Name: "lte", Auto: true}}
		h.opts.Config.Uplinks = []corefile.UplinkDetect{{Name: "dsl", Via: "eth1"}, {Name: "lte", Via: "eth2"}}
	}, func(h *house, d *wanip.Detector) {
		pass(10 * time.Second)
		want := map[string]bool{"ipify by eth1": true, "amazon by eth1": true, "interface by eth1": true, "ipify by eth2": true, "amazon by eth2": true}
		got := map[string]bool{}
		for _, q := range take(h, &h.asked) {
			got[q.source+" by "+q.path.Interface] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
		var names []string
		for _, r := range d.Reports() {
			names = append(names, fmt.Sprintf("%s %v", r.Uplink, r.Published))
		}
		if diff := cmp.Diff([]string{"dsl [203.0.113.7]", "lte [203.0.113.7]"}, names); diff != "" {
			t.Errorf("reports (-want +got):\n%s", diff)
		}
	})
}

func TestAnInterfaceThatComesAndGoes(t *testing.T) {
	inHouse(t, nil, func(h *house, _ *wanip.Detector) {
		pass(10 * time.Minute)
		take(h, &h.asked)
		for range 600 {
			h.events <- struct{}{}
			pass(100 * time.Millisecond)
		}
		whole := 0
		for _, r := range rounds(take(h, &h.asked)) {
			if !strings.HasSuffix(r, ": 1") {
				whole++
			}
		}
		if whole < 3 || whole > 5 {
			t.Errorf("%d rounds of all in a minute of events, want one in 15 s", whole)
		}
	})
}

func TestAScriptThatTriggersAllTheTime(t *testing.T) {
	inHouse(t, nil, func(h *house, d *wanip.Detector) {
		pass(10 * time.Minute)
		take(h, &h.asked)
		for range 600 {
			d.Trigger()
			pass(100 * time.Millisecond)
		}
		if got := rounds(take(h, &h.asked)); len(got) < 11 || len(got) > 14 {
			t.Errorf("%d rounds in a minute, want one in 5 s: %q", len(got), got)
		} else if i := slices.IndexFunc(got, func(r string) bool { return !strings.HasSuffix(r, ": 7") }); i >= 0 {
			t.Errorf("round %q, want all but the router", got[i])
		}
	})
}

// The address of a proxy that others take over comes and goes.
func TestAProxyThatMoves(t *testing.T) {
	inHouse(t, func(h *house) {
		h.opts = h.opts.HostingIPv6("2001:db8::5")
		h.opts.Config.Cluster.Proxies = []zones.Proxy{{Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.168.1.2:443")}}}
		h.answers(func(_ string, f zones.Family) (string, error) {
			return map[zones.Family]string{zones.IPv4: home, zones.IPv6: "2001:db8::5"}[f], nil
		})
	}, func(h *house, d *wanip.Detector) {
		pass(time.Minute)
		take(h, &h.told)
		take(h, &h.log)
		for range 10 {
			h.note(func() { h.hosts = addrs("192.168.1.2") })
			pass(2 * time.Minute)
			h.note(func() { h.hosts = nil })
			pass(2 * time.Minute)
		}
		if got := take(h, &h.told); len(got) != 20 || !strings.HasSuffix(got[0], "wan [203.0.113.7 2001:db8::5]") ||
			!strings.HasSuffix(got[1], "wan [203.0.113.7]") {
			t.Errorf("the board was told %q", got)
		}
		if got := take(h, &h.log); got != nil {
			t.Errorf("within the hour the log tells again %q", got)
		}
	})
}

// The board keeps the last good addresses, and is not told of none.
func TestAProxyThatMovesAndTakesTheOnlyAddressAlong(t *testing.T) {
	inHouse(t, func(h *house) {
		h.opts = h.opts.HostingIPv6("2001:db8::5")
		h.opts.Config.Cluster.Proxies = []zones.Proxy{{Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.168.1.2:443")}}}
		h.hosts = addrs("192.168.1.2")
		h.answers(func(_ string, f zones.Family) (string, error) {
			if f == zones.IPv4 {
				return "", errUnreachable
			}
			return "2001:db8::5", nil
		})
	}, func(h *house, d *wanip.Detector) {
		pass(time.Minute)
		h.note(func() { h.hosts = nil })
		pass(2 * time.Minute)
		if diff := cmp.Diff([]string{"5s wan [2001:db8::5]"}, take(h, &h.told)); diff != "" {
			t.Errorf("the board (-want +got):\n%s", diff)
		}
		if got := d.Reports()[0].Published; len(got) > 0 {
			t.Errorf("published: %v", got)
		}
	})
}

func TestQuestionsAreBounded(t *testing.T) {
	var flying, most atomic.Int32
	inHouse(t, func(h *house) {
		h.opts.Sources = nil
		for i := range 40 {
			h.opts.Sources = append(h.opts.Sources, wanip.Source{
				Name: fmt.Sprint(i), Operator: fmt.Sprint(i),
				Ask: func(ctx context.Context, _ via.Path, _ zones.Family) (netip.Addr, error) {
					most.Store(max(most.Load(), flying.Add(1)))
					defer flying.Add(-1)
					<-ctx.Done()
					return netip.Addr{}, fmt.Errorf("asking: %w", ctx.Err())
				},
			})
		}
	}, func(h *house, d *wanip.Detector) {
		pass(15 * time.Second)
		if got := most.Load(); got != 16 {
			t.Errorf("%d questions were on their way at once, want 16", got)
		}
		f := d.Reports()[0].IPv4.Findings
		if len(f) != 40 {
			t.Fatalf("%d findings after three times the time that a question has, want 40", len(f))
		}
		if f[39].Err.Error() != "no answer within 5s" || f[39].Took != 5*time.Second {
			t.Errorf("one that never answers: %v after %v", f[39].Err, f[39].Took)
		}
	})
}

func TestASourceThatPanics(t *testing.T) {
	inHouse(t, func(h *house) {
		bad := h.source("ipify")
		bad.Ask = func(context.Context, via.Path, zones.Family) (netip.Addr, error) { panic("nil map") }
		h.opts.Sources = []wanip.Source{bad, h.source("amazon"), h.source("google udp")}
	}, func(h *house, d *wanip.Detector) {
		pass(5 * time.Second)
		if diff := cmp.Diff([]string{"5s wan [203.0.113.7]"}, take(h, &h.told)); diff != "" {
			t.Errorf("the board (-want +got):\n%s", diff)
		}
		if got := d.Reports()[0].IPv4.Findings[0].Err; got == nil || got.Error() != "source panicked: nil map" {
			t.Errorf("its finding: %v", got)
		}
	})
}

func TestObservations(t *testing.T) {
	inHouse(t, func(h *house) {
		h.opts.Sources = h.opts.Sources[:0]
		for _, s := range []string{"cloudflare dot", "ipify", "amazon", "google udp", "akamai udp", "interface", "command"} {
			h.opts.Sources = append(h.opts.Sources, h.source(s))
		}
		h.answers(func(source string, _ zones.Family) (string, error) {
			switch source {
			case "google udp":
				return poison, nil
			case "akamai udp":
				return "", errTimeout
			case "interface":
				return "192.168.1.5", nil
			case "command":
				return "", fmt.Errorf("running it: %w", wanip.ErrNothing)
			default:
				return home, nil
			}
		})
		h.opts.Config.Uplinks[0].NoIPv6 = true
	}, func(h *house, d *wanip.Detector) {
		pass(10 * time.Second)
		take(h, &h.seen)
		d.Trigger()
		synctest.Wait()
		got := map[string]string{}
		for _, o := range take(h, &h.seen) {
			got[fmt.Sprintf("%s %s of %s", o.Source, o.Family, o.Uplink)] = o.Result.String()
		}
		want := map[string]string{
			"cloudflare dot ipv4 of wan": "same", "ipify ipv4 of wan": "same", "amazon ipv4 of wan": "same",
			"google udp ipv4 of wan": "other", "akamai udp ipv4 of wan": "error", "interface ipv4 of wan": "refused",
			"command ipv4 of wan": "nothing",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
	})
}

package wanip_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
	"plexha/plugin/wanip"
	"plexha/zones"
)

const (
	home     = "203.0.113.7"   // what is known
	moved    = "203.0.113.99"  // what it has become
	resolver = "198.51.100.53" // the provider's resolver, which asks for us
	poison   = "198.51.100.66"
)

var began = time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)

// kinds are the sources of these tests, with what they are.
var kinds = map[string]wanip.Finding{
	"opendns udp":    {Operator: "opendns"},
	"opendns dot":    {Operator: "opendns", Secure: true},
	"cloudflare dot": {Operator: "cloudflare", Secure: true},
	"google udp":     {Operator: "google"},
	"akamai udp":     {Operator: "akamai"},
	"ipify":          {Operator: "ipify.org", Secure: true},
	"amazon":         {Operator: "amazonaws.com", Secure: true},
	"icanhazip":      {Operator: "cloudflare", Secure: true},
	"interface":      {Operator: "this host", Secure: true, Nature: wanip.Host},
	"router":         {Operator: "router", Nature: wanip.Router},
	"file":           {Operator: "this host's file", Secure: true, Nature: wanip.Word},
	"command":        {Operator: "this host's command", Secure: true, Nature: wanip.Word},
}

// plain and secure are the default set, without the router.
var (
	plain  = []string{"opendns udp", "google udp", "akamai udp"}
	secure = []string{"cloudflare dot", "opendns dot", "ipify", "amazon"}
)

// say makes the sources tell an address, as far as it is not refused.
func say(address string, sources ...string) []wanip.Finding {
	var out []wanip.Finding
	for _, s := range sources {
		f := kinds[s]
		f.Source, f.Addr = s, netip.MustParseAddr(address)
		f.Refused = wanip.Refuse(documented, f.Addr, zones.FamilyOf(f.Addr))
		out = append(out, f)
	}
	return out
}

// fail makes the sources tell nothing.
func fail(err error, sources ...string) []wanip.Finding {
	var out []wanip.Finding
	for _, s := range sources {
		f := kinds[s]
		f.Source, f.Err = s, err
		out = append(out, f)
	}
	return out
}

func all(findings ...[]wanip.Finding) []wanip.Finding {
	var out []wanip.Finding
	for _, f := range findings {
		out = append(out, f...)
	}
	return out
}

// documented allows the addresses for documentation as if they were anybody's, and names servers to ask.
var documented = &corefile.Config{
	Allow: []netip.Prefix{
		netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8::/32"),
	},
	Detect: []corefile.Source{{Kind: "opendns", Transport: "udp"}},
}

func knows(address string) wanip.Known {
	if address == "" {
		return wanip.Known{}
	}
	return wanip.Known{Addr: netip.MustParseAddr(address), Since: began.Add(-time.Hour)}
}

var errTimeout = errors.New("no answer within 5s")

// round is one round of all sources, and what must follow: the action and the address known then.
type round struct {
	after time.Duration // since the one before
	said  []wanip.Finding
	want  string
}

func TestWhoIsBelieved(t *testing.T) {
	const second = 5 * time.Second
	for _, tc := range []struct {
		name   string
		known  string
		alone  bool
		rounds []round
	}{
		{"one voice is enough for an unchanged address", home, false, []round{
			{0, all(say(home, "google udp"), fail(errTimeout, secure...)), "keep " + home},
		}},
		{"a new address takes two operators, one of them over TLS, in two rounds", home, false, []round{
			{0, say(moved, "google udp", "ipify"), "ask again " + home},
			{second, say(moved, "google udp", "ipify"), "adopt " + moved},
		}},
		{"so does the first one", "", false, []round{
			{0, say(home, "google udp", "ipify"), "ask again none"},
			{second, say(home, "google udp", "ipify"), "adopt " + home},
		}},
		{"two rounds are 5 s apart, whatever wakes us in between", home, false, []round{
			{0, say(moved, secure...), "ask again " + home},
			{second - time.Nanosecond, say(moved, secure...), "ask again " + home},
			{time.Nanosecond, say(moved, secure...), "adopt " + moved},
		}},
		{"the second round must tell the same", home, false, []round{
			{0, say(moved, secure...), "ask again " + home},
			{second, say(poison, secure...), "ask again " + home},
			{second, say(moved, secure...), "ask again " + home},
		}},
		{"one operator is not enough, however many sources it has", home, false, []round{
			{0, say(moved, "cloudflare dot", "icanhazip"), "keep " + home},
			{second, say(moved, "cloudflare dot", "icanhazip"), "keep " + home},
		}},
		{"nor are all that can be falsified on the way", home, false, []round{
			{0, say(moved, plain...), "keep " + home},
			{second, say(moved, plain...), "keep " + home},
		}},
		{"one operator over TLS and the router", home, false, []round{
			{0, say(moved, "cloudflare dot", "router"), "ask again " + home},
			{second, say(moved, "cloudflare dot", "router"), "adopt " + moved},
		}},
		{"one operator and this host's own interface", home, false, []round{
			{0, say(moved, "cloudflare dot", "interface"), "ask again " + home},
			{second, say(moved, "cloudflare dot", "interface"), "adopt " + moved},
		}},
		{"the router alone is not believed", home, false, []round{
			{0, say(moved, "router"), "keep " + home}, {second, say(moved, "router"), "keep " + home},
		}},
		{"one lying source changes nothing", home, false, []round{
			{0, all(say(poison, "opendns udp"), say(home, secure[2:]...)), "keep " + home},
			{time.Hour, all(say(poison, "opendns udp"), say(home, secure[2:]...)), "keep " + home},
		}},
		{"a lying source over TLS changes nothing either", home, false, []round{
			{0, all(say(poison, "ipify"), say(home, "amazon", "cloudflare dot")), "keep " + home},
			{time.Hour, all(say(poison, "ipify"), say(home, "amazon", "cloudflare dot")), "keep " + home},
		}},
		{"nor does it keep a new address out", home, false, []round{
			{0, all(say(poison, "opendns udp"), say(moved, secure[2:]...)), "ask again " + home},
			{second, all(say(poison, "opendns udp"), say(moved, secure[2:]...)), "adopt " + moved},
		}},
		{"all plain DNS tells the resolver's address, TLS the right one: unchanged", home, false, []round{
			{0, all(say(resolver, plain...), say(home, secure...)), "keep " + home},
		}},
		{"all plain DNS tells the resolver's address, TLS the right one: changed", home, false, []round{
			{0, all(say(resolver, plain...), say(moved, secure...)), "ask again " + home},
			{second, all(say(resolver, plain...), say(moved, secure...)), "adopt " + moved},
		}},
		{"all plain DNS tells the resolver's address, and TLS is blocked", home, false, []round{
			{0, all(say(resolver, plain...), fail(errTimeout, secure...)), "keep " + home},
			{time.Hour, all(say(resolver, plain...), fail(errTimeout, secure...)), "keep " + home},
		}},
		{"an operator that contradicts itself has no voice", home, false, []round{
			{0, say(poison, "opendns udp", "google udp"), "keep " + home},
			{0, all(say(poison, "opendns udp", "ipify"), say(moved, "opendns dot")), "keep " + home},
		}},
		{"a captive portal answers nobody's question", home, false, []round{
			{0, all(fail(errors.New("answers 302"), "ipify", "amazon"), say("192.168.44.1", plain...)), "keep " + home},
		}},
		{"half and half: what is known stays", home, false, []round{
			{0, all(say(moved, "ipify", "google udp"), say(poison, "amazon", "akamai udp")), "keep " + home},
			{second, all(say(moved, "ipify", "google udp"), say(poison, "amazon", "akamai udp")), "keep " + home},
		}},
		{"half and half, with nothing known: none", "", false, []round{
			{0, all(say(moved, "ipify", "google udp"), say(poison, "amazon", "akamai udp")), "keep none"},
		}},
		{"nobody tells anything: what is known stays, for good", home, false, []round{
			{0, fail(errTimeout, secure...), "keep " + home},
			{1000 * time.Hour, fail(errTimeout, secure...), "keep " + home},
			{0, nil, "keep " + home},
		}},
		{"addresses that cannot be it are no voices", home, false, []round{
			{0, say("10.0.0.1", secure...), "keep " + home},
			{second, say("100.64.0.1", secure...), "keep " + home},
			{0, say("208.67.222.222", secure...), "keep " + home},
			{second, say("208.67.222.222", secure...), "keep " + home},
		}},
		{"two uplinks behind one name: while somebody over TLS tells the known one, it takes half an hour without a defeat", home, false, []round{
			{0, all(say(moved, secure[:3]...), say(home, "amazon")), "keep " + home},
			{second, all(say(moved, secure[:3]...), say(home, "amazon")), "keep " + home},
			{20 * time.Minute, all(say(moved, "ipify"), say(home, "amazon", "cloudflare dot")), "keep " + home},
			{time.Second, all(say(moved, secure[:3]...), say(home, "amazon")), "keep " + home},
			{30*time.Minute - time.Second, all(say(moved, secure[:3]...), say(home, "amazon")), "keep " + home},
			{time.Second, all(say(moved, secure[:3]...), say(home, "amazon")), "adopt " + moved},
		}},
		{"nor do two rounds count of which one was contested", home, false, []round{
			{0, all(say(moved, secure[:3]...), say(home, "amazon")), "keep " + home},
			{time.Minute, say(moved, secure...), "ask again " + home},
			{second, say(moved, secure...), "adopt " + moved},
		}},
		{"plain DNS and the router, for which anybody can answer, hold nothing back", home, false, []round{
			{0, all(say(moved, secure...), say(home, "google udp", "akamai udp", "router")), "ask again " + home},
			{second, all(say(moved, secure...), say(home, "google udp", "akamai udp", "router")), "adopt " + moved},
		}},
		{"an address that has lost twice within two hours must be told for half an hour", home, false, []round{
			{0, say(moved, secure...), "ask again " + home},
			{second, say(home, secure...), "keep " + home},
			{time.Minute, say(moved, secure...), "ask again " + home},
			{second, say(home, secure...), "keep " + home},
			{time.Minute, say(moved, secure...), "keep " + home},
			{30*time.Minute - time.Second, say(moved, secure...), "keep " + home},
			{time.Second, say(moved, secure...), "adopt " + moved},
		}},
		{"what was lost longer ago is forgotten", home, false, []round{
			{0, say(moved, secure...), "ask again " + home},
			{second, say(home, secure...), "keep " + home},
			{time.Minute, say(moved, secure...), "ask again " + home},
			{second, say(home, secure...), "keep " + home},
			{2 * time.Hour, say(moved, secure...), "ask again " + home},
			{second, say(moved, secure...), "adopt " + moved},
		}},
		{"one that has lost once is nothing to waver about", home, false, []round{
			{0, say(moved, secure...), "ask again " + home},
			{second, say(home, secure...), "keep " + home},
			{time.Minute, say(moved, secure...), "ask again " + home},
			{second, say(moved, secure...), "adopt " + moved},
		}},
		{"the operator's own word alone is enough, in two rounds all the same", home, true, []round{
			{0, say(moved, "file"), "ask again " + home}, {second, say(moved, "file"), "adopt " + moved},
		}},
		{"two words of the operator that differ are none", home, true, []round{
			{0, all(say(moved, "file"), say(poison, "command")), "keep " + home},
			{second, all(say(moved, "file"), say(poison, "command")), "keep " + home},
		}},
		{"beside others it is one voice", home, false, []round{
			{0, say(moved, "file"), "keep " + home}, {second, say(moved, "file"), "keep " + home},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := wanip.NewMemory(knows(tc.known))
			now := began
			for i, r := range tc.rounds {
				now = now.Add(r.after)
				got := m.Judge(r.said, tc.alone, now) + " " + strings.Replace(m.Known().Addr.String(), "invalid IP", "none", 1)
				if got != r.want {
					t.Errorf("round %d: %q, want %q", i+1, got, r.want)
				}
			}
		})
	}
}

func TestOneSourceAlone(t *testing.T) {
	for _, tc := range []struct {
		name  string
		known string
		said  []wanip.Finding
		want  string
	}{
		{"the same is enough", home, say(home, "opendns udp"), "keep"},
		{"another address is not", home, say(moved, "cloudflare dot"), "ask all"},
		{"nor is an error", home, fail(errTimeout, "cloudflare dot"), "ask all"},
		{"nor an address that cannot be it", home, say("10.0.0.1", "cloudflare dot"), "ask all"},
		{"nor anything while none is known", "", fail(errTimeout, "cloudflare dot"), "ask all"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := wanip.NewMemory(knows(tc.known))
			if got := m.Hear(tc.said[0], began); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
			if got, want := m.Known().Confirmed.Equal(began), tc.want == "keep"; got != want {
				t.Errorf("confirmed: %v, want %v", got, want)
			}
		})
	}
}

func TestWhatIsKnownOfAnAddress(t *testing.T) {
	m := wanip.NewMemory(knows(home))
	m.Judge(say(moved, "ipify", "google udp"), false, began)
	m.Judge(say(moved, "ipify", "amazon"), false, began.Add(5*time.Second))
	want := wanip.Known{
		Addr: netip.MustParseAddr(moved), Since: began.Add(5 * time.Second), Confirmed: began.Add(5 * time.Second),
		By: []string{"ipify", "amazon"},
	}
	if diff := cmp.Diff(want, m.Known(), cmp.Comparer(sameAddr)); diff != "" {
		t.Errorf("after it was adopted (-want +got):\n%s", diff)
	}
	m.Judge(fail(errTimeout, secure...), false, began.Add(time.Hour))
	if diff := cmp.Diff(want, m.Known(), cmp.Comparer(sameAddr)); diff != "" {
		t.Errorf("after silence (-want +got):\n%s", diff)
	}
	want.Confirmed, want.By = began.Add(2*time.Hour), []string{"cloudflare dot"}
	m.Judge(all(say(moved, "cloudflare dot"), say(poison, "google udp")), false, began.Add(2*time.Hour))
	if diff := cmp.Diff(want, m.Known(), cmp.Comparer(sameAddr)); diff != "" {
		t.Errorf("after it was told again (-want +got):\n%s", diff)
	}
}

func sameAddr(a, b netip.Addr) bool { return a == b }

func TestAgreement(t *testing.T) {
	for _, tc := range []struct {
		name string
		said []wanip.Finding
		want bool
	}{
		{"all say the same", say(home, secure...), true},
		{"nobody says anything", fail(errTimeout, secure...), true},
		{"an address that cannot be it contradicts nobody", all(say(home, secure...), say("192.168.1.2", "interface")), true},
		{"one says something else", all(say(home, secure...), say(poison, "google udp")), false},
		{"an operator contradicts itself", all(say(home, "opendns dot"), say(poison, "opendns udp")), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := wanip.NewMemory(knows(home))
			m.Judge(tc.said, false, began)
			if got := m.Agree(); got != tc.want {
				t.Errorf("agree: %v, want %v", got, tc.want)
			}
		})
	}
}

func TestWhatCannotBeTheAddress(t *testing.T) {
	for _, tc := range []struct {
		address string
		family  zones.Family
		want    string // a part of the reason
	}{
		{home, zones.IPv4, ""},
		{"2001:db8::7", zones.IPv6, ""},
		{home, zones.IPv6, "203.0.113.7 is no address of ipv6"},
		{"2001:db8::7", zones.IPv4, "2001:db8::7 is no address of ipv4"},
		{"192.168.1.1", zones.IPv4, "RFC 1918"},
		{"100.64.0.1", zones.IPv4, "RFC 6598"},
		{"208.67.222.222", zones.IPv4, "208.67.222.222 is a server's that is asked"},
	} {
		t.Run(fmt.Sprintf("%s as %s", tc.address, tc.family), func(t *testing.T) {
			got := wanip.Refuse(documented, netip.MustParseAddr(tc.address), tc.family)
			if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("%q, want %q in it", got, tc.want)
			}
		})
	}
}

// FuzzJudge has sources say whatever they like, round after round.
func FuzzJudge(f *testing.F) {
	f.Add([]byte("\x00\x11\x22\x33\x44\x00\x05\x11\x11\x11\x11\x11\x11\x05"), false)
	f.Add([]byte{}, true)
	addresses := []string{"", home, moved, poison, "10.0.0.1"}
	f.Fuzz(func(t *testing.T, script []byte, alone bool) {
		m, now := wanip.NewMemory(knows(home)), began
		var told []netip.Addr // what had a quorum in the last round
		for len(script) > len(defaults) {
			var said []wanip.Finding
			for i, s := range defaults {
				if a := addresses[int(script[i])%len(addresses)]; a != "" {
					said = append(said, say(a, s)...)
				}
			}
			now = now.Add(time.Duration(script[len(defaults)]) * time.Second)
			script = script[len(defaults)+1:]
			before := m.Known().Addr
			act := m.Judge(said, alone, now)
			after := m.Known().Addr
			if (after != before) != (act == "adopt") {
				t.Fatalf("%s, and %s became %s", act, before, after)
			}
			quorums := quorum(said, alone)
			if after != before && (!slices.Contains(quorums, after) || !slices.Contains(told, after)) {
				t.Fatalf("%s became %s by %+v", before, after, said)
			}
			told = quorums
		}
	})
}

// quorum returns the addresses that two operators tell, one of them over TLS.
func quorum(said []wanip.Finding, alone bool) []netip.Addr {
	var out []netip.Addr
	for _, f := range said {
		two := slices.ContainsFunc(said, func(o wanip.Finding) bool {
			return o.Addr == f.Addr && o.Operator != f.Operator && (o.Secure || f.Secure)
		})
		if f.Refused == "" && (alone || two) {
			out = append(out, f.Addr)
		}
	}
	return out
}

package external_test

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"plexha/cmd/internal/external"
	"plexha/corefile/lint"
	"plexha/plugin/duckdns"
	"plexha/plugin/status"
	"plexha/plugin/wanip"
	"plexha/zones"
	"plexha/zones/board"
	"plexha/zones/timeline"
)

// plexdns is one that runs with the house's state folder. It does at once what it is asked.
type plexdns struct {
	mu       sync.Mutex
	external wanip.Report
	duck     duckdns.Report
	push     func(r *duckdns.Report) // what comes of a push
	detected int
	pushed   int
}

func (d *plexdns) Zone() string { return "home.duckdns.org." }

func (d *plexdns) Snapshot() *zones.Snapshot {
	return &zones.Snapshot{
		Cluster: &zones.Cluster{Origins: []string{d.Zone()}},
		Uplinks: []zones.UplinkHealth{{Uplink: zones.Uplink{Name: "wan", Auto: true}}},
	}
}

func (d *plexdns) External() []wanip.Report {
	d.mu.Lock()
	defer d.mu.Unlock()
	return []wanip.Report{d.external}
}

func (d *plexdns) DuckDNS() *duckdns.Report {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.duck
	return &r
}

func (d *plexdns) Detect() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.detected++
	d.external.At = time.Now()
}

func (d *plexdns) Push() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pushed++
	d.push(&d.duck)
	d.duck.At = time.Now()
}

func (*plexdns) Answers() []status.Answer     { return nil }
func (*plexdns) Timeline() *timeline.Timeline { return new(timeline.Timeline) }
func (*plexdns) Stalled() []zones.Subject     { return nil }
func (*plexdns) Findings() []lint.Finding     { return nil }
func (*plexdns) Order(board.OrderLine) error  { return nil }
func (*plexdns) Subscribe() (<-chan struct{}, func()) {
	return make(chan struct{}), func() {}
}

// start has a plexdns run, of which nothing is known yet.
func (h *house) start(t *testing.T, push func(r *duckdns.Report)) *plexdns {
	t.Helper()
	d := &plexdns{external: wanip.Report{Uplink: "wan"}, duck: duckdns.Report{Name: "home.duckdns.org", IPv6: duckdns.FamilyReport{Off: true}}, push: push}
	var s status.Servers
	fail := func(msg string) { t.Error(msg) }
	leave, err := s.Open(status.Options{Dir: h.dir, Info: func(string) {}, Warn: fail}, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(leave)
	return d
}

// TestOnceByPlexdns: where one runs, it alone writes the record.
func TestOnceByPlexdns(t *testing.T) {
	noon := time.Date(2126, 11, 22, 12, 0, 0, 0, time.Local) //nolint:gosmopolitan // as it is shown
	for _, tc := range []struct {
		name  string
		push  func(r *duckdns.Report)
		words []string
		wrong string
	}{
		{
			"pushed", func(r *duckdns.Report) {
				r.IPv4 = duckdns.FamilyReport{
					Wanted: truth, Published: truth, PublishedAt: noon, Changed: true,
					Verified: noon.Add(5 * time.Second), By: 2, Of: 3, NextPush: noon.Add(24 * time.Hour), Why: "refresh",
				}
			},
			[]string{
				"a plexdns runs here, and is asked to do it\n",
				"ipv4: DuckDNS took 203.0.113.7 at 2126-11-22 12:00:00 (UPDATED); at 2126-11-22 12:00:05 2 of 3 name servers showed it\n",
			},
			"",
		},
		{
			"pushed before, not seen yet", func(r *duckdns.Report) {
				r.IPv4 = duckdns.FamilyReport{Wanted: truth, Published: truth, PublishedAt: noon, Verified: noon.Add(-time.Hour)}
			},
			[]string{"ipv4: DuckDNS took 203.0.113.7 at 2126-11-22 12:00:00 (NOCHANGE)\n"},
			"",
		},
		{
			"too soon after the last one", func(r *duckdns.Report) {
				r.IPv4 = duckdns.FamilyReport{Wanted: truth, Published: lie, NextPush: noon, Why: "change"}
			},
			[]string{"ipv4: 203.0.113.7 will be pushed at 2126-11-22 12:00:00\n"},
			"",
		},
		{
			"it fails", func(r *duckdns.Report) {
				r.IPv4 = duckdns.FamilyReport{Wanted: truth, Error: "DuckDNS answers 502 Bad Gateway", NextPush: noon}
			},
			nil, "ipv4: DuckDNS answers 502 Bad Gateway: 203.0.113.7 will be pushed at 2126-11-22 12:00:00",
		},
		{"no token", func(r *duckdns.Report) { r.Token = "there is no token" }, nil, "there is no token"},
		{
			"no address", func(*duckdns.Report) {},
			[]string{"ipv4: nothing to push: no address that can be believed is known\n"},
			"home.duckdns.org: no external address is known: see plexctl probe",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHouse(t)
			d := h.start(t, tc.push)
			out, err := h.says("duckdns once")
			want(t, out, err, tc.words, tc.wrong)
			if d.detected != 1 || d.pushed != 1 || len(h.duck.Calls()) > 0 {
				t.Errorf("%d rounds and %d pushes were asked for, and DuckDNS was called %d times; want 1, 1 and 0",
					d.detected, d.pushed, len(h.duck.Calls()))
			}
		})
	}
}

// TestDryRunBesidePlexdns changes nothing there either.
func TestDryRunBesidePlexdns(t *testing.T) {
	h := newHouse(t)
	d := h.start(t, func(*duckdns.Report) {})
	out, err := h.says("duckdns once", "-n")
	want(t, out, err, []string{"ipv4: would send GET"}, "")
	if d.detected+d.pushed > 0 {
		t.Error("it has plexdns do something")
	}
}

// TestClearBesidePlexdns says that it will not last.
func TestClearBesidePlexdns(t *testing.T) {
	h := newHouse(t)
	h.start(t, func(*duckdns.Report) {})
	out, err := h.says("duckdns clear", "-yes")
	want(t, out, err, []string{"a plexdns runs here, which will push again"}, "")
}

// TestPlexdnsOfAnotherCorefile is not asked about a zone that it does not have.
func TestPlexdnsOfAnotherCorefile(t *testing.T) {
	h := newHouse(t)
	h.start(t, func(*duckdns.Report) {})
	conf := h.config()
	h.file("Corefile", "den.duckdns.org {\nplex {\nnode plex1 127.0.0.1\nuplink wan 203.0.113.7\nduckdns den token "+
		duckToken+"\nstate "+conf.State.Dir+"\n}\n}\n")
	_, err := h.says("duckdns once")
	want(t, "", err, nil, "the plexdns that runs here does not serve den.duckdns.org: give the Corefile that it reads with -conf FILE")
}

// TestOnceWaitsForARound that was asked for, and for the second one that another address takes.
func TestOnceWaitsForARound(t *testing.T) {
	before, since := time.Unix(99, 0), time.Unix(101, 0)
	says := func(known netip.Addr, findings ...wanip.Finding) wanip.FamilyReport {
		return wanip.FamilyReport{Known: wanip.Known{Addr: known}, Findings: findings}
	}
	tells := func(a netip.Addr) wanip.Finding { return wanip.Finding{Addr: a} }
	for _, tc := range []struct {
		name   string
		report wanip.Report
		want   bool
	}{
		{"not asked again yet", wanip.Report{At: before, IPv4: says(truth, tells(truth))}, false},
		{"the address is the same", wanip.Report{At: since, IPv4: says(truth, tells(truth))}, true},
		{"somebody contradicts", wanip.Report{At: since, IPv4: says(truth, tells(lie), tells(truth))}, true},
		{"another address", wanip.Report{At: since, IPv4: says(lie, tells(truth), tells(truth))}, false},
		{"the first address", wanip.Report{At: since, IPv4: says(netip.Addr{}, tells(truth))}, false},
		{"of the other family", wanip.Report{At: since, IPv6: says(netip.Addr{}, tells(netip.MustParseAddr("2001:db8::7")))}, false},
		{"nobody tells one", wanip.Report{At: since, IPv4: says(truth, wanip.Finding{Err: errors.New("no answer")})}, true},
		{"what is told is refused", wanip.Report{At: since, IPv4: says(truth, wanip.Finding{Addr: lie, Refused: "it lies"})}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := external.Settled(status.RenderExternal(&tc.report), time.Unix(100, 0)); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

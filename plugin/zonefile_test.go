package plugin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	plex "plexha/plugin"
	"plexha/zones"
	"plexha/zones/board"
)

func TestZoneFiles(t *testing.T) {
	dir := t.TempDir()
	in := file(t, dir, "in",
		"$TTL 1h",
		"printer      A     192.168.1.9", // relative
		"nas.home.duckdns.org. 60 A 192.168.1.10",
		"tv           CNAME plex",
		"_ldap._tcp   SRV   0 5 389 nas",
		`plex         TXT   "movies and more"`,
		`@            TXT   "hello"`,
		"@            MX    10 mail",
		`@            CAA   0 issue "letsencrypt.org"`,
		"*.lab        A     192.168.1.99",
		"Mixed.Case   A     192.168.1.98",
	)
	out := file(t, dir, "out", "www CNAME host.example.net.", "@ A 198.51.100.80", "mail A 198.51.100.25")
	h := newHouseAt(t, dir, nil, with(oneProxy, "zonefile internal "+in, "zonefile external "+out)...)
	tests := []struct {
		question        string
		inside, outside string
	}{
		{"printer.home.duckdns.org. A", "192.168.1.9", "nxdomain"},
		{"printer.home.duckdns.org. AAAA", "nodata", "nxdomain"},
		{"nas.home.duckdns.org. A", "192.168.1.10", "nxdomain"},
		{"_ldap._tcp.home.duckdns.org. SRV", "SRV 0 5 389 nas.home.duckdns.org.", "nxdomain"},
		{"_tcp.home.duckdns.org. A", "nodata", "nxdomain"}, // an empty non-terminal
		{"plex.home.duckdns.org. TXT", `TXT "movies and more"`, "nodata"},
		{"home.duckdns.org. TXT", `TXT "hello"`, "nodata"},
		{"home.duckdns.org. MX", "MX 10 mail.home.duckdns.org.", "nodata"},
		{"home.duckdns.org. CAA", `CAA 0 issue "letsencrypt.org"`, "nodata"},
		{"a.lab.home.duckdns.org. A", "192.168.1.99", "nxdomain"},
		{"mixed.case.home.duckdns.org. A", "192.168.1.98", "nxdomain"},
		{"www.home.duckdns.org. CNAME", "nxdomain", "CNAME host.example.net."},
		{"mail.home.duckdns.org. A", "nxdomain", "198.51.100.25"},
		// Beside MX, TXT and CAA of the file the apex keeps our addresses; A or AAAA of the file replace them.
		{"home.duckdns.org. A", "192.168.1.2", "198.51.100.80"},
		{"home.duckdns.org. AAAA", "nodata", "nodata"},
		{"plex.home.duckdns.org. A", "192.168.1.2", "203.0.113.7"},
		// A chain within the zone comes as a whole.
		{"tv.home.duckdns.org. A", "CNAME plex.home.duckdns.org., 192.168.1.2", "nxdomain"},
		{"tv.home.duckdns.org. CNAME", "CNAME plex.home.duckdns.org.", "nxdomain"},
	}
	for _, tt := range tests {
		if got := h.ask(inside, tt.question); got != tt.inside {
			t.Errorf("%s inside: got %s, want %s", tt.question, got, tt.inside)
		}
		if got := h.ask(outside, tt.question); got != tt.outside {
			t.Errorf("%s outside: got %s, want %s", tt.question, got, tt.outside)
		}
	}
	for q, want := range map[string]uint32{"printer.home.duckdns.org. A": 3600, "nas.home.duckdns.org. A": 60} {
		if got := h.send(inside, question(t, q)).Answer[0].Header().Ttl; got != want {
			t.Errorf("%s: TTL %d, want %d", q, got, want)
		}
	}
	if got := h.send(outside, question(t, "mail.home.duckdns.org. A")).Answer[0].Header().Ttl; got != 300 {
		t.Errorf("TTL without $TTL: %d, want 300", got)
	}
}

func TestCNAMEWithoutTheAskedTypeBringsTheSOA(t *testing.T) {
	dir := t.TempDir()
	zonefile := file(t, dir, "zone", "tv CNAME plex")
	h := newHouseAt(t, dir, nil, with(oneProxy, "zonefile internal "+zonefile)...)
	m := h.send(inside, question(t, "tv.home.duckdns.org. MX"))
	if got := words(m); got != "CNAME plex.home.duckdns.org." {
		t.Errorf("got %s", got)
	}
	if len(m.Ns) != 1 || m.Ns[0].Header().Rrtype != dns.TypeSOA {
		t.Errorf("the authority section holds %v, want the SOA (RFC 2308, 2.2)", m.Ns)
	}
}

func TestDelegationInAZoneFile(t *testing.T) {
	dir := t.TempDir()
	zonefile := file(t, dir, "zone", "sub NS ns.sub", "ns.sub A 192.168.1.53")
	h := newHouseAt(t, dir, nil, with(oneProxy, "wildcard", "zonefile internal "+zonefile)...)
	m := h.send(inside, question(t, "x.sub.home.duckdns.org. A"))
	if words(m) != "referral" || m.Authoritative || len(m.Extra) != 1 {
		t.Errorf("got %v, want a referral with glue and without AA", m)
	}
}

func TestOneZoneFileForSeveralZones(t *testing.T) {
	dir := t.TempDir()
	zonefile := file(t, dir, "zone",
		"nas A 192.168.1.10", "only.home.example.org. A 192.168.1.11", "x.sub A 192.168.1.12")
	h := newHouseAt(t, dir, nil, with(oneProxy,
		"keys home.duckdns.org home.example.org sub.home.duckdns.org", "zonefile internal "+zonefile)...)
	for question, want := range map[string]string{
		"nas.home.duckdns.org. A":       "192.168.1.10",
		"nas.home.example.org. A":       "192.168.1.10",
		"only.home.example.org. A":      "192.168.1.11",
		"only.home.duckdns.org. A":      "nxdomain",
		"x.sub.home.example.org. A":     "192.168.1.12",
		"x.sub.home.duckdns.org. A":     "nxdomain", // lies in the third zone, which reads x.sub below itself
		"x.sub.sub.home.duckdns.org. A": "192.168.1.12",
	} {
		if got := h.ask(inside, question); got != want {
			t.Errorf("%s: got %s, want %s", question, got, want)
		}
	}
}

func TestSeveralZoneFilesOfOneView(t *testing.T) {
	dir := t.TempDir()
	one, two := file(t, dir, "one", "nas A 192.168.1.10"), file(t, dir, "two", "nas A 192.168.1.11", "nas A 192.168.1.10")
	h := newHouseAt(t, dir, nil, with(oneProxy, "zonefile internal "+one, "zonefile internal "+two)...)
	if got, want := sorted(h.ask(inside, "nas.home.duckdns.org. A")), "192.168.1.10, 192.168.1.11"; got != want {
		t.Errorf("got %s, want %s: the same record once", got, want)
	}
}

// stillOf returns what newHouse would, or why it cannot.
func stillOf(t *testing.T, dir string, lines ...string) error {
	t.Helper()
	cfg := parse(t, zone, lines...)
	_, err := plex.Still(cfg, dir, board.New(board.Config{Cluster: &cfg.Cluster, Rise: 1, Fall: 1}, began), nil)
	return err
}

func TestZoneFileRefusals(t *testing.T) {
	const signed = "signed zones cannot be mixed in: use the dnssec plugin"
	tests := []struct {
		what  string
		lines []string // of the file
		extra []string // properties
		want  string   // what the message must say; a bar divides its parts
	}{
		{"SOA", []string{"@ SOA ns1 host 1 2 3 4 5"}, nil, "home.duckdns.org. SOA|made by the plugin: leave it out"},
		{"NS at the apex", []string{"@ NS ns1.example."}, nil, "home.duckdns.org. NS|`ns` lines"},
		{"CNAME at the apex", []string{"@ CNAME example.net."}, nil, "home.duckdns.org. CNAME|may have A, AAAA, CAA, MX and TXT"},
		{"HTTPS at the apex", []string{"@ HTTPS 1 . alpn=h2"}, nil, "home.duckdns.org. HTTPS|may have A, AAAA, CAA, MX and TXT"},
		{"A at the main host", []string{"plex A 192.168.1.9"}, nil, "plex.home.duckdns.org. A|may add TXT alone"},
		{"in other letters", []string{"PLEX.Home.DuckDNS.org. A 192.168.1.9"}, nil, "plex.home.duckdns.org. A|may add TXT alone"},
		{"CNAME at a node", []string{"plex2 CNAME nas"}, nil, "plex2.home.duckdns.org. CNAME|may add TXT alone"},
		{"NS at a node", []string{"plex2 NS nas"}, nil, "plex2.home.duckdns.org. NS|may add TXT alone"},
		{"A at the name server", []string{"ns1 A 192.168.1.9"}, nil, "ns1.home.duckdns.org. A|may add TXT alone"},
		{"A at a status name", []string{"_status.plex1 A 192.168.1.9"}, nil, "_status.plex1.home.duckdns.org. A|may add TXT alone"},
		{"A at the wildcard", []string{"* A 192.168.1.9"}, []string{"wildcard"}, "*.home.duckdns.org. A|may add TXT alone"},
		{"another zone's name", []string{"nas.example.org. A 192.168.1.9"}, nil, "nas.example.org. is not in home.duckdns.org."},
		{"$INCLUDE", []string{"$INCLUDE other"}, nil, "$INCLUDE directive not allowed|line: 1"},
		{"nonsense", []string{"nas A 192.168.1.9", "nas A 192.168.1.999"}, nil, "bad A A|192.168.1.999|line: 2"},
		{"another class", []string{"nas CH TXT hello"}, nil, "nas.home.duckdns.org. TXT|class CH"},
		{"DNSKEY", []string{"@ DNSKEY 257 3 13 aaaa"}, nil, "home.duckdns.org. DNSKEY|" + signed},
		{"NSEC3PARAM", []string{"@ NSEC3PARAM 1 0 0 -"}, nil, "home.duckdns.org. NSEC3PARAM|" + signed},
		{"CNAME and A", []string{"nas CNAME x", "nas A 192.168.1.9"}, nil, "nas.home.duckdns.org. has a CNAME and other records"},
		{"CNAME and TXT", []string{"nas TXT hello", "nas CNAME x"}, nil, "nas.home.duckdns.org. has a CNAME and other records"},
		{"two CNAMEs", []string{"nas CNAME x", "nas CNAME y"}, nil, "nas.home.duckdns.org. has 2 CNAME records"},
		{"two DNAMEs", []string{"nas DNAME x", "nas DNAME y"}, nil, "nas.home.duckdns.org. has 2 DNAME records"},
		{"a ring of CNAMEs", []string{"a CNAME b", "b CNAME A"}, nil, "a.home.duckdns.org. is a CNAME that leads back to itself"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			dir := t.TempDir()
			name := file(t, dir, "zone", tt.lines...)
			for _, view := range []zones.View{zones.Internal, zones.External} {
				err := stillOf(t, dir, with(oneProxy, with(tt.extra, "zonefile "+view.String()+" "+name)...)...)
				if err == nil {
					t.Fatalf("%s: no error", view)
				}
				for part := range strings.SplitSeq("the "+view.String()+" zone file|"+tt.want, "|") {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%s: got %q, want %q in it", view, err, part)
					}
				}
			}
		})
	}
}

func TestZoneFileThatIsMissing(t *testing.T) {
	err := stillOf(t, t.TempDir(), with(oneProxy, "zonefile internal none")...)
	if err == nil || !strings.Contains(err.Error(), "none: no such file") {
		t.Errorf("got %v", err)
	}
}

func TestZoneFileByAbsolutePath(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, file(t, dir, "zone", "nas A 192.168.1.9"))
	h := newHouseAt(t, "/nowhere", nil, with(oneProxy, "zonefile internal "+name)...)
	if got := h.ask(inside, "nas.home.duckdns.org. A"); got != "192.168.1.9" {
		t.Errorf("got %s", got)
	}
}

func TestBadZoneFileKeepsTheOldOne(t *testing.T) {
	dir := t.TempDir()
	name := file(t, dir, "zone", "nas A 192.168.1.9")
	h := newHouseAt(t, dir, nil, with(oneProxy, "zonefile internal "+name)...)
	const q = "nas.home.duckdns.org. A"
	file(t, dir, "zone", "nas A 192.168.1.10", "plex A 192.168.1.10")
	if err := h.ReadZoneFiles(); err == nil {
		t.Error("a record at a managed name is no error")
	}
	h.show()
	if got := h.ask(inside, q); got != "192.168.1.9" {
		t.Errorf("with a bad file: got %s, want what was there before", got)
	}
	if err := os.Remove(filepath.Join(dir, "zone")); err != nil {
		t.Fatal(err)
	}
	if err := h.ReadZoneFiles(); err == nil {
		t.Error("a missing file is no error")
	}
	h.show()
	if got := h.ask(inside, q); got != "192.168.1.9" {
		t.Errorf("without the file: got %s, want what was there before", got)
	}
	file(t, dir, "zone", "nas A 192.168.1.11")
	if err := h.ReadZoneFiles(); err != nil {
		t.Error(err)
	}
	h.show()
	if got := h.ask(inside, q); got != "192.168.1.11" {
		t.Errorf("with a good file: got %s", got)
	}
}

// TestFoundNodeTakesItsNameOver from a zone file, which could not know of it.
func TestFoundNodeTakesItsNameOver(t *testing.T) {
	dir := t.TempDir()
	name := file(t, dir, "zone", "server1 A 192.168.1.9", `server1 TXT "hello"`, "server2 CNAME nas.example.")
	h := newHouseAt(t, dir, nil, "nodes server tasks.plex", "internal 192.168.1.0/24", "uplink wan 203.0.113.7",
		"zonefile internal "+name)
	if got := h.ask(inside, "server1.home.duckdns.org. A"); got != "192.168.1.9" {
		t.Errorf("before the node is found: got %s", got)
	}
	h.board.SetFound("server", []zones.Node{
		{Name: "server1", Host: "192.168.1.21", Port: 32400, Weight: 1, Group: "server"},
		{Name: "server2", Host: "192.168.1.22", Port: 32400, Weight: 1, Group: "server"},
	}, began)
	h.show()
	for question, want := range map[string]string{
		"server1.home.duckdns.org. A":   "192.168.1.21",
		"server1.home.duckdns.org. TXT": `TXT "hello"`,
		"server2.home.duckdns.org. A":   "192.168.1.22",
	} {
		if got := h.ask(inside, question); got != want {
			t.Errorf("%s: got %s, want %s", question, got, want)
		}
	}
}

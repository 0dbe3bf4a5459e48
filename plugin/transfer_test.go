package plugin_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/coredns/coredns/plugin/transfer"
	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// transferred takes a zone as the transfer plugin does, each record as text.
func (h *house) transferred(origin string, serial uint32) []string {
	h.t.Helper()
	ch, err := h.Transfer(origin, serial)
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for rrs := range ch {
		for _, rr := range rrs {
			out = append(out, rr.Header().Name+" "+dns.TypeToString[rr.Header().Rrtype])
		}
	}
	return out
}

func TestTransferGivesTheExternalView(t *testing.T) {
	dir := t.TempDir()
	in, out := file(t, dir, "in", "printer A 192.168.1.9"), file(t, dir, "out", "www A 198.51.100.80", "@ MX 10 www")
	h := newHouseAt(t, dir, nil, with(oneProxy, "wildcard", "zonefile internal "+in, "zonefile external "+out)...)
	got := h.transferred(zone, 0)
	if len(got) < 3 || got[0] != zone+" SOA" || got[len(got)-1] != zone+" SOA" {
		t.Fatalf("got %q, want the SOA first and last", got)
	}
	got = got[1 : len(got)-1]
	slices.Sort(got)
	want := []string{
		"*.home.duckdns.org. A", "*.ns1.home.duckdns.org. A", "*.plex.home.duckdns.org. A",
		"*.plex1.home.duckdns.org. A", "*.plex2.home.duckdns.org. A",
		"home.duckdns.org. A", "home.duckdns.org. MX", "home.duckdns.org. NS",
		"ns1.home.duckdns.org. A", "plex.home.duckdns.org. A", "plex1.home.duckdns.org. A", "plex2.home.duckdns.org. A",
		"www.home.duckdns.org. A",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestTransferByTheSecondarysSerial(t *testing.T) {
	h := newHouse(t, oneProxy...)
	ours := h.serial(outside)
	tests := []struct {
		what   string
		serial uint32
		whole  bool
	}{
		{"AXFR", 0, true},
		{"IXFR from an older serial", ours - 1, true},
		{"IXFR from a much older serial", ours - 1<<30, true},
		{"IXFR from ours", ours, false},
		{"IXFR from a newer one", ours + 1, false},
		{"IXFR from a newer one beyond the wrap", ours + 1<<30, false},
	}
	for _, tt := range tests {
		got := h.transferred(zone, tt.serial)
		if whole := len(got) > 1; whole != tt.whole {
			t.Errorf("%s: got %d records, want the whole zone: %t", tt.what, len(got), tt.whole)
		}
		if got[0] != zone+" SOA" {
			t.Errorf("%s: begins with %s", tt.what, got[0])
		}
	}
}

func TestTransferIsForTheExactZone(t *testing.T) {
	h := newHouse(t, oneProxy...)
	for _, name := range []string{"plex.home.duckdns.org.", "duckdns.org.", "evilhome.duckdns.org.", "example.org.", "."} {
		if _, err := h.Transfer(name, 0); !errors.Is(err, transfer.ErrNotAuthoritative) {
			t.Errorf("%s: got %v, want ErrNotAuthoritative, so that other plugins are tried", name, err)
		}
	}
}

// TestTransferFailsWithoutAddress, so that secondaries keep what they have.
func TestTransferFailsWithoutAddress(t *testing.T) {
	h := newHouse(t, "node plex1 192.168.1.11", "internal 192.168.1.0/24", "ns ns1 203.0.113.7")
	for _, serial := range []uint32{0, 1} {
		if _, err := h.Transfer(zone, serial); err == nil || errors.Is(err, transfer.ErrNotAuthoritative) {
			t.Errorf("serial %d: got %v, want an error", serial, err)
		}
	}
}

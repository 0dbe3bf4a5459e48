package plugin_test

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"plexha/zones"
	"plexha/zones/board"
)

// serial returns the SOA's in the view of a client.
func (h *house) serial(from string) uint32 {
	h.t.Helper()
	return h.send(from, question(h.t, zone+" SOA")).Answer[0].(*dns.SOA).Serial
}

// TestSerials: a view's serial is the time of its last change, and nothing raises it but a change of that
// view's records.
func TestSerials(t *testing.T) {
	dir := t.TempDir()
	out := file(t, dir, "out", "www A 198.51.100.80")
	h := newHouseAt(t, dir, nil,
		"node plex1 192.168.1.11", "node plex2 192.168.1.12", "answer nodes first", "internal 192.168.1.0/24",
		"uplink fibre 203.0.113.7 probe tcp 192.0.2.1:1", "uplink cable 203.0.113.8 probe tcp 192.0.2.2:1",
		"zonefile external "+out)
	rewrite := func(line string) {
		file(t, dir, "out", line)
		if err := h.ReadZoneFiles(); err != nil {
			t.Fatal(err)
		}
		h.show()
	}
	steps := []struct {
		what          string
		do            func()
		raisesInside  bool
		raisesOutside bool
	}{
		{what: "nothing happened", do: h.show},
		{what: "a TTL outside has dropped", do: func() { h.says("cable", board.Failed) }},
		{what: "a TTL outside is back", do: func() { h.says("cable", board.OK) }},
		{what: "the second node is dead, which _status tells", do: func() { h.kill("plex2") }, raisesInside: true},
		{what: "an uplink is dead", do: func() { h.kill("cable") }, raisesOutside: true},
		{what: "a zone file has changed", do: func() { rewrite("www A 198.51.100.81") }, raisesOutside: true},
		{what: "its TTL has changed", do: func() { rewrite("www 77 A 198.51.100.81") }},
		{what: "its letter case has changed", do: func() { rewrite("WWW 77 A 198.51.100.81") }},
	}
	want := map[string]uint32{inside: h.serial(inside), outside: h.serial(outside)}
	for i, s := range steps {
		h.now = began.Add(time.Duration(i+1) * time.Hour)
		unix := uint32(h.now.Unix()) //nolint:gosec // a date of this century
		s.do()
		if s.raisesInside {
			want[inside] = unix
		}
		if s.raisesOutside {
			want[outside] = unix
		}
		for from, want := range want {
			if got := h.serial(from); got != want {
				t.Errorf("%s: the serial for %s is %d, want %d", s.what, from, got, want)
			}
		}
	}
}

func TestSerialIsOneForAllVariants(t *testing.T) {
	h := newHouse(t, twoNodes...)
	first := h.serial("192.168.1.1")
	for _, from := range []string{"192.168.1.2", "192.168.1.3", "192.168.1.4", "192.168.1.5", "192.168.1.6"} {
		if got := h.serial(from); got != first {
			t.Errorf("%s gets serial %d, another client %d", from, got, first)
		}
	}
}

// TestSerialTellsAddressesApart: another address in the place of one is a change, in both families.
func TestSerialTellsAddressesApart(t *testing.T) {
	h := newHouse(t, "node plex1 192.168.1.11", "internal 192.168.1.0/24", "uplink wan auto")
	wan := zones.Subject{Kind: zones.KindUplink, Name: "wan"}
	last := h.serial(outside)
	for _, addr := range []string{"203.0.113.7", "203.0.113.8", "2001:db8::7", "2001:db8::8"} {
		h.now = h.now.Add(time.Hour)
		h.board.SetAddrs(wan, addrs(addr), began)
		h.publish()
		if got := h.serial(outside); got != uint32(h.now.Unix()) { //nolint:gosec // a date of this century
			t.Errorf("with the address %s the serial is %d, as with the one before: %t; want %d", addr, got, got == last, h.now.Unix())
		}
		last = h.serial(outside)
	}
}

package board_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/zones"
	"plexha/zones/board"
)

var eight = time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)

func TestParseOrders(t *testing.T) {
	for _, tc := range []struct {
		name string
		file string
		want []board.OrderLine
	}{
		{"nothing", "", nil},
		{"comments and empty lines", "# plex1 down\n\n   \n  # and so on\n", nil},
		{"up", "plex1 up", []board.OrderLine{{Name: "plex1", Order: zones.OrderUp}}},
		{"drain", "plex1 drain\n", []board.OrderLine{{Name: "plex1", Order: zones.OrderDrain}}},
		{"down", "plex1\tdown\r\n", []board.OrderLine{{Name: "plex1", Order: zones.OrderDown}}},
		{
			"with an end and words",
			"plex1 drain 2026-11-22T20:00Z # new disk",
			[]board.OrderLine{{Name: "plex1", Order: zones.OrderDrain, Until: eight, Why: "new disk"}},
		},
		{
			"with seconds",
			"plex1 up 2026-11-22T20:00:00Z",
			[]board.OrderLine{{Name: "plex1", Order: zones.OrderUp, Until: eight}},
		},
		{
			"in another time zone",
			"plex1 up 2026-11-22T21:00+01:00",
			[]board.OrderLine{{Name: "plex1", Order: zones.OrderUp, Until: eight}},
		},
		{"words without a space", "plex1 up#x#y", []board.OrderLine{{Name: "plex1", Order: zones.OrderUp, Why: "x#y"}}},
		{"capitals", "Plex1 up\n[FD12::1]:443 down", []board.OrderLine{
			{Name: "plex1", Order: zones.OrderUp}, {Name: "[fd12::1]:443", Order: zones.OrderDown},
		}},
		{"of several the last", "plex1 up\nplex2 up\nPLEX1 down", []board.OrderLine{
			{Name: "plex2", Order: zones.OrderUp}, {Name: "plex1", Order: zones.OrderDown},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := board.ParseOrders(strings.NewReader(tc.file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("orders (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseOrdersSaysWhatIsWrong(t *testing.T) {
	const shape = ": want NAME up|drain|down [UNTIL] [# WHY]"
	for _, tc := range []struct{ name, file, want string }{
		{"a name alone", "# first\nplex1", `line 2: reading "plex1"` + shape},
		{
			"too many words",
			"plex1 up 2026-11-22T20:00Z new disk", `line 1: reading "plex1 up 2026-11-22T20:00Z new disk"` + shape,
		},
		{"an order that there is not", "\n\nplex1 drian", `line 3: unknown order "drian": want up, drain or down`},
		{"no order", "plex1 none", `line 1: unknown order "none": want up, drain or down`},
		{"no time", "plex1 up tomorrow", `line 1: reading the end "tomorrow": want a time such as 2026-11-22T20:00Z`},
		{
			"a time without zone",
			"plex1 up 2026-11-22T20:00", `line 1: reading the end "2026-11-22T20:00": want a time such as 2026-11-22T20:00Z`,
		},
		{
			"the time that stands for never",
			"plex1 up 0001-01-01T00:00Z", `line 1: reading the end "0001-01-01T00:00Z": want a time such as 2026-11-22T20:00Z`,
		},
		{"a line without end", "plex1 up #" + strings.Repeat("x", 100_000), "reading orders: bufio.Scanner: token too long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := board.ParseOrders(strings.NewReader(tc.file))
			if err == nil || err.Error() != tc.want {
				t.Errorf("error %v\nwant  %s", err, tc.want)
			}
			if got != nil {
				t.Errorf("orders %v with an error, want none", got)
			}
		})
	}
	broken := errors.New("disk is gone")
	if _, err := board.ParseOrders(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

func TestOrderLineString(t *testing.T) {
	for want, o := range map[string]board.OrderLine{
		"plex1 up": {Name: "plex1", Order: zones.OrderUp},
		"plex1 drain 2026-11-22T20:00:00Z # new disk": {
			Name: "plex1", Order: zones.OrderDrain, Why: "new disk",
			Until: eight.In(time.FixedZone("", 3600)),
		},
		"plex1 down # one line alone": {Name: "plex1", Order: zones.OrderDown, Why: "one line\nalone"},
	} {
		if got := o.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// What is read can be written, and reads the same again.
func FuzzParseOrders(f *testing.F) {
	f.Add("plex1 drain 2026-11-22T20:00Z # new disk\n")
	f.Add("# all of it\n192.168.1.1:443 down\n\nwan up 2026-11-22T20:00:00.5+01:00#x\r\n")
	f.Add("plex1 up 0000-01-01T00:00+23:59\nplex1 down 9999-12-31T23:59-23:59")
	f.Fuzz(func(t *testing.T, file string) {
		orders, err := board.ParseOrders(strings.NewReader(file))
		if err != nil {
			return
		}
		var lines strings.Builder
		for _, o := range orders {
			lines.WriteString(o.String() + "\n")
		}
		again, err := board.ParseOrders(strings.NewReader(lines.String()))
		if err != nil {
			t.Fatalf("%q was read and written as %q: %v", file, lines.String(), err)
		}
		if diff := cmp.Diff(orders, again); diff != "" {
			t.Errorf("%q was read and written as %q (-first +again):\n%s", file, lines.String(), diff)
		}
	})
}

// orders returns the orders in a snapshot, by subject.
func (s *scene) orders() map[string]string {
	out := map[string]string{}
	for id, h := range s.Snapshot().Subjects {
		if h.Order != zones.NoOrder {
			out[id.String()] = h.Order.String()
		}
	}
	return out
}

func TestWhomAnOrderMeans(t *testing.T) {
	cfg := house(
		node("plex1", "10.0.0.1"), node("wan", "10.0.0.2"),
		proxy("192.168.1.1:443", "[fd12::1]:443"), proxy("192.168.1.2:443"), proxy("192.168.1.2:8443"),
		uplink("wan", "", "203.0.113.1"), uplink("lte", "", "198.51.100.1"),
	)
	for _, tc := range []struct {
		name    string
		lines   []string
		want    map[string]string
		unknown []string
	}{
		{"a node", []string{"plex1 down"}, map[string]string{"node plex1": "down"}, nil},
		{"an uplink", []string{"lte down"}, map[string]string{"uplink lte": "down"}, nil},
		{"a name of both is the node's", []string{"wan up"}, map[string]string{"node wan": "up"}, nil},
		{
			"a proxy's address and port",
			[]string{"192.168.1.2:8443 drain"},
			map[string]string{"proxy 192.168.1.2:8443": "drain"},
			nil,
		},
		{"a proxy's address", []string{"192.168.1.1 drain"}, map[string]string{"proxy 192.168.1.1:443": "drain"}, nil},
		{"its other address", []string{"FD12:0::1 drain"}, map[string]string{"proxy 192.168.1.1:443": "drain"}, nil},
		{
			"its other address in brackets",
			[]string{"[fd12::1] drain"},
			map[string]string{"proxy 192.168.1.1:443": "drain"},
			nil,
		},
		{
			"its other address and port",
			[]string{"[fd12::1]:443 drain"},
			map[string]string{"proxy 192.168.1.1:443": "drain"},
			nil,
		},
		{"an address that two have", []string{"192.168.1.2 drain"}, map[string]string{}, []string{"192.168.1.2"}},
		{
			"nobody",
			[]string{"plex9 up", "192.168.1.9 up", "plex1 up"},
			map[string]string{"node plex1": "up"},
			[]string{"plex9", "192.168.1.9"},
		},
		{
			"one proxy in two words: the last",
			[]string{"192.168.1.1:443 drain", "192.168.1.1 up"},
			map[string]string{"proxy 192.168.1.1:443": "up"},
			nil,
		},
		{
			"one proxy in two words: the last that has not ended",
			[]string{"192.168.1.1:443 drain", "192.168.1.1 up 1999-01-01T00:00Z"},
			map[string]string{"proxy 192.168.1.1:443": "drain"},
			nil,
		},
		{"nobody, and ended", []string{"plex9 up 1999-01-01T00:00Z"}, map[string]string{}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			play(t, cfg, func(s *scene) {
				unknown := s.order(tc.lines...)
				if diff := cmp.Diff(tc.want, s.orders()); diff != "" {
					s.Errorf("orders (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tc.unknown, unknown); diff != "" {
					s.Errorf("unknown (-want +got):\n%s", diff)
				}
				for _, line := range tc.lines {
					name, _, _ := strings.Cut(line, " ")
					subject, ok := board.Named(s.Snapshot(), name)
					ordered := s.orders()[subject.String()] != ""
					if strings.HasSuffix(line, "1999-01-01T00:00Z") {
						continue // nobody says whom it meant
					}
					if meant := !slices.Contains(tc.unknown, name); ok != meant || ok && !ordered {
						s.Errorf("%s means %s (%t) in the snapshot, and %t on the board", name, subject, ok, meant)
					}
				}
			})
		})
	}
}

// The real state goes on being tracked beside the order.
func TestOrdersKeepTheRealState(t *testing.T) {
	play(t, house(nodes(1)), func(s *scene) {
		s.ok("plex1")
		s.published()
		s.order("plex1 down # new disk")
		s.is("plex1 up")
		s.down("plex1")
		s.is("plex1 down")
		if h := s.Snapshot().Nodes[0].Health; h.Order != zones.OrderDown || h.OrderWhy != "new disk" || !h.OrderUntil.IsZero() {
			s.Errorf("order %s until %v for %q, want down for new disk", h.Order, h.OrderUntil, h.OrderWhy)
		}
		s.order()
		if diff := cmp.Diff(map[string]string{}, s.orders()); diff != "" {
			s.Errorf("orders after they were taken back (-want +got):\n%s", diff)
		}
		s.is("plex1 down")
	})
}

func TestOrdersEndWhenTheyShould(t *testing.T) {
	play(t, house(nodes(2)), func(s *scene) {
		in := func(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339) }
		s.order("plex1 drain "+in(10*time.Minute), "plex2 down "+in(20*time.Minute))
		s.wait(10*time.Minute - time.Millisecond)
		if diff := cmp.Diff(map[string]string{"node plex1": "drain", "node plex2": "down"}, s.orders()); diff != "" {
			s.Errorf("just before the end (-want +got):\n%s", diff)
		}
		s.ok("plex1") // waits to be published with what else comes
		seq := s.Snapshot().Seq
		s.wait(time.Millisecond)
		if diff := cmp.Diff(map[string]string{"node plex2": "down"}, s.orders()); diff != "" {
			s.Errorf("at the end (-want +got):\n%s", diff)
		}
		s.is("plex1 up")
		s.wait(time.Minute)
		if got := s.Snapshot().Seq; got != seq+1 {
			s.Errorf("snapshot %d, want %d", got, seq+1)
		}
		s.wait(10 * time.Minute)
		if diff := cmp.Diff(map[string]string{}, s.orders()); diff != "" {
			s.Errorf("after both (-want +got):\n%s", diff)
		}
	})
}

// An order ends with its time even in a snapshot that is made for another reason.
func TestNoSnapshotShowsAnOrderThatHasEnded(t *testing.T) {
	b := board.New(house(nodes(1)), eight)
	b.SetOrders([]board.OrderLine{{Name: "plex1", Order: zones.OrderDown, Until: eight.Add(time.Minute)}}, eight)
	b.FirstRoundDone(eight.Add(time.Minute))
	if got := b.Snapshot().Nodes[0].Order; got != zones.NoOrder {
		t.Errorf("order %s, want none", got)
	}
}

func TestTheSameOrdersMakeNoSnapshot(t *testing.T) {
	play(t, house(nodes(1)), func(s *scene) {
		s.order("plex1 drain 2126-11-22T20:00Z # new disk")
		seq := s.Snapshot().Seq
		s.order("plex1 drain 2126-11-22T20:00Z # new disk", "", "# read again")
		if got := s.published().Seq; got != seq {
			s.Errorf("snapshot %d, want %d still", got, seq)
		}
	})
}

// An order may wait for a node that is yet to be found.
func TestOrdersFollowFoundNodes(t *testing.T) {
	play(t, house(groups("plex")), func(s *scene) {
		if diff := cmp.Diff([]string{"plex1"}, s.order("plex1 down")); diff != "" {
			s.Errorf("unknown (-want +got):\n%s", diff)
		}
		s.SetFound("plex", found("plex1 10.1.0.1"), time.Now())
		if diff := cmp.Diff(map[string]string{"node plex1": "down"}, s.orders()); diff != "" {
			s.Errorf("orders (-want +got):\n%s", diff)
		}
	})
}

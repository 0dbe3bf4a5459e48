package state_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"plexha/corefile/state"
	"plexha/zones"
	"plexha/zones/board"
)

var eight = time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)

// members is a cluster of plex1 to plex9, two proxies at one address, a third at another, and an uplink.
func members() *zones.Snapshot {
	c := &zones.Cluster{Origins: []string{"home.duckdns.org."}, Main: "plex", Uplinks: []zones.Uplink{{Name: "wan"}}}
	for i := range 9 {
		c.Nodes = append(c.Nodes, zones.Node{Name: zones.NodeName(fmt.Sprint("plex", i+1)), Host: "192.0.2.1"})
	}
	for _, at := range []string{"192.168.1.2:443", "192.168.1.3:443", "192.168.1.3:8443"} {
		c.Proxies = append(c.Proxies, zones.Proxy{Addrs: []netip.AddrPort{netip.MustParseAddrPort(at)}})
	}
	return board.New(board.Config{Cluster: c, Rise: 2, Fall: 2}, eight).Snapshot()
}

// ordersIn returns an orders file with a text, in a folder of its own.
func ordersIn(t *testing.T, text string) *state.Orders {
	t.Helper()
	o := &state.Orders{File: state.File(t.TempDir(), "home.duckdns.org.", "orders"), Groups: []string{"found"}}
	if text != "" {
		if err := os.WriteFile(o.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func content(t *testing.T, o *state.Orders) string {
	t.Helper()
	text, err := os.ReadFile(o.File)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

func TestSet(t *testing.T) {
	drain := board.OrderLine{Name: "plex1", Order: zones.OrderDrain}
	none := func(name string) board.OrderLine { return board.OrderLine{Name: name} }
	for _, tc := range []struct {
		name   string
		before string
		line   board.OrderLine
		after  string
	}{
		{"the first order", "", drain, "plex1 drain\n"},
		{
			"with an end and a reason", "",
			board.OrderLine{Name: "PLEX1", Order: zones.OrderDown, Until: eight.Add(time.Hour), Why: "new disk"},
			"plex1 down 2026-11-22T21:00:00Z # new disk\n",
		},
		{
			"an end within a second is that second's", "",
			board.OrderLine{Name: "plex1", Order: zones.OrderUp, Until: eight.Add(time.Nanosecond)},
			"plex1 up 2026-11-22T20:00:01Z\n",
		},
		{
			"a reason in several lines", "",
			board.OrderLine{Name: "plex1", Order: zones.OrderUp, Why: " new\ndisk\x1b[31m \xff# two"},
			"plex1 up # new disk [31m ?# two\n",
		},
		{
			"others stay as they are", "# mine\n\nplex2 down   # old # disk\r\n  # and more", drain,
			"# mine\n\nplex2 down   # old # disk\r\n  # and more\nplex1 drain\n",
		},
		{"in the place of the one before", "plex1 down # old\n# end\n", drain, "plex1 drain\n# end\n"},
		{"of several in the place of the last", "PLEX1 up\nplex2 up\nplex1 down\nplex3 up\n", drain, "plex2 up\nplex1 drain\nplex3 up\n"},
		{"in the place of a last line without end", "plex2 up\nplex1 down", drain, "plex2 up\nplex1 drain\n"},
		{
			"a proxy by another name",
			"192.168.1.2 down\nplex1 up\n",
			board.OrderLine{Name: "192.168.1.2:443", Order: zones.OrderDrain},
			"192.168.1.2:443 drain\nplex1 up\n",
		},
		{
			"a node that may be found yet", "found2 up\n",
			board.OrderLine{Name: "found12", Order: zones.OrderDrain},
			"found2 up\nfound12 drain\n",
		},
		{"the same again", "plex1 drain # \n", board.OrderLine{Name: "plex1", Order: zones.OrderDrain}, "plex1 drain\n"},
		{"taken back", "# mine\nplex1 drain # disk\nplex2 up\nplex1 up", none("plex1"), "# mine\nplex2 up\n"},
		{"taken back by another name", "192.168.1.2:443 drain\n", none("192.168.1.2"), ""},
		{"nothing to take back", "plex2 up", none("plex1"), "plex2 up"},
		{"taken back of one who is gone", "plex77 up\n", none("plex77"), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := ordersIn(t, tc.before)
			if err := o.Set(tc.line, members(), eight); err != nil {
				t.Fatal(err)
			}
			if got := content(t, o); got != tc.after {
				t.Errorf("got:\n%s\nwant:\n%s", got, tc.after)
			}
		})
	}
}

func TestOrdersThatCannotBeGiven(t *testing.T) {
	for _, tc := range []struct {
		name string
		line board.OrderLine
		want string
	}{
		{
			"to nobody",
			board.OrderLine{Name: "plex10", Order: zones.OrderUp},
			`there is no node, proxy or uplink "plex10": want one of plex1 plex2 plex3 plex4 plex5 plex6 plex7 plex8 plex9 ` +
				`192.168.1.2:443 192.168.1.3:443 192.168.1.3:8443 wan found1 found2...`,
		},
		{"to an address that two have", board.OrderLine{Name: "192.168.1.3", Order: zones.OrderUp}, `there is no node, proxy or uplink "192.168.1.3"`},
		{"to a group", board.OrderLine{Name: "found", Order: zones.OrderUp}, `there is no node, proxy or uplink "found"`},
		{"to nobody, taken back", board.OrderLine{Name: "plex10"}, `there is no node, proxy or uplink "plex10"`},
		{
			"until a time that is past",
			board.OrderLine{Name: "plex1", Order: zones.OrderUp, Until: eight.Add(-time.Second)},
			"the order would end at 2026-11-22T19:59:59Z, which is past",
		},
		{
			"until a time that nobody can write",
			board.OrderLine{Name: "plex1", Order: zones.OrderUp, Until: eight.AddDate(9000, 0, 0)},
			"line 1: reading the end",
		},
		{
			"for a long reason",
			board.OrderLine{Name: "plex1", Order: zones.OrderUp, Why: strings.Repeat("ä", 201)},
			"the reason is too long: want 200 characters at most",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := ordersIn(t, "")
			err := o.Set(tc.line, members(), eight)
			if _, ok := errors.AsType[*state.OrderError](err); !ok || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if left := content(t, o); left != "" {
				t.Errorf("%q was written", left)
			}
		})
	}
}

// TestFileWithAMistake stays as the operator has left it: a line that we do not understand may be an order.
func TestFileWithAMistake(t *testing.T) {
	const text = "plex1 dwon\nplex2 up\n"
	o := ordersIn(t, text)
	err := o.Set(board.OrderLine{Name: "plex2"}, members(), eight)
	want := fmt.Sprintf("nothing is written, since the orders in %s have a mistake: "+
		`line 1: unknown order "dwon": want up, drain or down`, o.File)
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, ok := errors.AsType[*state.OrderError](err); ok {
		t.Error("the order is blamed for it")
	}
	if got := content(t, o); got != text {
		t.Errorf("the file holds %q", got)
	}
}

func TestFolderThatIsGone(t *testing.T) {
	o := &state.Orders{File: filepath.Join(t.TempDir(), "none", "orders")}
	err := o.Set(board.OrderLine{Name: "plex1", Order: zones.OrderUp}, members(), eight)
	if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "writing the orders: ") {
		t.Errorf("got %v", err)
	}
}

// TestManyWriters has both programs and plexctl write at once: no order of anybody is lost.
func TestManyWriters(t *testing.T) {
	o := ordersIn(t, "# mine\n")
	snap := members()
	var wg sync.WaitGroup
	for i := range 9 {
		wg.Go(func() {
			own := &state.Orders{File: o.File} // as another process has it
			for _, order := range []zones.Order{zones.OrderUp, zones.OrderDown, zones.OrderDrain} {
				line := board.OrderLine{Name: fmt.Sprint("plex", i+1), Order: order}
				if err := own.Set(line, snap, eight); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	orders, err := board.ParseOrders(strings.NewReader(content(t, o)))
	if err != nil || len(orders) != 9 {
		t.Fatalf("got %v, %v, want nine orders", orders, err)
	}
	for _, line := range orders {
		if line.Order != zones.OrderDrain {
			t.Errorf("the last on %s is %s, want drain", line.Name, line.Order)
		}
	}
	if !strings.HasPrefix(content(t, o), "# mine\n") {
		t.Error("the comment is gone")
	}
}

// TestNoLinkIsFollowed: who may write to the folder could have root write elsewhere.
func TestNoLinkIsFollowed(t *testing.T) {
	const text = "# somebody else's\n"
	up := board.OrderLine{Name: "plex1", Order: zones.OrderUp}
	for _, kind := range []string{"", ".lock"} {
		elsewhere, o := ordersIn(t, text), ordersIn(t, "")
		if err := os.Symlink(elsewhere.File, o.File+kind); err != nil {
			t.Fatal(err)
		}
		if err := o.Set(up, members(), eight); err == nil || !strings.HasPrefix(err.Error(), "writing the orders: ") {
			t.Errorf("orders%s is a link: got %v", kind, err)
		}
		if got := content(t, elsewhere); got != text {
			t.Errorf("orders%s is a link, and where it leads is %q now", kind, got)
		}
		if info, err := os.Stat(elsewhere.File); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("orders%s is a link, and where it leads is %v, %v now", kind, info.Mode(), err)
		}
	}
}

// FuzzSet gives an order in a file of any text: if it was good before it holds all other orders as before, and
// the new one.
func FuzzSet(f *testing.F) {
	for _, text := range []string{"", "plex1 up", "# x\nplex2 drain # y\n", "192.168.1.2 up\nplex1 up\n192.168.1.2:443 down"} {
		f.Add(text, "new disk")
	}
	dir, snap := f.TempDir(), members()
	f.Fuzz(func(t *testing.T, text, why string) {
		o := &state.Orders{File: filepath.Join(dir, "orders")}
		if err := os.WriteFile(o.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		before, bad := board.ParseOrders(strings.NewReader(text))
		err := o.Set(board.OrderLine{Name: "plex1", Order: zones.OrderDrain, Why: why}, snap, eight)
		if _, ok := errors.AsType[*state.OrderError](err); ok {
			return // the reason is too long
		}
		if (err != nil) != (bad != nil) {
			t.Fatalf("writing: %v, reading before: %v", err, bad)
		}
		if bad != nil {
			return
		}
		after, err := board.ParseOrders(strings.NewReader(content(t, o)))
		if err != nil {
			t.Fatal(err)
		}
		held := map[string]board.OrderLine{}
		for _, line := range after {
			held[line.Name] = line
		}
		if got := held["plex1"]; got.Order != zones.OrderDrain || !got.Until.IsZero() {
			t.Errorf("got %v", got)
		}
		for _, line := range before {
			if line.Name != "plex1" && held[line.Name] != line {
				t.Errorf("%v has become %v", line, held[line.Name])
			}
		}
	})
}

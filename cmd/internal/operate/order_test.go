package operate_test

import (
	"strings"
	"testing"
	"time"
)

// TestOrder: who is told, and what is said of it.
func TestOrder(t *testing.T) {
	for _, tc := range []struct {
		name    string
		args    string
		more    []string
		run     func(h *house) (told *instance) // nil: nobody runs
		order   string                          // as the instance is asked
		written string                          // to the orders file
		says    string
		err     string
	}{
		{
			name: "plexdns is told", args: "drain plex1 -why", more: []string{"new disk"},
			run:   func(h *house) *instance { return h.plexdns() },
			order: "home.test plex1 drain new disk", says: "plex1 of home.test drains until it is taken back: plexdns sees it\n",
		},
		{
			name: "plexproxy is told where no plexdns runs", args: "order PLEX1 down",
			run:   func(h *house) *instance { return h.plexproxy() },
			order: "home.test plex1 down", says: "plex1 of home.test counts as down until it is taken back: plexproxy sees it\n",
		},
		{
			name: "both see it", args: "drain plex1",
			run:   func(h *house) *instance { h.plexproxy().sees("drain"); return h.plexdns() },
			order: "home.test plex1 drain", says: "plex1 of home.test drains until it is taken back: plexdns and plexproxy see it\n",
		},
		{
			name: "one runs and does not see it", args: "drain plex1",
			run:   func(h *house) *instance { h.plexproxy(); return h.plexdns() },
			order: "home.test plex1 drain", says: "plex1 of home.test drains until it is taken back: plexdns sees it\n",
			err: "plexproxy.sock does not see it: does it use the same state folder?",
		},
		{
			name: "it is taken back", args: "undrain plex1",
			run:   func(h *house) *instance { return h.plexdns() },
			order: "home.test plex1 none", says: "plex1 of home.test is what its probes say: plexdns sees it\n",
		},
		{
			name: "a proxy", args: "order 127.0.0.3:8443 down",
			run:   func(h *house) *instance { return h.plexdns() },
			order: "home.test 127.0.0.3:8443 down", says: "127.0.0.3:8443 of home.test counts as down until it is taken back: plexdns sees it\n",
		},
		{
			name: "an uplink", args: "order wan up",
			run:   func(h *house) *instance { return h.plexdns() },
			order: "home.test wan up", says: "wan of home.test counts as up until it is taken back: plexdns sees it\n",
		},
		{
			name: "nobody else is up", args: "drain plex1",
			run: func(h *house) *instance {
				i := h.plexdns()
				i.dns.Clusters[0].Nodes[1].State = "down"
				return i
			},
			order: "home.test plex1 drain",
			says: "plex1 of home.test drains until it is taken back: plexdns sees it\n" +
				"no other node is up: clients are led there until one is\n",
		},
		{
			name: "it is refused", args: "drain found7",
			run:   func(h *house) *instance { return h.plexdns() },
			order: "home.test found7 drain", err: "plexdns answers: nobody here is called found7",
		},
		{
			name: "nobody runs", args: "drain plex1 -why", more: []string{"new disk"},
			written: "plex1 drain # new disk\n",
			says:    "plex1 of home.test drains until it is taken back\nneither plexdns nor plexproxy runs here: they see it in STATE/home.test.orders when they start\n",
		},
		{
			name: "nobody runs, and it may be found yet", args: "order found1 up",
			written: "found1 up\n",
			says:    "found1 of home.test counts as up until it is taken back\nneither plexdns nor plexproxy runs here: they see it in STATE/home.test.orders when they start\n",
		},
		{
			name: "a name of nobody", args: "drain plex3",
			run: func(h *house) *instance { return h.plexdns() },
			err: `there is no node, proxy or uplink "plex3": want one of plex1 plex2 127.0.0.3:8443 wan`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHouse(t)
			var told *instance
			if tc.run != nil {
				told = tc.run(h)
			}
			out, err := h.plexctl(tc.args, tc.more...)
			if want := strings.ReplaceAll(tc.says, "STATE", h.state); out != want {
				t.Errorf("it says\n%s\nwant\n%s", out, want)
			}
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got error %v, want %s", err, tc.err)
			}
			if got := h.orders(); got != tc.written {
				t.Errorf("the orders file holds %q, want %q", got, tc.written)
			}
			if told == nil {
				return
			}
			if got := strings.Join(told.asked, "; "); got != tc.order {
				t.Errorf("asked for %q, want %q", got, tc.order)
			}
		})
	}
}

// TestOrderThatEnds: the same instant is told to all, and to the person.
func TestOrderThatEnds(t *testing.T) {
	h := newHouse(t)
	begin := time.Now()
	out, err := h.plexctl("drain -for 2h plex1")
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Fields(h.orders())
	if len(line) != 3 {
		t.Fatalf("the orders file holds %q", line)
	}
	until, err := time.Parse(time.RFC3339, line[2])
	if err != nil || until.Before(begin.Add(2*time.Hour-time.Second)) || until.After(time.Now().Add(2*time.Hour)) {
		t.Errorf("it ends at %s, %v", until, err)
	}
	if want := "plex1 of home.test drains until " + local(until) + "\n"; !strings.HasPrefix(out, want) {
		t.Errorf("it says\n%s\nwant\n%s", out, want)
	}
}

// TestOrderInTwoZones: a name that two blocks have is not guessed at.
func TestOrderInTwoZones(t *testing.T) {
	h := newHouse(t)
	h.write("a.test {\nplex {\nnode plex1 127.0.0.1\nstate STATE\n}\n}\nhome.test {\nplex {\nnode plex1 127.0.0.1\nnode plex2 127.0.0.2\nstate STATE\n}\n}\n")
	const want = "plex1 is in a.test and in home.test: say with -zone which is meant"
	if _, err := h.plexctl("drain plex1"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := h.plexctl("drain plex2"); err != nil {
		t.Errorf("a name that one has: %v", err)
	}
	if _, err := h.plexctl("drain plex1 -zone home.test"); err != nil {
		t.Errorf("with a zone: %v", err)
	}
	if got, want := h.orders(), "plex2 drain\nplex1 drain\n"; got != want {
		t.Errorf("the orders file holds %q, want %q", got, want)
	}
}

// TestOrderElsewhere: each instance that is named is told, without a Corefile.
func TestOrderElsewhere(t *testing.T) {
	t.Chdir(t.TempDir())
	one, two := newHouse(t), newHouse(t)
	first, second := one.plexdns(), two.plexproxy()
	out, err := plexctl(t.Context(), "drain", "plex1", "-at", one.state, "-at", two.state)
	if err != nil {
		t.Fatal(err)
	}
	const want = "plex1 of home.test drains until it is taken back: plexdns sees it\nplex1 of home.test drains until it is taken back: plexproxy sees it\n"
	if out != want {
		t.Errorf("it says\n%s\nwant\n%s", out, want)
	}
	if len(first.asked) != 1 || len(second.asked) != 1 || first.asked[0] != "plex1 drain" {
		t.Errorf("asked for %q and %q", first.asked, second.asked)
	}
}

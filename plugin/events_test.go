package plugin_test

import (
	"bytes"
	golog "log"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/google/go-cmp/cmp"

	plex "plexha/plugin"
	"plexha/plugin/runtime"
	"plexha/zones"
	"plexha/zones/board"
)

// logged is a house whose log is read.
type logged struct {
	*house
	out *bytes.Buffer
}

// capture takes CoreDNS's log for the test.
func capture(t *testing.T) *bytes.Buffer {
	t.Helper()
	out, flags, before := new(bytes.Buffer), golog.Flags(), golog.Writer()
	golog.SetOutput(out)
	golog.SetFlags(0)
	t.Cleanup(func() {
		golog.SetOutput(before)
		golog.SetFlags(flags)
	})
	return out
}

// logs plays a script on a house in which nobody was asked yet, in a bubble of time.
func logs(t *testing.T, lines []string, script func(*logged)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		out := capture(t)
		h := &logged{coldHouse(t, t.TempDir(), nil, lines...), out}
		h.LogEvents()
		h.expect()
		script(h)
	})
}

// expect tells the log what is new, and checks the lines that it writes.
func (h *logged) expect(want ...string) {
	h.t.Helper()
	h.LogEvents()
	h.wrote(want...)
}

// wrote checks the lines written since the last time, each a level and a text.
func (h *logged) wrote(want ...string) {
	h.t.Helper()
	var got []string
	for l := range strings.Lines(strings.ReplaceAll(h.out.String(), "plugin/plex: ", "")) {
		got = append(got, strings.TrimSpace(l))
	}
	h.out.Reset()
	if diff := cmp.Diff(want, got); diff != "" {
		h.t.Errorf("log (-want +got):\n%s", diff)
	}
}

// up has everybody answer, and drops what the log says of that.
func (h *logged) up() {
	h.t.Helper()
	for _, name := range []string{"plex1", "plex2"} {
		h.says(name, board.OK)
	}
	h.board.FirstRoundDone(began)
	h.show()
	h.LogEvents()
	h.out.Reset()
}

const (
	isUp   = "[INFO] node plex1 of home.duckdns.org is up"
	isDown = "[WARNING] node plex1 of home.duckdns.org is down: the test says so"
)

func TestTransitionsInTheLog(t *testing.T) {
	const ok, late, failed, starting = board.OK, board.Late, board.Failed, board.Starting
	type step struct {
		result board.Result
		want   string
	}
	for what, steps := range map[string][]step{
		"up, down and up again":            {{ok, isUp}, {failed, ""}, {failed, isDown}, {ok, ""}, {ok, isUp}},
		"never up":                         {{failed, isDown}, {failed, ""}, {ok, ""}, {ok, isUp}},
		"a failure that is not confirmed":  {{ok, isUp}, {failed, ""}, {ok, ""}, {failed, ""}, {ok, ""}},
		"a late answer":                    {{ok, isUp}, {late, ""}, {ok, ""}},
		"a recovery that is not confirmed": {{failed, isDown}, {ok, ""}, {failed, ""}, {ok, ""}, {ok, isUp}},
		"starting": {
			{failed, isDown},
			{starting, "[INFO] node plex1 of home.duckdns.org is starting: the test says so"},
			{ok, ""},
			{ok, isUp},
		},
	} {
		t.Run(what, func(t *testing.T) {
			logs(t, twoNodes, func(h *logged) {
				for _, s := range steps {
					h.says("plex1", s.result)
					if s.want == "" {
						h.expect()
					} else {
						h.expect(s.want)
					}
				}
			})
		})
	}
}

func TestImpostorInTheLog(t *testing.T) {
	logs(t, with(twoNodes, "node plex3 192.168.1.13 id "+strings.Repeat("3", 40)), func(h *logged) {
		plex3 := zones.Subject{Name: "plex3"}
		h.board.Report(board.Verdict{Subject: plex3, Addr: addrs("192.168.1.13")[0], Identity: "4444", At: began})
		h.expect("[WARNING] node plex3 of home.duckdns.org is impostor: answers as 4444, not as the id 33333333 of its line")
	})
}

// What is in doubt is for those who look for it.
func TestDoubtsInTheDebugLog(t *testing.T) {
	clog.D.Set()
	t.Cleanup(clog.D.Clear)
	logs(t, twoNodes, func(h *logged) {
		h.up()
		h.says("plex1", board.Failed)
		h.expect("[DEBUG] node plex1 of home.duckdns.org is failing: the test says so")
		h.says("plex1", board.OK)
		h.expect("[DEBUG] node plex1 of home.duckdns.org is up")
		h.kill("plex1")
		h.expect("[DEBUG] node plex1 of home.duckdns.org is failing: the test says so", isDown)
		h.says("plex1", board.OK)
		h.expect("[DEBUG] node plex1 of home.duckdns.org is recovering")
	})
}

// What an instance takes over with a reload is not new, but a doubt that ends otherwise is.
func TestDoubtsFromBeforeTheReload(t *testing.T) {
	for what, tt := range map[string]struct {
		before, after []board.Result
		want          []string
	}{
		"failing, up again":      {[]board.Result{board.Failed}, []board.Result{board.OK}, nil},
		"failing, down":          {[]board.Result{board.Failed}, []board.Result{board.Failed}, []string{isDown}},
		"recovering, down again": {[]board.Result{board.Failed, board.Failed, board.OK}, []board.Result{board.Failed}, nil},
		"recovering, up":         {[]board.Result{board.Failed, board.Failed, board.OK}, []board.Result{board.OK}, []string{isUp}},
		"up, down":               {nil, []board.Result{board.Failed, board.Failed}, []string{isDown}},
	} {
		t.Run(what, func(t *testing.T) {
			logs(t, twoNodes, func(old *logged) {
				old.up()
				old.says("plex1", tt.before...)
				h := &logged{coldHouse(t, t.TempDir(), nil, twoNodes...), old.out}
				h.board.Seed(old.board.Snapshot(), true, began)
				h.show()
				h.expect()
				h.says("plex1", tt.after...)
				h.expect(tt.want...)
			})
		})
	}
}

// flap takes plex1 down and up again some times, with some time before each change, and returns what the log
// says each time.
func (h *logged) flap(times int, pause time.Duration) {
	h.t.Helper()
	for range times {
		for _, change := range []func(...string){h.kill, h.revive} {
			time.Sleep(pause)
			change("plex1")
			h.LogEvents()
		}
	}
}

func TestLinesAreHeldBackWhileANodeFlaps(t *testing.T) {
	logs(t, twoNodes, func(h *logged) {
		h.up() // one of the four
		h.flap(2, time.Second)
		h.wrote(isDown, isUp, isDown)
		h.flap(5, time.Second)
		h.wrote()

		time.Sleep(time.Minute - 10*time.Second - time.Nanosecond)
		h.expect()
		if h.Woken() {
			t.Error("the loop is woken too early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if !h.Woken() {
			t.Error("nobody wakes the loop when the line is due")
		}
		const summary = "[WARNING] node plex1 of home.duckdns.org is up (it has changed 11 times within the last minute)"
		h.expect(summary)

		h.flap(1, time.Second) // more than four within a minute still
		h.wrote()
		time.Sleep(time.Minute)
		synctest.Wait()
		if !h.Woken() {
			t.Error("nobody wakes the loop for the next line")
		}
		h.expect("[WARNING] node plex1 of home.duckdns.org is up (it has changed 2 times within the last minute)")

		time.Sleep(time.Minute)
		h.flap(2, time.Second)
		h.wrote(isDown, isUp, isDown, isUp)
	})
}

// One line that was held back is written as it is, only later.
func TestALineThatIsHeldBackAlone(t *testing.T) {
	logs(t, twoNodes, func(h *logged) {
		h.up()
		time.Sleep(2 * time.Minute)
		h.flap(2, time.Second)
		h.wrote(isDown, isUp, isDown, isUp)
		h.kill("plex1")
		h.expect()
		time.Sleep(time.Minute)
		h.expect(isDown)
	})
}

func TestSlowChangesAreAllTold(t *testing.T) {
	logs(t, twoNodes, func(h *logged) {
		h.up()
		time.Sleep(2 * time.Minute)
		h.flap(5, 16*time.Second)
		h.wrote(isDown, isUp, isDown, isUp, isDown, isUp, isDown, isUp, isDown, isUp)
	})
}

func TestOneThatFlapsDoesNotSilenceOthers(t *testing.T) {
	logs(t, twoNodes, func(h *logged) {
		h.up()
		h.flap(5, time.Second)
		h.out.Reset()
		h.kill("plex2")
		h.expect("[WARNING] node plex2 of home.duckdns.org is down: the test says so")
	})
}

func TestLastResortInTheLog(t *testing.T) {
	const (
		down2  = "[WARNING] node plex2 of home.duckdns.org is down: the test says so"
		begins = "[WARNING] nothing that the main name of home.duckdns.org may lead to is up: it is answered with the last resort"
		ends   = "[INFO] the main name of home.duckdns.org is no longer answered with the last resort"
	)
	t.Run("begins and ends", func(t *testing.T) {
		logs(t, twoNodes, func(h *logged) {
			h.up()
			h.kill("plex1")
			h.expect(isDown)
			h.kill("plex2")
			h.expect(down2, begins)
			h.expect()
			h.revive("plex1")
			h.expect(isUp, ends)
		})
	})
	t.Run("not before the first round has ended", func(t *testing.T) {
		logs(t, twoNodes, func(h *logged) {
			h.kill("plex1", "plex2")
			h.expect(isDown, down2)
			h.board.FirstRoundDone(began)
			h.show()
			h.expect(begins)
		})
	})
	t.Run("with servfail there is none", func(t *testing.T) {
		logs(t, with(twoNodes, "alldown servfail"), func(h *logged) {
			h.up()
			h.kill("plex1", "plex2")
			h.expect(isDown, down2)
		})
	})
}

func TestIsolationInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := capture(t)
		cfg := parse(t, zone, with(twoNodes, "canary 192.0.2.1:53")...)
		b := board.New(board.Config{
			Cluster: &cfg.Cluster, Rise: 2, Fall: 2, Interval: cfg.Interval, Timeout: cfg.Timeout, Canary: true,
		}, began)
		p, err := plex.Still(cfg, t.TempDir(), b, nil)
		if err != nil {
			t.Fatal(err)
		}
		h := &logged{&house{Plex: p, t: t, cfg: cfg, board: b, now: began}, out}
		h.show()
		h.up()
		h.kill("plex1", "plex2")
		h.expect(isDown)
		b.CanaryResult(false, began)
		h.show()
		h.expect("[WARNING] home.duckdns.org is cut off: the canary does not answer either; the last verdicts are held")
		b.CanaryResult(true, began)
		h.show()
		h.expect("[INFO] home.duckdns.org is no longer cut off: the canary answers again")
		h.revive("plex1", "plex2")
		h.expect(isUp) // the log's last word was that it is down; of plex2 it has said nothing
	})
}

// order replaces all orders at some time after the beginning, and serves what follows.
func (h *logged) order(after time.Duration, lines ...string) {
	h.t.Helper()
	orders, err := board.ParseOrders(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		h.t.Fatal(err)
	}
	h.board.SetOrders(orders, began.Add(after))
	h.show()
}

func TestOrdersInTheLog(t *testing.T) {
	logs(t, twoNodes, func(h *logged) {
		h.up()
		h.order(0, "plex1 drain 2026-11-22T21:00Z # new disk", "wan down")
		h.expect(
			"[INFO] order on node plex1 of home.duckdns.org: drain until 2026-11-22T21:00:00Z: new disk",
			"[INFO] order on uplink wan of home.duckdns.org: down",
		)
		h.expect()
		h.order(0, "wan down", "plex1 down 2026-11-22T21:00Z # new disk")
		h.expect("[INFO] order on node plex1 of home.duckdns.org: down until 2026-11-22T21:00:00Z: new disk")
		h.order(0, "plex1 down 2026-11-22T22:00Z # new disk", "wan down")
		h.expect("[INFO] order on node plex1 of home.duckdns.org: down until 2026-11-22T22:00:00Z: new disk")
		h.order(0, "plex1 down 2026-11-22T22:00Z # and memory", "wan down")
		h.expect("[INFO] order on node plex1 of home.duckdns.org: down until 2026-11-22T22:00:00Z: and memory")
		h.order(2*time.Hour-time.Second, "plex1 down 2026-11-22T22:00Z # and memory")
		h.expect("[INFO] the order on uplink wan of home.duckdns.org has been withdrawn")
		h.order(2*time.Hour, "plex1 down 2026-11-22T22:00Z # and memory")
		h.expect("[INFO] the order on node plex1 of home.duckdns.org has ended")
		h.order(2*time.Hour, "plex1 up 2026-11-23T00:00Z")
		h.expect("[INFO] order on node plex1 of home.duckdns.org: up until 2026-11-23T00:00:00Z")
		h.order(3 * time.Hour)
		h.expect("[INFO] the order on node plex1 of home.duckdns.org has been withdrawn")
	})
}

// earlier is the instance before a reload, as far as this one asks it.
type earlier struct{ snap *zones.Snapshot }

func (e earlier) Snapshot() *zones.Snapshot { return e.snap }
func (earlier) Probe() string               { return "" }
func (earlier) Stop()                       {}

// What the instance before a reload has told is not told again: who is ordered what, and the last resort.
func TestAReloadTellsNothingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := capture(t)
		old := newHouse(t, twoNodes...)
		old.kill("plex1", "plex2")
		old.board.SetOrders([]board.OrderLine{
			{Name: "plex1", Order: zones.OrderDrain}, {Name: "plex2", Order: zones.OrderDrain},
		}, began)
		before := &earlier{old.board.Snapshot()}
		runtime.Started(zone, before)
		t.Cleanup(func() { runtime.Stopped(zone, before) })

		h := &logged{coldHouse(t, t.TempDir(), nil, twoNodes...), out}
		h.board.Seed(before.snap, true, began)
		h.order(0, "plex1 drain", "plex2 down")
		h.expect("[INFO] order on node plex2 of home.duckdns.org: down")
		h.order(0, "plex1 drain")
		h.revive("plex1")
		h.expect(
			isUp,
			"[INFO] the order on node plex1 of home.duckdns.org has been withdrawn",
			"[INFO] the order on node plex2 of home.duckdns.org has been withdrawn",
			"[INFO] the main name of home.duckdns.org is no longer answered with the last resort",
		)
	})
}

// The lines name the cluster: a process may serve several.
func TestLinesNameTheZone(t *testing.T) {
	logs(t, with(twoNodes, "keys plex.example.org."), func(h *logged) {
		h.says("plex1", board.OK)
		h.expect("[INFO] node plex1 of plex.example.org is up")
	})
}

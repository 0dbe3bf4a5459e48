package diary_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/zones"
	"plexha/zones/board"
	"plexha/zones/diary"
)

var (
	began = time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	plex1 = zones.Subject{Name: "plex1"}
)

// teller tells a diary what happens, one thing after the other.
type teller struct {
	*diary.Diary
	t    *testing.T
	now  time.Time
	snap *zones.Snapshot
	seq  uint64
}

func newTeller(t *testing.T) *teller {
	t.Helper()
	return &teller{Diary: diary.New("home.duckdns.org.", nil), t: t, now: began, snap: &zones.Snapshot{}}
}

// wants checks what is said of an event, each line a level and a text.
func (d *teller) wants(e board.Event, want ...string) {
	d.t.Helper()
	d.seq++
	e.Seq = d.seq
	d.says([]board.Event{e}, nil, want...)
	if got := d.Seen(); got != d.seq {
		d.t.Errorf("the last event that was told is %d, want %d", got, d.seq)
	}
}

func (d *teller) says(events []board.Event, conditions []diary.Condition, want ...string) {
	d.t.Helper()
	var got []string
	for _, l := range d.Tell(events, d.snap, d.now, conditions...) {
		got = append(got, fmt.Sprintf("%d %s", l.Level, l.Text))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func change(from, to zones.State) board.Event {
	return board.Event{Subject: plex1, From: from, To: to, Why: "no answer within 1s"}
}

func TestOnlyWhatIsCertainIsTold(t *testing.T) {
	d := newTeller(t)
	d.wants(change(zones.Unknown, zones.Up), "1 node plex1 of home.duckdns.org is up")
	d.wants(change(zones.Up, zones.Failing), "0 node plex1 of home.duckdns.org is failing: no answer within 1s")
	d.wants(change(zones.Failing, zones.Up), "0 node plex1 of home.duckdns.org is up")
	d.wants(change(zones.Up, zones.Failing), "0 node plex1 of home.duckdns.org is failing: no answer within 1s")
	d.wants(change(zones.Failing, zones.Down), "2 node plex1 of home.duckdns.org is down: no answer within 1s")
	d.wants(change(zones.Down, zones.Starting), "1 node plex1 of home.duckdns.org is starting: no answer within 1s")
	d.wants(change(zones.Starting, zones.Impostor), "2 node plex1 of home.duckdns.org is impostor: no answer within 1s")
}

func TestIsolation(t *testing.T) {
	d := newTeller(t)
	d.wants(board.Event{Isolated: true, Why: "the canary is silent"},
		"2 home.duckdns.org is cut off: the canary is silent; the last verdicts are held")
	d.wants(board.Event{Why: "it answers again"}, "1 home.duckdns.org is no longer cut off: it answers again")
}

func TestConditions(t *testing.T) {
	d := newTeller(t)
	is := func(holds bool) []diary.Condition {
		return []diary.Condition{{Topic: "night", Holds: holds, Begins: "it is dark", Ends: "it is light"}}
	}
	d.says(nil, is(false))
	d.says(nil, is(true), "2 it is dark")
	d.says(nil, is(true))
	d.says(nil, is(false), "1 it is light")
}

func TestWhatHeldBeforeIsNotToldAgain(t *testing.T) {
	before := &zones.Snapshot{Nodes: []zones.NodeHealth{{
		Node: zones.Node{Name: "plex1"}, Health: zones.Health{Order: zones.OrderDrain},
	}}}
	d := newTeller(t)
	d.Diary, d.snap = diary.New("home.duckdns.org.", before, "night"), before
	night := diary.Condition{Topic: "night", Holds: true, Begins: "it is dark", Ends: "it is light"}
	d.says(nil, []diary.Condition{night})
	night.Holds, d.snap = false, &zones.Snapshot{Nodes: []zones.NodeHealth{{Node: zones.Node{Name: "plex1"}}}}
	d.says(nil, []diary.Condition{night},
		"1 the order on node plex1 of home.duckdns.org has been withdrawn", "1 it is light")
}

func TestTooManyLinesAreHeldBack(t *testing.T) {
	d := newTeller(t)
	const up = "1 node plex1 of home.duckdns.org is up"
	const down = "2 node plex1 of home.duckdns.org is down: no answer within 1s"
	for _, line := range []string{up, down, up, down} {
		to := zones.Up
		if line == down {
			to = zones.Down
		}
		d.wants(change(zones.Unknown, to), line)
	}
	if !d.Due().IsZero() {
		t.Errorf("a line is due at %v, though none is held back", d.Due())
	}
	d.wants(change(zones.Down, zones.Up))
	d.now = d.now.Add(time.Second)
	d.wants(change(zones.Up, zones.Down))
	if want := began.Add(time.Minute); d.Due() != want {
		t.Errorf("the line is due at %v, want %v", d.Due(), want)
	}
	d.now = d.Due()
	d.says(nil, nil, down+" (it has changed 2 times within the last minute)")
}

func TestTheFirstLineThatIsDueCounts(t *testing.T) {
	d := newTeller(t)
	flap := func(name string) {
		for range 3 { // two lines each: more than four
			d.seq++
			e := board.Event{Seq: d.seq, Subject: zones.Subject{Name: name}, From: zones.Down, To: zones.Starting}
			d.Tell([]board.Event{e, {Seq: d.seq, Subject: e.Subject, From: zones.Starting, To: zones.Down}}, d.snap, d.now)
		}
	}
	flap("plex1")
	d.now = d.now.Add(time.Second)
	for _, name := range []string{"plex2", "plex3", "plex4", "plex5"} {
		flap(name)
	}
	if want := began.Add(time.Minute); d.Due() != want {
		t.Errorf("a line is due at %v, want %v", d.Due(), want)
	}
}

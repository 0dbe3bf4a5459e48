package timeline_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/zones"
	"plexha/zones/board"
	"plexha/zones/timeline"
)

var began = time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)

// texts returns the texts of events.
func texts(events []timeline.Event) []string {
	var out []string
	for _, e := range events {
		out = append(out, e.Text)
	}
	return out
}

func TestSince(t *testing.T) {
	var tl timeline.Timeline
	if got := tl.Since(0); got != nil {
		t.Errorf("nothing has happened: got %v", got)
	}
	for i := range 3 {
		tl.Add(timeline.Event{At: began.In(time.FixedZone("", 3600)), Text: fmt.Sprint(i + 1)})
	}
	for after, want := range map[uint64][]string{0: {"1", "2", "3"}, 2: {"3"}, 3: nil, 99: {"1", "2", "3"}} {
		if diff := cmp.Diff(want, texts(tl.Since(after))); diff != "" {
			t.Errorf("after %d (-want +got):\n%s", after, diff)
		}
	}
	if got := tl.Since(2)[0]; got.Seq != 3 || got.At != began {
		t.Errorf("got number %d at %v, want 3 at %v, in UTC", got.Seq, got.At, began)
	}
}

// A slow node makes doubts all day. They drive out each other, and none of what mattered.
func TestWhatIsForgotten(t *testing.T) {
	var tl timeline.Timeline
	tl.Add(timeline.Event{Level: timeline.Warning, Text: "the first"})
	for range 10_000 {
		tl.Add(timeline.Event{Level: timeline.Doubt, Text: "a doubt"})
	}
	if got := tl.Since(0); len(got) != 101 || got[0].Text != "the first" || got[100].Seq != 10_001 {
		t.Errorf("%d are left, the first is %q: want that and the last 100 doubts", len(got), got[0].Text)
	}
	for range timeline.Kept {
		tl.Add(timeline.Event{Level: timeline.Info, Text: "news"})
	}
	got := tl.Since(0)
	if len(got) != timeline.Kept || got[0].Text != "news" || got[len(got)-1].Seq != 10_001+timeline.Kept {
		t.Errorf("%d are left, the first is %q: want the last %d", len(got), got[0].Text, timeline.Kept)
	}
	tl.Add(timeline.Event{Level: timeline.Doubt})
	if got := tl.Since(0); len(got) != timeline.Kept {
		t.Errorf("%d are left, want %d", len(got), timeline.Kept)
	}
}

func TestSubscribe(t *testing.T) {
	var tl timeline.Timeline
	tl.Add(timeline.Event{})
	news, cancel := tl.Subscribe()
	other, cancelOther := tl.Subscribe()
	defer cancelOther()
	if len(news) != 0 {
		t.Error("what was before is news")
	}
	tl.Add(timeline.Event{})
	tl.Add(timeline.Event{}) // a slow subscriber is told once
	if len(news) != 1 || len(other) != 1 {
		t.Errorf("%d and %d values wait, want one each", len(news), len(other))
	}
	<-news
	cancel()
	tl.Add(timeline.Event{})
	if len(news) != 0 {
		t.Error("told after the end of the subscription")
	}
}

func TestAllAtOnce(t *testing.T) {
	var tl timeline.Timeline
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			news, cancel := tl.Subscribe()
			defer cancel()
			for range 50 {
				tl.Add(timeline.Event{})
				<-news
				tl.Since(0)
			}
		})
	}
	wg.Wait()
	for i, e := range tl.Since(0) {
		if e.Seq != uint64(i+1) {
			t.Fatalf("the event at %d has the number %d", i, e.Seq)
		}
	}
}

func TestOfBoard(t *testing.T) {
	plex1 := zones.Subject{Name: "plex1"}
	const why = "no answer within 1s"
	for _, tc := range []struct {
		event board.Event
		level timeline.Level
		text  string
	}{
		{board.Event{Subject: plex1, To: zones.Up}, timeline.Info, "node plex1 is up"},
		{board.Event{Subject: plex1, From: zones.Up, To: zones.Failing, Why: why}, timeline.Doubt, "node plex1 is failing: " + why},
		{board.Event{Subject: plex1, From: zones.Failing, To: zones.Up}, timeline.Doubt, "node plex1 is up"},
		{board.Event{Subject: plex1, From: zones.Failing, To: zones.Down, Why: why}, timeline.Warning, "node plex1 is down: " + why},
		{board.Event{Subject: plex1, From: zones.Down, To: zones.Recovering}, timeline.Doubt, "node plex1 is recovering"},
		{board.Event{Subject: plex1, From: zones.Recovering, To: zones.Down, Why: why}, timeline.Doubt, "node plex1 is down: " + why},
		{board.Event{Subject: plex1, From: zones.Recovering, To: zones.Up}, timeline.Info, "node plex1 is up"},
		{board.Event{Subject: plex1, From: zones.Down, To: zones.Starting}, timeline.Info, "node plex1 is starting"},
		{board.Event{Subject: plex1, From: zones.Up, To: zones.Impostor, Why: "is another"}, timeline.Warning, "node plex1 is impostor: is another"},
	} {
		t.Run(fmt.Sprint(tc.event.From, " to ", tc.event.To), func(t *testing.T) {
			tc.event.At = began
			want := timeline.Event{
				At: began, Level: tc.level, Kind: timeline.State, Subject: "node plex1",
				From: tc.event.From.String(), To: tc.event.To.String(), Text: tc.text,
			}
			if diff := cmp.Diff(want, timeline.OfBoard(tc.event)); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOfAnIsolation(t *testing.T) {
	for _, tc := range []struct {
		event board.Event
		want  timeline.Event
	}{
		{
			board.Event{Isolated: true, Why: "the canary does not answer either"},
			timeline.Event{
				Level: timeline.Warning, Kind: timeline.Isolation,
				Text: "cut off: the canary does not answer either; the last verdicts are held",
			},
		},
		{
			board.Event{Why: "the canary answers again"},
			timeline.Event{Level: timeline.Info, Kind: timeline.Isolation, Text: "no longer cut off: the canary answers again"},
		},
	} {
		if diff := cmp.Diff(tc.want, timeline.OfBoard(tc.event)); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
	}
}

package operate_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"plexha/cmd/internal/command"
	"plexha/cmd/internal/operate"
)

// TestWait: each change is told, until nobody plays or the patience ends.
func TestWait(t *testing.T) {
	playing, silent := operate.CountOf, errors.New("nobody answers")
	type answer struct {
		count operate.Count
		err   error
		times int // 0: once
	}
	for _, tc := range []struct {
		name    string
		timeout time.Duration
		answers []answer // one a second; the last one for ever
		took    time.Duration
		says    string
		code    int
		err     string
	}{
		{
			name: "nobody plays", answers: []answer{{}},
			says: "plex1: no playback is left that plexproxy sees; what goes past the proxy is invisible\n",
		},
		{
			name: "two end, one after the other",
			answers: []answer{
				{count: playing(2, 0), times: 3},
				{count: playing(1, 1)},
				{count: playing(0, 1), times: 5},
				{},
			},
			took: 9 * time.Second,
			says: "plex1: 2 playbacks that plexproxy sees; what goes past the proxy is invisible\n" +
				"plex1: 2 playbacks, 1 of them paused\n" +
				"plex1: 1 playback, 1 of them paused\n" +
				"plex1: no playback is left that plexproxy sees\n",
		},
		{
			name: "the time is up", timeout: 5500 * time.Millisecond,
			answers: []answer{{count: playing(1, 0)}},
			took:    5500 * time.Millisecond,
			says:    "plex1: 1 playback that plexproxy sees; what goes past the proxy is invisible\n",
			code:    3, err: "the time is up: 1 playback left at plex1; the order stays: plexctl undrain plex1 takes it back",
		},
		{
			name: "plexproxy is started again",
			answers: []answer{
				{count: playing(1, 0)},
				{err: silent, times: 20},
				{count: playing(1, 0)},
				{},
			},
			took: 22 * time.Second,
			says: "plex1: 1 playback that plexproxy sees; what goes past the proxy is invisible\n" +
				"plex1: nobody answers: waiting for it to come back\n" +
				"plex1: no playback is left that plexproxy sees\n",
		},
		{
			name: "plexproxy has just started",
			answers: []answer{
				{count: operate.Unsettled(0), times: 12},
				{count: operate.Unsettled(1), times: 3},
				{count: playing(1, 0), times: 3},
				{},
			},
			took: 18 * time.Second,
			says: "plex1: plexproxy has just started: who plays is known 30s after its start\n" +
				"plex1: 1 playback that plexproxy sees; what goes past the proxy is invisible\n" +
				"plex1: no playback is left that plexproxy sees\n",
		},
		{
			name:    "plexproxy does not come back",
			answers: []answer{{count: playing(1, 0)}, {err: silent}},
			took:    61 * time.Second,
			says: "plex1: 1 playback that plexproxy sees; what goes past the proxy is invisible\n" +
				"plex1: nobody answers: waiting for it to come back\n",
			code: 1, err: "waiting for playbacks to end: nobody answers; the order stays",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ask := func(context.Context) (operate.Count, error) {
					now := tc.answers[0]
					if tc.answers[0].times--; tc.answers[0].times <= 0 && len(tc.answers) > 1 {
						tc.answers = tc.answers[1:]
					}
					return now.count, now.err
				}
				var out strings.Builder
				begin := time.Now()
				err := operate.Wait(t.Context(), &out, tc.timeout, ask)
				if took := time.Since(begin); took != tc.took {
					t.Errorf("it took %v, want %v", took, tc.took)
				}
				if out.String() != tc.says {
					t.Errorf("it says\n%s\nwant\n%s", out.String(), tc.says)
				}
				if command.Code(err) != tc.code || err != nil && err.Error() != tc.err {
					t.Errorf("exit code %d, %v; want %d, %s", command.Code(err), err, tc.code, tc.err)
				}
			})
		})
	}
}

// TestWaitThatIsInterrupted leaves the order, and says so.
func TestWaitThatIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(1500*time.Millisecond, func() { cancel(errors.New("interrupt signal received")) })
		err := operate.Wait(ctx, new(strings.Builder), 0, func(context.Context) (operate.Count, error) { return operate.CountOf(2, 0), nil })
		const want = "interrupt signal received: 2 playbacks left at plex1; the order stays: plexctl undrain plex1 takes it back"
		if err == nil || err.Error() != want || command.Code(err) != 1 {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}

// TestDrainAndWait asks the plexproxy that runs here.
func TestDrainAndWait(t *testing.T) {
	t.Run("who plays elsewhere does not count", func(t *testing.T) {
		h := newHouse(t)
		at2 := plays("playing")
		at2.Node = "plex2"
		h.plexproxy(at2)
		const want = "plex1 of home.test drains until it is taken back: plexproxy sees it\nplex1: no playback is left that plexproxy sees; what goes past the proxy is invisible\n"
		if out, err := h.plexctl("drain plex1 -wait"); err != nil || out != want {
			t.Errorf("got %v\n%s\nwant\n%s", err, out, want)
		}
	})
	t.Run("plexproxy may not know yet", func(t *testing.T) {
		h := newHouse(t)
		i := h.plexproxy()
		i.proxy.Clusters[0].WatchingSince = eight.Add(-29 * time.Second)
		const want = "plex1: plexproxy has just started: who plays is known 30s after its start\n"
		if out, err := h.plexctl("drain plex1 -wait -timeout 200ms"); command.Code(err) != 3 || !strings.Contains(out, want) {
			t.Errorf("got %v\n%s\nwant\n%s", err, out, want)
		}
	})
	t.Run("somebody goes on", func(t *testing.T) {
		h := newHouse(t)
		h.plexproxy(plays("playing"), plays("paused"))
		out, err := h.plexctl("drain plex1 -wait -timeout 1ms")
		if command.Code(err) != 3 || !strings.Contains(err.Error(), "the order stays") {
			t.Errorf("got %v\n%s", err, out)
		}
	})
	t.Run("no plexproxy runs", func(t *testing.T) {
		h := newHouse(t)
		i := h.plexdns()
		const want = "no plexproxy runs here, and only that sees playbacks: name one with -at, or leave out -wait"
		if _, err := h.plexctl("drain plex1 -wait"); err == nil || err.Error() != want || len(i.asked) > 0 {
			t.Errorf("got %v, and asked for %q; want %s, and nothing", err, i.asked, want)
		}
	})
}

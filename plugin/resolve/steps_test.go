package resolve_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"plexha/plugin/resolve"
)

// runner is a server that answers after a time; an empty answer is a failure.
type runner struct {
	after  time.Duration
	answer string
}

var errRunner = errors.New("fallen")

func ask(runners map[string]runner, asked *[]string) func(context.Context, string) (string, error) {
	begin := time.Now()
	var mu sync.Mutex
	return func(ctx context.Context, name string) (string, error) {
		mu.Lock()
		*asked = append(*asked, name+" at "+time.Since(begin).String())
		mu.Unlock()
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(runners[name].after):
		}
		if runners[name].answer == "" {
			return "", errRunner
		}
		return runners[name].answer, nil
	}
}

// TestRace: the next server is asked when one has failed or the last one was silent for a second.
func TestRace(t *testing.T) {
	const never = time.Hour
	tests := []struct {
		name    string
		runners map[string]runner
		want    string
		after   time.Duration
		asked   []string
		err     string
	}{
		{"the first in time: nobody else", map[string]runner{"a": {900 * time.Millisecond, "A"}}, "A", 900 * time.Millisecond, []string{"a at 0s"}, ""},
		{
			"the first is slow: the second as well",
			map[string]runner{"a": {1500 * time.Millisecond, "A"}, "b": {never, "B"}},
			"A", 1500 * time.Millisecond,
			[]string{"a at 0s", "b at 1s"},
			"",
		},
		{
			"the first is silent",
			map[string]runner{"a": {never, "A"}, "b": {100 * time.Millisecond, "B"}},
			"B", 1100 * time.Millisecond,
			[]string{"a at 0s", "b at 1s"},
			"",
		},
		{
			"the first fails: the second at once",
			map[string]runner{"a": {10 * time.Millisecond, ""}, "b": {100 * time.Millisecond, "B"}},
			"B", 110 * time.Millisecond,
			[]string{"a at 0s", "b at 10ms"},
			"",
		},
		{
			"all fail",
			map[string]runner{},
			"", 0,
			[]string{"a at 0s", "b at 0s", "c at 0s"},
			"fallen (nor has it worked with 2 more)",
		},
		{
			"all are silent",
			map[string]runner{"a": {never, ""}, "b": {never, ""}, "c": {never, ""}},
			"", 5 * time.Second,
			[]string{"a at 0s", "b at 1s", "c at 2s"},
			"context deadline exceeded (nor has it worked with 2 more)",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				var asked []string
				begin := time.Now()
				got, err := resolve.Race(ctx, []string{"a", "b", "c"}, time.Second, ask(tt.runners, &asked), nil)
				if got != tt.want || time.Since(begin) != tt.after || !slices.Equal(asked, tt.asked) {
					t.Errorf("%q after %s, asked %q, want %q after %s, asked %q", got, time.Since(begin), asked, tt.want, tt.after, tt.asked)
				}
				if (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
					t.Errorf("error %v, want %q", err, tt.err)
				}
			})
		})
	}
}

// TestRaceDiscards: what comes after the winner is given away, and was waited for.
func TestRaceDiscards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late []string
		got, err := resolve.Race(t.Context(), []string{"a", "b"}, time.Second, func(_ context.Context, name string) (string, error) {
			time.Sleep(2 * time.Second) // does not heed its context
			return name, nil
		}, func(s string) { late = append(late, s) })
		if got != "a" || err != nil || !slices.Equal(late, []string{"b"}) {
			t.Errorf("%q, %v, discarded %q, want a, and b discarded", got, err, late)
		}
	})
}

// TestRaceNeverStarted: a context that has ended asks nobody.
func TestRaceNeverStarted(t *testing.T) {
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	var asked []string
	if _, err := resolve.Race(ctx, []string{"a"}, time.Second, ask(nil, &asked), nil); !errors.Is(err, gone) || asked != nil {
		t.Errorf("%v, asked %q, want %v and nobody", err, asked, gone)
	}
}

// TestRun: each step has half of the time that is left, and the last one all of it.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var began []time.Duration
		wait := func(ctx context.Context) (string, error) {
			began = append(began, time.Since(begin))
			<-ctx.Done()
			return "", context.Cause(ctx)
		}
		_, err := resolve.Run(t.Context(), slices.Repeat([]func(context.Context) (string, error){wait}, 3)...)
		want := []time.Duration{0, 5 * time.Second, 7500 * time.Millisecond}
		if !slices.Equal(began, want) || time.Since(begin) != 10*time.Second {
			t.Errorf("steps began after %v, the last ended after %s, want %v and 10s", began, time.Since(begin), want)
		}
		const words = "looking up it: no answer within 5s; no answer within 2.5s; no answer within "
		if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), words) {
			t.Errorf("error %v, want %q", err, words)
		}
	})
}

// TestRunEnds: the first step that finds something is the last one.
func TestRunEnds(t *testing.T) {
	fail := func(context.Context) (string, error) { return "", errRunner }
	find := func(context.Context) (string, error) { return "found", nil }
	never := func(context.Context) (string, error) { t.Error("one more step"); return "", nil }
	if got, err := resolve.Run(t.Context(), fail, find, never); got != "found" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestCache: how long an answer holds.
func TestCache(t *testing.T) {
	tests := []struct {
		name string
		ttl  time.Duration
		want time.Duration
	}{
		{"no TTL", 0, 30 * time.Second},
		{"its TTL", time.Minute, time.Minute},
		{"a day's TTL", 24 * time.Hour, time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c resolve.Cache
				looked := 0
				get := func() {
					got, err := c.Get("name", func() ([]string, time.Duration, error) { looked++; return []string{"it"}, tt.ttl, nil })
					if !slices.Equal(got, []string{"it"}) || err != nil {
						t.Errorf("%q, %v", got, err)
					}
				}
				get()
				time.Sleep(tt.want - time.Nanosecond)
				get()
				if looked != 1 {
					t.Errorf("%d looks before %s, want 1", looked, tt.want)
				}
				time.Sleep(time.Nanosecond)
				get()
				if looked != 2 {
					t.Errorf("%d looks after %s, want 2", looked, tt.want)
				}
			})
		})
	}
}

// TestCacheKeepsTheLastGood: while nobody answers, what was known holds, and a new look is made twice a minute.
func TestCacheKeepsTheLastGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c resolve.Cache
		looks, down := 0, true
		get := func() ([]string, error) {
			return c.Get("name", func() ([]string, time.Duration, error) {
				looks++
				if down {
					return nil, 0, errRunner
				}
				return []string{"it"}, time.Minute, nil
			})
		}
		if got, err := get(); !errors.Is(err, errRunner) {
			t.Errorf("before anything is known: %q, %v", got, err)
		}
		down = false
		if got, err := get(); err != nil {
			t.Errorf("%q, %v", got, err)
		}
		down, looks = true, 0
		for range 24 * 60 * 60 / 10 {
			time.Sleep(10 * time.Second)
			if got, err := get(); err != nil || !slices.Equal(got, []string{"it"}) {
				t.Fatalf("%q, %v", got, err)
			}
		}
		if want := 2*60*24 - 1; looks != want {
			t.Errorf("%d looks in a day, want %d", looks, want)
		}
	})
}

package wanip_test

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/plugin/via"
	"plexha/plugin/wanip"
	"plexha/zones"
)

// try is what one of several servers does.
type try struct {
	after time.Duration // it takes so long, or for ever if negative
	says  string        // empty: it fails
}

// Servers are asked in turn: the next one when one has failed, or was silent for a third of the time.
func TestInTurn(t *testing.T) {
	const never = -1
	for _, tc := range []struct {
		name    string
		tries   []try
		want    string
		took    time.Duration
		started []time.Duration // when each try was made
	}{
		{"the first answers", []try{{1 * time.Second, "a"}, {0, "b"}}, "a", 1 * time.Second, []time.Duration{0}},
		{"the first is silent", []try{{never, ""}, {1 * time.Second, "b"}}, "b", 3 * time.Second, []time.Duration{0, 2 * time.Second}},
		{
			"the first is slow, but the second slower",
			[]try{{3 * time.Second, "a"}, {2 * time.Second, "b"}},
			"a", 3 * time.Second,
			[]time.Duration{0, 2 * time.Second},
		},
		{"the first fails", []try{{1 * time.Second, ""}, {0, "b"}}, "b", 1 * time.Second, []time.Duration{0, 1 * time.Second}},
		{
			"two are silent",
			[]try{{never, ""}, {never, ""}, {1 * time.Second, "c"}},
			"c", 5 * time.Second,
			[]time.Duration{0, 2 * time.Second, 4 * time.Second},
		},
		{"all fail", []try{{1 * time.Second, ""}, {1 * time.Second, ""}}, "", 2 * time.Second, []time.Duration{0, 1 * time.Second}},
		{"all are silent", []try{{never, ""}, {never, ""}}, "", 6 * time.Second, []time.Duration{0, 2 * time.Second}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
				defer cancel()
				begin := time.Now()
				started := make(chan time.Duration, len(tc.tries))
				got, err := wanip.InTurn(ctx, len(tc.tries), func(ctx context.Context, i int) (string, error) {
					started <- time.Since(begin)
					return tc.tries[i].make(ctx)
				})
				if got != tc.want || (err == nil) != (tc.want != "") || time.Since(begin) != tc.took {
					t.Errorf("got %q, %v after %v; want %q after %v", got, err, time.Since(begin), tc.want, tc.took)
				}
				close(started)
				var times []time.Duration
				for at := range started {
					times = append(times, at)
				}
				if diff := cmp.Diff(tc.started, times); diff != "" {
					t.Errorf("started (-want +got)\n%s", diff)
				}
			})
		})
	}
}

func (a try) make(ctx context.Context) (string, error) {
	after := time.After(a.after)
	if a.after < 0 {
		after = nil
	}
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-after:
	}
	if a.says == "" {
		return "", errors.New("no")
	}
	return a.says, nil
}

// All that went wrong is told, each thing once.
func TestInTurnErrors(t *testing.T) {
	first, second := errors.New("one refuses"), errors.New("two is silent")
	_, err := wanip.InTurn(t.Context(), 3, func(_ context.Context, i int) (string, error) {
		return "", []error{first, second, first}[i]
	})
	if err == nil || err.Error() != "one refuses; two is silent" || !errors.Is(err, first) || !errors.Is(err, second) {
		t.Errorf("got %v", err)
	}
}

// An uplink's interface that has no address of the family, or a host that has no way out over it, is no fault of
// whoever would have been asked.
func TestNoWayOut(t *testing.T) {
	for _, tc := range []struct {
		name    string
		err     error
		want    string
		nothing bool
	}{
		{
			"no address", &net.OpError{Op: "dial", Err: &via.AddressError{Interface: "eth2", Family: zones.IPv6}},
			"nothing to tell of this family: interface eth2 has no ipv6 address", true,
		},
		{
			"no route", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)},
			"nothing to tell of this family: network is unreachable", true,
		},
		{
			"nobody there", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)},
			"no route to host", false,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := wanip.Words(t.Context(), tc.err)
			if got.Error() != tc.want || errors.Is(got, wanip.ErrNothing) != tc.nothing {
				t.Errorf("got %v, want %s", got, tc.want)
			}
		})
	}
}

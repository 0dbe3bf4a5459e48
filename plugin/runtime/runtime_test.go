package runtime_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plexha/plugin/runtime"
	"plexha/zones"
)

// cluster is a [runtime.Cluster] of which nothing but its name is known.
type cluster string

func (cluster) Snapshot() *zones.Snapshot { return nil }
func (cluster) Probe() string             { return "" }
func (cluster) Stop()                     {}

// start enters a cluster until the test ends, or until the returned function is called.
func start(t *testing.T, zone string, c cluster) (stop func()) {
	t.Helper()
	runtime.Started(zone, c)
	stop = func() { runtime.Stopped(zone, c) }
	t.Cleanup(stop)
	return stop
}

func TestLatest(t *testing.T) {
	zone := freshName(t)
	latest := func(want runtime.Cluster, when string) {
		t.Helper()
		if got := runtime.Latest(zone); got != want {
			t.Errorf("%s: got %v, want %v", when, got, want)
		}
	}
	latest(nil, "nothing has started")
	stopOld := start(t, zone, "old")
	latest(cluster("old"), "one runs")
	stopNew := start(t, zone, "new")
	latest(cluster("new"), "a second one has started")
	start(t, freshName(t), "other")
	latest(cluster("new"), "one of another zone has started")
	stopNew()
	latest(cluster("old"), "the second one has failed")
	stopNew()
	latest(cluster("old"), "it is stopped again")
	stopNewer := start(t, zone, "newer")
	stopOld()
	latest(cluster("newer"), "the first one was replaced")
	stopNewer()
	latest(nil, "all have stopped")
}

func TestAllGivesTheNewestOfEachZone(t *testing.T) {
	first, second := freshName(t), freshName(t)
	start(t, second, "of the second zone")
	start(t, first, "old")
	start(t, first, "new")
	want := []runtime.Cluster{cluster("new"), cluster("of the second zone")}
	if diff := cmp.Diff(want, runtime.All(), cmpopts.EquateComparable(cluster(""))); diff != "" {
		t.Errorf("clusters, in order of zone (-want +got):\n%s", diff)
	}
}

func TestOneOwnsAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, other := freshName(t), freshName(t)
		release, err := runtime.Own(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		if release, err := runtime.Own(t.Context(), other); err != nil {
			t.Errorf("another file has to wait: %v", err)
		} else {
			release()
		}
		owned := make(chan func())
		go func() {
			release, err := runtime.Own(t.Context(), file)
			if err != nil {
				t.Error(err)
			}
			owned <- release
		}()
		synctest.Wait()
		select {
		case <-owned:
			t.Fatal("a second one owns the file")
		default:
		}
		release()
		release() // again is nothing
		next := <-owned
		tried, cancel := context.WithCancelCause(t.Context())
		cancel(errEnded)
		if _, err := runtime.Own(tried, file); !errors.Is(err, errEnded) {
			t.Errorf("while the next one owns it, and who asks has ended: got %v, want %v", err, errEnded)
		}
		next()
	})
}

var errEnded = errors.New("the test has ended it")

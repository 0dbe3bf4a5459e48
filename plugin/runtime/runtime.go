// Package runtime hands what must outlive one CoreDNS instance to the next one over a reload: the running
// clusters, the right to write a state file, the zones' serials and timelines, the status pages, the fast lanes.
//
// CoreDNS starts the new instance while the old one serves, and drops the new one without a word to its
// plugins when it cannot start. So this package is the one process-wide registry of the plugin.
package runtime

import (
	"context"
	"slices"
	"sync"

	"plexha/plugin/lane"
	"plexha/plugin/status"
	"plexha/zones"
)

// Pages are the status pages of the process. They outlive an instance, so that one that cannot start takes none
// from the one that goes on.
var Pages status.Servers

// Lanes are the fast lanes of the process. They outlive an instance, so that a reload loses no packet.
var Lanes lane.Lanes

// Cluster is one running instance of the plugin.
type Cluster interface {
	// Snapshot returns the newest snapshot.
	Snapshot() *zones.Snapshot
	// Probe returns the words that say how nodes are asked: another probe asks another question.
	Probe() string
}

var (
	mu      sync.Mutex
	running = map[string][]Cluster{} // by zone, oldest first
	locks   = map[string]chan struct{}{}
)

// Latest returns the newest running cluster of the zone, or nil.
func Latest(zone string) Cluster {
	mu.Lock()
	defer mu.Unlock()
	if c := running[zone]; len(c) > 0 {
		return c[len(c)-1]
	}
	return nil
}

// All returns the newest running cluster of each zone, ordered by zone.
func All() []Cluster {
	mu.Lock()
	defer mu.Unlock()
	var names []string
	for zone := range running {
		names = append(names, zone)
	}
	slices.Sort(names)
	var out []Cluster
	for _, zone := range names {
		c := running[zone]
		out = append(out, c[len(c)-1])
	}
	return out
}

// Started enters a cluster that has started.
func Started(zone string, c Cluster) {
	mu.Lock()
	defer mu.Unlock()
	running[zone] = append(running[zone], c)
}

// Stopped takes a cluster out again. It does nothing for one that is not in.
func Stopped(zone string, c Cluster) {
	mu.Lock()
	defer mu.Unlock()
	same := func(other Cluster) bool { return other == c }
	running[zone] = slices.DeleteFunc(running[zone], same)
	if len(running[zone]) == 0 {
		delete(running, zone)
	}
	if len(running) == 0 {
		unwise = nil // the next one begins anew
	}
}

// Own waits until nobody else in the process writes the state file, and returns how to give it up again. On
// a reload the old instance owns it until its shutdown.
func Own(ctx context.Context, file string) (release func(), err error) {
	mu.Lock()
	lock := locks[file]
	if lock == nil {
		lock = make(chan struct{}, 1)
		locks[file] = lock
	}
	mu.Unlock()
	select {
	case lock <- struct{}{}:
		return sync.OnceFunc(func() { <-lock }), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

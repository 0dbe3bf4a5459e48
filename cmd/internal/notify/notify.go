// Package notify tells a service manager how a program is, see sd_notify(3).
package notify

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Manager is the one that has started the process, if it wants to be told: it gives $NOTIFY_SOCKET and $WATCHDOG_USEC.
// The zero value is ready to use.
type Manager struct {
	stopping atomic.Bool
}

// Ready tells that the program serves, from its start or its last reload on.
func (*Manager) Ready() error { return tell(daemon.SdNotifyReady) }

// Reloading tells that another configuration is about to be taken over. Ready ends it.
func (*Manager) Reloading() error {
	return tell(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// Stopping tells that the program is about to end, which may take it as long as it may take.
func (m *Manager) Stopping() error {
	m.stopping.Store(true)
	return tell(daemon.SdNotifyStopping)
}

func tell(what string) error {
	if _, err := daemon.SdNotify(false, what); err != nil {
		return fmt.Errorf("telling the service manager: %w", err)
	}
	return nil
}

// chances is how often the program is asked within the time after which the manager ends it: one bad moment does not.
const chances = 3

// Watch tells again and again that the program is well, until ctx ends. It returns at once if the manager does not want
// to know. Well is asked with a deadline; while its error stays, nothing is told, so that the manager starts the program
// again. Log gets the errors, one of each kind.
func (m *Manager) Watch(ctx context.Context, well func(context.Context) error, log func(error)) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log(fmt.Errorf("reading $WATCHDOG_USEC: %w", err))
	}
	if err != nil || limit <= 0 {
		return
	}
	tick := time.NewTicker(limit / chances)
	defer tick.Stop()
	said := ""
	for {
		err := m.beat(ctx, limit/chances, well)
		switch {
		case err == nil:
			said = ""
		case ctx.Err() == nil && err.Error() != said:
			said = err.Error()
			log(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Start has [Manager.Watch] run beside the program until end is called, which waits for it.
func (m *Manager) Start(ctx context.Context, well func(context.Context) error, log func(error)) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { m.Watch(ctx, well, log) })
	return func() {
		cancel()
		done.Wait()
	}
}

// beat tells once that the program is well, if it is. One that ends is not asked any more.
func (m *Manager) beat(ctx context.Context, within time.Duration, well func(context.Context) error) error {
	if !m.stopping.Load() {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		if err := well(ctx); err != nil && !m.stopping.Load() {
			return fmt.Errorf("the service manager is not told that all is well: %w", err)
		}
	}
	return tell(daemon.SdNotifyWatchdog)
}

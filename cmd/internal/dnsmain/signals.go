package dnsmain

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"

	"github.com/coredns/caddy"
	clog "github.com/coredns/coredns/plugin/pkg/log"

	"plexha/cmd/internal/notify"
)

// signals is what CoreDNS's own signal handling does, with two differences: SIGUSR1 keeps the `reload`
// plugin watching (Caddy drops every event hook on that signal, and `reload` enters its own only once per
// process), and SIGINT lets queries finish as SIGTERM does.
type signals struct {
	ch      chan os.Signal
	stopped chan struct{}                  // closed when all servers have stopped by themselves
	newest  atomic.Pointer[caddy.Instance] // the instance that serves; Caddy's own list has no lock for readers
	manager notify.Manager
}

func trapSignals() *signals {
	s := &signals{ch: make(chan os.Signal, 4), stopped: make(chan struct{})}
	caddy.RegisterEventHook("plexdns", func(event caddy.EventName, info any) error {
		if instance, ok := info.(*caddy.Instance); ok && event == caddy.InstanceStartupEvent {
			s.newest.Store(instance)
		}
		return nil
	})
	signal.Notify(s.ch, append(reloadSignals, append(stopSignals, ignoredSignals...)...)...)
	return s
}

// handle returns when the process should end.
func (s *signals) handle() error {
	for {
		select {
		case <-s.stopped:
			return nil
		case sig := <-s.ch:
			switch {
			case slices.Contains(stopSignals, sig):
				return s.shutdown(sig)
			case slices.Contains(reloadSignals, sig):
				s.reload(sig)
			}
		}
	}
}

// watch tells the service manager from time to time that all is well, until it is told to end.
func (s *signals) watch() (end func()) {
	p := &pulse{newest: s.newest.Load, answered: map[netip.AddrPort]bool{}}
	return s.manager.Start(context.Background(), p.well, func(err error) { clog.Error(err) })
}

// tell tells the service manager, if there is one that wants to know.
func tell(what func() error) {
	if err := what(); err != nil {
		clog.Warning(err)
	}
}

// shutdown runs the plugins' shutdown and stops the servers, which lets queries finish. Another signal to
// stop ends the process at once.
func (s *signals) shutdown(sig os.Signal) error {
	clog.Infof("%v: shutting down", sig)
	tell(s.manager.Stopping)
	done := make(chan error, 1)
	go func() {
		var errs []error
		if instance := s.newest.Load(); instance != nil {
			errs = instance.ShutdownCallbacks()
		}
		errs = append(errs, caddy.Stop())
		done <- errors.Join(errs...)
	}()
	for {
		select {
		case err := <-done:
			if err != nil {
				clog.Errorf("shutting down: %v", err)
				return exitCode(exitStopping)
			}
			return nil
		case sig := <-s.ch:
			if slices.Contains(stopSignals, sig) {
				clog.Infof("%v: not waiting any longer", sig)
				return exitCode(exitForced)
			}
		}
	}
}

// reload starts the Corefile as it is now in the place of what runs. A bad one leaves that serving.
func (s *signals) reload(sig os.Signal) {
	instance := s.newest.Load()
	if instance == nil {
		return
	}
	tell(s.manager.Reloading)
	defer tell(s.manager.Ready)
	corefile, err := caddy.LoadCaddyfile(serverType)
	if err != nil {
		clog.Errorf("%v: reading the Corefile: %v", sig, err)
		return
	}
	_, err = instance.Restart(corefile)
	switch {
	case err == nil:
	case s.newest.Load() != instance:
		clog.Infof("%v: the reload plugin was quicker", sig)
	default:
		clog.Errorf("%v: the Corefile is not taken over, the old one goes on serving", sig) // Caddy has said why
	}
}

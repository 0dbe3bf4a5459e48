package probe_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/plugin/probe"
)

func TestEndsOfALink(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(*net.TCPConn)
		want probe.Wake
	}{
		{"closed", func(*net.TCPConn) {}, probe.Closed()},
		{"closed after some words", func(c *net.TCPConn) { c.Write(make([]byte, 10_000)) }, probe.Closed()},
		{"reset", func(c *net.TCPConn) { c.SetLinger(0) }, probe.Reset()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			connected := make(chan struct{})
			at := serveRaw(t, func(c *net.TCPConn) {
				<-connected
				tc.end(c)
			})
			conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(at))
			if err != nil {
				t.Fatal(err)
			}
			close(connected)
			if got := probe.EndOfLink(t.Context(), conn); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

// Refused a moment after it was up: a probe has to look, at once.
func TestLinkThatCannotBeMade(t *testing.T) {
	up, wakes := make(chan struct{}, 1), make(chan probe.Wake)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { probe.TCPLink(closedPort(t))(ctx, up, wakes) })
	defer wg.Wait()
	defer cancel()
	up <- struct{}{}
	if got := <-wakes; got != probe.Closed() {
		t.Errorf("got %+v, want %+v", got, probe.Closed())
	}
}

func TestLinkConnectsOnlyOnceUp(t *testing.T) {
	connected := make(chan struct{}, 1)
	at := serveRaw(t, func(c *net.TCPConn) {
		connected <- struct{}{}
		drain(c)
	})
	up := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { probe.TCPLink(at)(ctx, up, nil) })
	defer wg.Wait()
	defer cancel()
	select {
	case <-connected:
		t.Error("connected before its place was up")
	case <-time.After(20 * time.Millisecond):
	}
	up <- struct{}{}
	<-connected
}

func TestWhenALinkIsMadeAnew(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		name  string
		lasts time.Duration // each link
		good  time.Duration // between two good probes
		want  []time.Duration
	}{
		{"ever later, if it ends at once", 0, 10 * time.Millisecond, []time.Duration{0, s, 3 * s, 7 * s, 15 * s, 31 * s, 61 * s, 91 * s}},
		{"soon, if it has lasted", time.Minute, 10 * time.Millisecond, []time.Duration{0, 61 * s, 122 * s}},
		{"not before the next good probe", 0, 1500 * time.Millisecond, []time.Duration{0, s * 3 / 2, s * 9 / 2, 9 * s}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var made []time.Duration
				began := time.Now()
				up, wakes := make(chan struct{}, 1), make(chan probe.Wake, 100)
				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				wg.Go(func() {
					probe.Relink(func(context.Context) {
						made = append(made, time.Since(began))
						pass(tc.lasts)
					})(ctx, up, wakes)
				})
				for len(wakes) < len(tc.want) {
					select {
					case up <- struct{}{}:
					default:
					}
					pass(tc.good)
				}
				cancel()
				wg.Wait()
				near := cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() <= 200*time.Millisecond })
				if diff := cmp.Diff(tc.want, made[:len(tc.want)], near); diff != "" {
					t.Errorf("made after (-want +got):\n%s", diff)
				}
			})
		})
	}
}

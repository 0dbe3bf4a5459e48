package e2e_test

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestReloadKeepsHealth reloads while a node is frozen, which shows least: what is known of it must not have to
// be learned again at the cost of requests. With a timeout of 4 s that would take longer than a machine is busy.
func TestReloadKeepsHealth(t *testing.T) {
	t.Parallel()
	got := compare(t, stageConfig{lines: []string{"timeout 4s"}}, func(t *testing.T, s *stage) tally {
		path := s.front.pathOn("plex1")
		s.freeze(0)
		eventually(t, 30*time.Second, func() error {
			if a := s.front.get(path, within(time.Second)); a.node() != "plex2" {
				return fmt.Errorf("plex1 was frozen: %s", a)
			}
			return nil
		})
		s.front.reload(t, 1)
		return each(20, func(int) answer { return s.front.get(path, within(5*time.Second)) })
	}, tuned, ours)
	if c := got[ours]; c.failed > 0 || c.slowest > 3*time.Second {
		t.Errorf("plexproxy: %s, want all within 3s", c)
	}
	if c := got[tuned]; c.failed == 0 {
		t.Errorf("the tuned Caddy: %s: no longer the fault that it was", c)
	}
}

// rush is what new connections have met.
type rush struct {
	ok, resets, failed int64
	took               time.Duration
	example            string
}

func (r *rush) add(other rush) {
	r.ok += other.ok
	r.resets += other.resets
	r.failed += other.failed
	r.took += other.took
	r.example = cmp.Or(r.example, other.example)
}

// String implements [fmt.Stringer].
func (r rush) String() string {
	s := fmt.Sprintf("%d answered (%.0f a second), %d resets, %d failed otherwise", r.ok,
		float64(r.ok)/r.took.Seconds(), r.resets, r.failed)
	if r.example != "" {
		s += "; " + r.example
	}
	return s
}

// TestReloadsUnderNewConnections compares what new connections meet during ten reloads. It measures, and so runs
// alone: two rounds of each, one after the other.
func TestReloadsUnderNewConnections(t *testing.T) {
	stages := map[maker]*stage{}
	for _, m := range []maker{ours, tuned} {
		stages[m] = newStage(t, m, stageConfig{lean: true})
	}
	sum := map[maker]*rush{ours: {}, tuned: {}}
	for range 2 {
		for _, m := range []maker{ours, tuned} {
			r := newcomers(t, stages[m])
			t.Logf("%-26s %s", m, r)
			sum[m].add(r)
		}
	}
	for m, r := range sum {
		t.Logf("%-26s %s, in both rounds", m, r)
	}
	if r := sum[ours]; r.ok < 99*r.failed {
		t.Errorf("plexproxy: %s: hardly anything was answered", r)
	}
	if sum[ours].resets > 0 {
		t.Errorf("plexproxy: %s, want no resets", sum[ours])
	}
	if got, most := sum[ours].failed, sum[tuned].failed+sum[tuned].resets; got > most {
		t.Errorf("plexproxy: %d requests failed, stock Caddy's %d", got, most)
	}
}

// newcomers opens 2,000 connections a second, each for one request, while it reloads ten times.
func newcomers(t *testing.T, s *stage) rush {
	t.Helper()
	const pace, reloads, pause = 2000, 10, 500 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	tokens := make(chan struct{}, pace/10)
	var r rush
	var ok, resets, failed atomic.Int64
	var once sync.Once
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range tokens {
				switch err := s.front.knock(); {
				case err == nil:
					ok.Add(1)
				case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED):
					resets.Add(1)
				default:
					failed.Add(1)
					once.Do(func() { r.example = err.Error() })
				}
			}
		})
	}
	began := time.Now()
	wg.Go(func() {
		defer close(tokens)
		const step = 5 * time.Millisecond
		every(ctx, step, func(int) {
			for range pace / int(time.Second/step) {
				select {
				case tokens <- struct{}{}:
				default: // the machine is too slow for the pace
				}
			}
		})
	})
	for i := range reloads {
		time.Sleep(pause)
		s.front.reload(t, 1+i)
	}
	time.Sleep(pause)
	r.took = time.Since(began)
	cancel()
	wg.Wait()
	r.ok, r.resets, r.failed = ok.Load(), resets.Load(), failed.Load()
	return r
}

// knock opens a connection, asks once and closes it.
func (f *front) knock() error {
	conn, err := net.DialTimeout("tcp", f.addr.String(), 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	const request = "GET /library/sections HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nConnection: close\r\n\r\n"
	if _, err := fmt.Fprintf(conn, request, siteName, userAgent); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

package probe_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/plugin/probe"
	"plexha/zones"
	"plexha/zones/board"
)

var plex1 = node("plex1", "192.168.1.10", 32401)

// ask is how a fake place answers.
type ask = func(ctx context.Context, s zones.Subject, at netip.AddrPort, fresh bool) probe.Answer

// until answers well for a time, and then as later does.
func until(good time.Duration, later func(context.Context) probe.Answer) ask {
	began := time.Now()
	return func(ctx context.Context, _ zones.Subject, _ netip.AddrPort, _ bool) probe.Answer {
		if time.Since(began) < good {
			return probe.Good("")
		}
		return later(ctx)
	}
}

// always answers the same, whatever is asked.
func always(a probe.Answer) ask {
	return func(context.Context, zones.Subject, netip.AddrPort, bool) probe.Answer { return a }
}

// endsAt is a link watch that tells once, that long after its place came up.
func endsAt(at time.Duration, w probe.Wake) func(context.Context, <-chan struct{}, chan<- probe.Wake) {
	began := time.Now()
	return func(ctx context.Context, up <-chan struct{}, wakes chan<- probe.Wake) {
		<-up
		select {
		case <-time.After(at - time.Since(began)):
			wakes <- w
		case <-ctx.Done():
		}
	}
}

// With the defaults, whatever the moment at which a server goes bad in between two probes.
func TestWorstCaseOfDetection(t *testing.T) {
	type link = func(context.Context, <-chan struct{}, chan<- probe.Wake)
	linkless := func(time.Duration) link { return noLink }
	for _, tc := range []struct {
		name string
		bad  func(context.Context) probe.Answer
		link func(bad time.Duration) link
		most time.Duration
	}{
		{"frozen", probe.Unanswered, linkless, 3500 * time.Millisecond},
		{
			"answers 500", func(context.Context) probe.Answer { return probe.Bad("answers 500") },
			linkless, 2500 * time.Millisecond,
		},
		{
			"refuses, with no link watch", func(context.Context) probe.Answer { return probe.Refused() },
			linkless, 2250 * time.Millisecond,
		},
		{
			// The kernel gives up 1.75 s after the host was last heard, 2 s if nobody urges it.
			"vanished", probe.Unanswered, func(bad time.Duration) link {
				return endsAt(bad+2*time.Second, probe.Broken("connection timed out"))
			}, 3 * time.Second,
		},
		{
			"killed", func(context.Context) probe.Answer { return probe.Refused() }, func(bad time.Duration) link {
				return endsAt(bad, probe.Closed())
			}, 0,
		},
		{
			"killed, with its connections reset", func(context.Context) probe.Answer { return probe.Refused() },
			func(bad time.Duration) link { return endsAt(bad, probe.Reset()) }, 0,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for phase := 50 * time.Millisecond; phase <= 3*interval; phase += 50 * time.Millisecond {
				bad := phase + time.Millisecond
				run(t, func(*fakeBoard) probe.Options {
					return probe.Options{Config: config(plex1)}.Asking(until(bad, tc.bad)).Linking(tc.link(bad))
				}, func(b *fakeBoard, _ *probe.Prober) {
					pass(bad + 10*time.Second)
					down, ok := b.downAfter()
					if took := down - bad; !ok || took > tc.most {
						t.Errorf("bad after %v: down %v later (%v), want at most %v; verdicts: %v",
							bad, took, ok, tc.most, b.after(0))
					}
				})
			}
		})
	}
}

func TestScheduleOfAHealthyNode(t *testing.T) {
	second := func(time.Duration) time.Duration { return 700 * time.Millisecond }
	run(t, func(*fakeBoard) probe.Options {
		return probe.Options{Config: config(plex1)}.Asking(always(probe.Good("a"))).Linking(noLink).Jittering(second)
	}, func(b *fakeBoard, _ *probe.Prober) {
		pass(5 * time.Second)
		want := []string{"0s ok", "700ms ok", "2.7s ok", "4.7s ok"}
		if diff := cmp.Diff(want, b.after(0)); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
	})
}

func TestScheduleInDoubt(t *testing.T) {
	bad := func(context.Context) probe.Answer { return probe.Bad("answers 500") }
	for _, tc := range []struct {
		name string
		ask  func() ask
		want []string
	}{
		{
			"a failure is confirmed after 250 ms, then the load is low again",
			func() ask { return until(time.Second, bad) },
			[]string{"0s ok", "2s failed: answers 500", "2.25s failed: answers 500", "4.25s failed: answers 500"},
		},
		{
			"a recovery is confirmed after 250 ms",
			func() ask {
				began := time.Now()
				return func(context.Context, zones.Subject, netip.AddrPort, bool) probe.Answer {
					if time.Since(began) < time.Second {
						return probe.Bad("answers 500")
					}
					return probe.Good("")
				}
			},
			[]string{"0s failed: answers 500", "2s ok", "2.25s ok", "4.25s ok"},
		},
		{
			"maintenance is no doubt",
			func() ask { return always(probe.Maintained()) },
			[]string{"0s starting: in maintenance", "2s starting: in maintenance", "4s starting: in maintenance"},
		},
		{
			"one that never answers is late after 250 ms, asked beside, and down after two timeouts",
			func() ask { return until(time.Second, probe.Unanswered) },
			[]string{
				"0s ok", "2.25s late: no answer for 250ms",
				"3s failed: no answer within 1s", "3.25s failed: no answer within 1s",
			},
		},
		{
			"one that was never up is not called late",
			func() ask { return until(0, probe.Unanswered) },
			[]string{"1s failed: no answer within 1s", "3s failed: no answer within 1s"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			run(t, func(*fakeBoard) probe.Options {
				return probe.Options{Config: config(plex1)}.Asking(tc.ask()).Linking(noLink).Jittering(atOnce)
			}, func(b *fakeBoard, _ *probe.Prober) {
				pass(4900 * time.Millisecond)
				got := b.after(0)
				got = got[:min(len(got), len(tc.want))]
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("verdicts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// slowOnce answers the second probe only after took; what is asked beside it hangs.
func slowOnce(took time.Duration, called *collected[bool], calledOff *atomic.Int32) ask {
	var n atomic.Int32
	return func(ctx context.Context, _ zones.Subject, _ netip.AddrPort, fresh bool) probe.Answer {
		called.add(fresh)
		switch n.Add(1) {
		case 2:
			select {
			case <-time.After(took):
				return probe.Good("")
			case <-ctx.Done():
			}
		case 3:
			began := time.Now()
			defer func() {
				if time.Since(began) < timeout {
					calledOff.Add(1)
				}
			}()
			return probe.Unanswered(ctx)
		}
		return probe.Good("")
	}
}

func TestLateAnswerClearsAndCallsOffTheOther(t *testing.T) {
	var fresh collected[bool]
	var off atomic.Int32
	var seen collected[probe.Observation]
	run(t, func(*fakeBoard) probe.Options {
		return probe.Options{
			Config:  config(plex1),
			Observe: seen.add,
		}.Asking(slowOnce(400*time.Millisecond, &fresh, &off)).Linking(noLink).Jittering(atOnce)
	}, func(b *fakeBoard, _ *probe.Prober) {
		pass(4900 * time.Millisecond)
		want := []string{"0s ok", "2.25s late: no answer for 250ms", "2.4s ok", "4.25s ok"}
		if diff := cmp.Diff(want, b.after(0)); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
		if want := []bool{false, false, true, false}; !slices.Equal(fresh.all(), want) {
			t.Errorf("asked on fresh connections: %v, want %v", fresh.all(), want)
		}
		if off.Load() != 1 {
			t.Error("the confirming probe was left to its timeout")
		}
		if got := seen.all(); len(got) != 3 {
			t.Errorf("got %d observations, want 3: the one called off is none: %v", len(got), got)
		}
	})
}

// A server whose disks have to spin up each time is not in doubt each time.
func TestSlowServerIsNotLate(t *testing.T) {
	slow := func(context.Context, zones.Subject, netip.AddrPort, bool) probe.Answer {
		pass(200 * time.Millisecond)
		return probe.Good("")
	}
	slower := func(ctx context.Context, s zones.Subject, at netip.AddrPort, fresh bool) probe.Answer {
		pass(500 * time.Millisecond)
		return slow(ctx, s, at, fresh)
	}
	var n atomic.Int32
	run(t, func(*fakeBoard) probe.Options {
		return probe.Options{Config: config(plex1)}.Linking(noLink).Jittering(atOnce).Asking(
			func(ctx context.Context, s zones.Subject, at netip.AddrPort, fresh bool) probe.Answer {
				if n.Add(1) == 3 {
					return slower(ctx, s, at, fresh)
				}
				return slow(ctx, s, at, fresh)
			})
	}, func(b *fakeBoard, _ *probe.Prober) {
		pass(7 * time.Second)
		want := []string{"200ms ok", "2.2s ok", "4.7s ok", "6.2s ok"}
		if diff := cmp.Diff(want, b.after(0)); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
	})
}

func TestLinkWatch(t *testing.T) {
	const bad = 3 * time.Second
	refused := func(context.Context) probe.Answer { return probe.Refused() }
	for _, tc := range []struct {
		name string
		wake func() probe.Wake
		ask  func() ask
		want []string // from then on
	}{
		{
			"closed and nothing listens: down now", probe.Closed,
			func() ask { return until(bad, refused) },
			[]string{"3s gone: connection refused"},
		},
		{
			"reset and nothing listens: down now", probe.Reset,
			func() ask { return until(bad, refused) },
			[]string{"3s failed: connection reset by peer", "3s gone: connection refused"},
		},
		{
			"closed by a server that lives on: one probe, no failure", probe.Closed,
			func() ask { return always(probe.Good("")) },
			[]string{"3s ok", "5s ok"},
		},
		{
			"given up by the kernel, but a probe is answered", func() probe.Wake { return probe.Broken("no route to host") },
			func() ask { return always(probe.Good("")) },
			[]string{"3s failed: no route to host", "3s ok", "5s ok"},
		},
		{
			"a listener that dies after its connections: asked twice", probe.Closed,
			func() ask {
				var n atomic.Int32
				return until(bad, func(context.Context) probe.Answer {
					if n.Add(1) == 1 {
						return probe.CutOff()
					}
					return probe.Refused()
				})
			},
			[]string{"3s gone: connection refused"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			run(t, func(*fakeBoard) probe.Options {
				return probe.Options{Config: config(plex1)}.
					Asking(tc.ask()).Linking(endsAt(bad, tc.wake())).Jittering(atOnce)
			}, func(b *fakeBoard, _ *probe.Prober) {
				pass(6 * time.Second)
				got := b.after(bad)
				got = got[:min(len(got), len(tc.want))]
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("verdicts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// What is known to be down has no more to lose: the end of its link is no news.
func TestLinkOfAPlaceThatIsDown(t *testing.T) {
	bad := func(context.Context) probe.Answer { return probe.Refused() }
	for name, w := range map[string]probe.Wake{"closed": probe.Closed(), "reset": probe.Reset()} {
		t.Run(name, func(t *testing.T) {
			run(t, func(*fakeBoard) probe.Options {
				return probe.Options{Config: config(plex1)}.Jittering(atOnce).
					Asking(until(time.Second, bad)).Linking(endsAt(3*time.Second, w))
			}, func(b *fakeBoard, _ *probe.Prober) {
				pass(4 * time.Second)
				want := []string{"0s ok", "2s failed: connection refused", "2.25s failed: connection refused"}
				if diff := cmp.Diff(want, b.after(0)); diff != "" {
					t.Errorf("verdicts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Two probes are on their way when the link ends: the schedule's, which makes the place down, and the one
// that was woken. Refused then is a failure like any other.
func TestGoneOnlyFromUp(t *testing.T) {
	var n atomic.Int32
	ask := func(context.Context, zones.Subject, netip.AddrPort, bool) probe.Answer {
		switch n.Add(1) {
		case 1:
			return probe.Good("")
		case 2:
			pass(50 * time.Millisecond)
		default:
			pass(100 * time.Millisecond)
		}
		return probe.Refused()
	}
	run(t, func(*fakeBoard) probe.Options {
		return probe.Options{Config: config(plex1)}.Jittering(atOnce).Asking(ask).
			Linking(endsAt(2010*time.Millisecond, probe.Reset()))
	}, func(b *fakeBoard, _ *probe.Prober) {
		pass(2200 * time.Millisecond)
		want := []string{
			"0s ok", "2.01s failed: connection reset by peer", "2.05s failed: connection refused",
			"2.11s failed: connection refused",
		}
		if diff := cmp.Diff(want, b.after(0)); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
	})
}

// The server answered a probe, then died: the answer that was on its way must not call the woken probe off.
func TestAnswerFromBeforeTheEndOfALinkDoesNotHideIt(t *testing.T) {
	var n atomic.Int32
	run(t, func(*fakeBoard) probe.Options {
		return probe.Options{Config: config(plex1)}.Jittering(atOnce).
			Linking(endsAt(2010*time.Millisecond, probe.Closed())).
			Asking(func(context.Context, zones.Subject, netip.AddrPort, bool) probe.Answer {
				if n.Add(1); n.Load() == 3 {
					pass(20 * time.Millisecond)
					return probe.Refused()
				}
				pass(15 * time.Millisecond)
				return probe.Good("")
			})
	}, func(b *fakeBoard, _ *probe.Prober) {
		pass(2100 * time.Millisecond)
		want := []string{"15ms ok", "2.015s ok", "2.03s gone: connection refused"}
		if diff := cmp.Diff(want, b.after(0)); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
	})
}

func TestServerThatClosesIdleConnections(t *testing.T) {
	var said collected[string]
	var ended atomic.Bool
	closing := func(ctx context.Context, up <-chan struct{}, wakes chan<- probe.Wake) {
		defer ended.Store(true)
		for {
			select {
			case <-ctx.Done():
				return
			case <-up:
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(3 * time.Second):
				wakes <- probe.Closed()
			}
		}
	}
	run(t, func(*fakeBoard) probe.Options {
		return probe.Options{Config: config(plex1), Warn: said.add}.
			Asking(always(probe.Good(""))).Linking(closing).Jittering(atOnce)
	}, func(b *fakeBoard, _ *probe.Prober) {
		pass(60 * time.Second)
		want := []string{"node plex1 at 192.168.1.10:32401: closes idle connections, so it is probed without a link watch"}
		if diff := cmp.Diff(want, said.all()); diff != "" {
			t.Errorf("warnings (-want +got):\n%s", diff)
		}
		if !ended.Load() {
			t.Error("the link watch goes on")
		}
		if n := len(b.all()); n > 33 {
			t.Errorf("%d probes in a minute, want 30 and a few", n)
		}
	})
}

func TestPanicIsAFailedVerdict(t *testing.T) {
	var seen collected[probe.Observation]
	run(t, func(*fakeBoard) probe.Options {
		return probe.Options{
			Config:  config(plex1),
			Observe: seen.add,
		}.Linking(noLink).Jittering(atOnce).
			Asking(until(time.Second, func(context.Context) probe.Answer { panic("index out of range") }))
	}, func(b *fakeBoard, _ *probe.Prober) {
		pass(3 * time.Second)
		want := []string{
			"0s ok", "2s failed: probe panicked: index out of range", "2.25s failed: probe panicked: index out of range",
		}
		if diff := cmp.Diff(want, b.after(0)); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
		wantSeen := probe.Observation{
			Subject: plex1.Subject(), Addr: netip.MustParseAddr("192.168.1.10"), Result: board.Failed, Panicked: true,
		}
		if got := seen.all()[1]; got != wantSeen {
			t.Errorf("observed %+v, want %+v", got, wantSeen)
		}
	})
}

func TestStalledLoop(t *testing.T) {
	stuck := make(chan struct{})
	run(t, func(*fakeBoard) probe.Options {
		stuck = make(chan struct{})
		return probe.Options{Config: config(plex1, node("plex2", "192.168.1.11", 32402))}.Linking(noLink).Asking(
			func(_ context.Context, s zones.Subject, _ netip.AddrPort, _ bool) probe.Answer {
				if s.Name == "plex2" {
					<-stuck // heeds no deadline
				}
				return probe.Good("")
			})
	}, func(_ *fakeBoard, p *probe.Prober) {
		pass(interval + 2*timeout + time.Second)
		if got := p.Stalled(time.Now()); len(got) != 0 {
			t.Errorf("stalled too early: %v", got)
		}
		pass(time.Second)
		want := []zones.Subject{{Kind: zones.KindNode, Name: "plex2"}}
		if diff := cmp.Diff(want, p.Stalled(time.Now())); diff != "" {
			t.Errorf("stalled (-want +got):\n%s", diff)
		}
		close(stuck)
	})
}

// The load on a node that is not up is that on a healthy one, not more.
func TestLoadWhileDown(t *testing.T) {
	for name, a := range map[string]probe.Answer{"refuses": probe.Refused(), "cut off": probe.CutOff()} {
		t.Run(name, func(t *testing.T) {
			run(t, func(*fakeBoard) probe.Options {
				return probe.Options{Config: config(plex1)}.Asking(always(a)).Linking(noLink)
			}, func(b *fakeBoard, _ *probe.Prober) {
				pass(100 * interval)
				if n := len(b.all()); n > 102 {
					t.Errorf("%d probes in 100 intervals", n)
				}
			})
		})
	}
}

func BenchmarkSteadyProbe(b *testing.B) {
	s := newPlex(b, fmt.Sprintf(`<MediaContainer size="0" machineIdentifier=%q/>`, machineID))
	a := probe.NodeAsker(probe.Options{Config: config(), Version: "bench"}, node("plex1", "127.0.0.1", s.Port()), s)
	defer a.Close()
	b.ReportAllocs()
	for b.Loop() {
		if got := a.Ask(b.Context(), false); got.Why() != "" {
			b.Fatal(got.Why())
		}
	}
}

package board_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"plexha/zones"
	"plexha/zones/board"
)

// Each row is what the probes of a node say, and its state after each verdict.
func TestThresholds(t *testing.T) {
	results := map[string]board.Result{
		"ok": board.OK, "late": board.Late, "failed": board.Failed, "gone": board.Gone, "starting": board.Starting,
	}
	for _, tc := range []struct {
		name       string
		rise, fall int
		verdicts   string
		want       string
	}{
		{"the first verdict sets the state at once: up", 2, 2, "ok", "up"},
		{"the first verdict sets the state at once: down", 2, 2, "failed", "down"},
		{"the first verdict sets the state at once: starting", 2, 2, "starting", "starting"},
		{"fall failures in a row", 2, 2, "ok > failed > failed", "up > failing > down"},
		{"not in a row", 2, 2, "ok > failed > ok > failed > failed", "up > failing > up > failing > down"},
		{"rise successes", 2, 2, "failed > ok > ok", "down > recovering > up"},
		{"not in a row on the way back", 2, 2, "failed > ok > failed > ok > ok", "down > recovering > down > recovering > up"},
		{"three each", 3, 3, "ok > failed > failed > failed > ok > ok > ok", "up > failing > failing > down > recovering > recovering > up"},
		{"one each", 1, 1, "ok > failed > ok", "up > down > up"},
		{"late: failing", 2, 2, "ok > late", "up > failing"},
		{"late, then it answers in time", 2, 2, "ok > late > ok", "up > failing > up"},
		{"late counts as nothing", 2, 2, "ok > late > failed > failed", "up > failing > failing > down"},
		{"late again counts as nothing", 2, 2, "ok > late > late > late", "up > failing > failing > failing"},
		{"late after a failure", 2, 2, "ok > failed > late > failed", "up > failing > failing > down"},
		{"late is no first verdict", 2, 2, "late > ok", "unknown > up"},
		{"late while down", 2, 2, "failed > late", "down > down"},
		{"late while recovering", 2, 2, "failed > ok > late > ok", "down > recovering > recovering > up"},
		{"gone: down now", 2, 5, "ok > gone", "up > down"},
		{"gone while failing", 2, 5, "ok > failed > gone", "up > failing > down"},
		{"gone as the first verdict", 2, 5, "gone", "down"},
		{"gone while recovering", 2, 2, "failed > ok > gone > ok > ok", "down > recovering > down > recovering > up"},
		{"maintenance counts as a failure", 2, 2, "ok > starting > starting", "up > failing > starting"},
		{"maintenance and a failure", 2, 2, "ok > starting > failed", "up > failing > down"},
		{"from maintenance it comes back as from down", 2, 2, "starting > ok > ok", "starting > recovering > up"},
		{"down, then maintenance", 2, 2, "failed > starting", "down > starting"},
		{"maintenance, then down", 2, 2, "starting > failed", "starting > down"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			play(t, house(nodes(1), thresholds(tc.rise, tc.fall)), func(s *scene) {
				var got []string
				for verdict := range strings.SplitSeq(tc.verdicts, " > ") {
					got = append(got, s.report(results[verdict], "plex1").String())
				}
				if got := strings.Join(got, " > "); got != tc.want {
					s.Errorf("%s\ngot  %s\nwant %s", tc.verdicts, got, tc.want)
				}
				s.published()
				s.is("plex1 " + got[len(got)-1])
			})
		})
	}
}

func TestSinceAndWhy(t *testing.T) {
	play(t, house(nodes(1)), func(s *scene) {
		if h := s.Snapshot().Nodes[0].Health; !h.Since.IsZero() {
			s.Errorf("unknown since %v, want never", h.Since)
		}
		s.ok("plex1")
		up := time.Now()
		s.wait(time.Minute)
		s.ok("plex1")
		s.wait(time.Minute)
		if h := s.published().Nodes[0].Health; !h.Since.Equal(up) || h.Why != "" {
			s.Errorf("up since %v for %q, want %v for nothing", h.Since, h.Why, up)
		}
		s.failed("plex1")
		s.failed("plex1")
		down := time.Now()
		s.wait(time.Minute)
		s.failed("plex1")
		if h := s.published().Nodes[0].Health; !h.Since.Equal(down) || h.Why != "probe says failed" {
			s.Errorf("down since %v for %q, want %v for what the probe says", h.Since, h.Why, down)
		}
	})
}

// Health of a subject with two families is kept per address, and the subject is as well as its best one.
func TestTwoFamilies(t *testing.T) {
	play(t, house(node("plex1", "docker1"), proxy("192.168.1.1:443", "[fd12::1]:443")), func(s *scene) {
		s.SetAddrs(zones.Subject{Name: "plex1"}, parseAddrs("fd12::11", "10.0.0.1"), time.Now())
		s.published()
		for _, name := range []string{"plex1", "192.168.1.1:443"} {
			s.ok(name+"/4", name+"/6")
			s.published()
			s.is(name+"/4 up", name+"/6 up", name+" up")
			s.down(name + "/4")
			s.is(name+"/4 down", name+"/6 up", name+" up")
			s.failed(name + "/6")
			s.published()
			s.is(name+"/6 failing", name+" failing")
			s.failed(name + "/6")
			s.is(name+"/6 down", name+" down")
			if _, h, _ := s.subject(name); h.Why != h.Addrs[0].Why {
				s.Errorf("%s is down since %q, want its first address's %q", name, h.Why, h.Addrs[0].Why)
			}
			s.ok(name+"/4", name+"/4")
			s.published()
			s.is(name+"/4 up", name+"/6 down", name+" up")
		}
	})
}

func TestVerdictsOnNobody(t *testing.T) {
	play(t, house(nodes(1)), func(s *scene) {
		s.ok("plex1")
		seq := s.published().Seq
		for what, v := range map[string]board.Verdict{
			"a subject that is not there":      {Subject: zones.Subject{Name: "plex9"}, Addr: parseAddrs("10.0.0.1")[0]},
			"an address that it has no more":   {Subject: zones.Subject{Name: "plex1"}, Addr: parseAddrs("10.0.0.9")[0]},
			"the whole while it has addresses": {Subject: zones.Subject{Name: "plex1"}},
		} {
			v.Result, v.At = board.Gone, time.Now()
			if got := s.Report(v); got != zones.Unknown {
				s.Errorf("%s: %s, want unknown", what, got)
			}
		}
		if got := s.published().Seq; got != seq {
			s.Errorf("snapshot %d, want %d still", got, seq)
		}
		s.is("plex1 up")
	})
}

// While no address is known, the subject as a whole has the state.
func TestHostThatCannotBeLookedUp(t *testing.T) {
	play(t, house(node("plex1", "docker1")), func(s *scene) {
		s.failed("plex1")
		s.published()
		s.is("plex1 down")
		s.SetAddrs(zones.Subject{Name: "plex1"}, parseAddrs("10.0.0.1"), time.Now())
		s.published()
		s.is("plex1 unknown")
		if got := s.ok("plex1"); got != zones.Up {
			s.Errorf("the first verdict on its address: %s, want up", got)
		}
	})
}

// An identity belongs to the node whose id it is, else to the one that had it first, else to the earlier in
// the file.
func TestImpostor(t *testing.T) {
	const one, two, three = "1111111111", "2222222222", "3333333333"
	known := func(s *scene) {
		s.answers("plex1", one)
		s.answers("plex2", two)
	}
	for _, tc := range []struct {
		name   string
		ids    []string // of plex1, plex2
		script func(*scene)
		want   []string
	}{
		{"each its own", nil, known, []string{"plex1 up", "plex2 up"}},
		{"another than its id", []string{one, ""}, func(s *scene) { s.answers("plex1", two) }, []string{"plex1 impostor"}},
		{"its id, in capitals", []string{"abcdef"}, func(s *scene) { s.answers("plex1", "ABCDEF") }, []string{"plex1 up"}},
		{"an answer without identity", []string{one}, func(s *scene) { s.answers("plex1", "") }, []string{"plex1 up"}},
		{"one that another has", nil, func(s *scene) {
			s.answers("plex1", one)
			s.answers("plex2", one)
		}, []string{"plex1 up", "plex2 impostor"}},
		{
			"one that is another's id",
			[]string{"", two},
			func(s *scene) { s.answers("plex1", two) },
			[]string{"plex1 impostor"},
		},
		{"one that is another's id, though it was first", []string{"", one}, func(s *scene) {
			s.answers("plex1", one)
			s.answers("plex2", one)
			s.answers("plex1", one)
			s.answers("plex1", one)
		}, []string{"plex1 impostor", "plex2 up"}},
		{"met first, but later in the file", nil, func(s *scene) {
			s.answers("plex2", one)
			s.answers("plex1", one)
			s.answers("plex2", one)
			s.answers("plex2", one)
		}, []string{"plex1 up", "plex2 impostor"}},
		{"later in the file, but it took it first", nil, func(s *scene) {
			known(s)
			s.answers("plex1", two)
			s.answers("plex1", two)
		}, []string{"plex1 impostor", "plex2 up"}},
		{"later in the file, after having been another", nil, func(s *scene) {
			s.answers("plex2", two)
			s.answers("plex2", one)
			s.answers("plex1", one)
		}, []string{"plex1 impostor", "plex2 up"}},
		{"it goes down like any other", nil, func(s *scene) {
			known(s)
			s.answers("plex2", one)
		}, []string{"plex2 failing"}},
		{"it comes back like any other", nil, func(s *scene) {
			s.answers("plex1", one)
			s.answers("plex2", one)
			s.answers("plex2", two)
		}, []string{"plex2 recovering"}},
		{"a new identity that nobody has", nil, func(s *scene) {
			known(s)
			s.answers("plex1", three)
		}, []string{"plex1 up", "plex2 up"}},
		{"two that change places", nil, func(s *scene) {
			known(s)
			for range 5 {
				s.answers("plex1", two)
				s.answers("plex2", one)
			}
		}, []string{"plex1 up", "plex2 up"}},
		{"a third takes what one has lost", nil, func(s *scene) {
			known(s)
			s.answers("plex1", two)
			s.answers("plex1", two) // it is not one any more
			s.answers("plex3", one)
			s.failed("plex1")
			s.answers("plex3", one)
		}, []string{"plex1 down", "plex2 up", "plex3 up"}},
		{"the owner is down: it is the owner's still", nil, func(s *scene) {
			known(s)
			s.down("plex1")
			s.answers("plex2", one)
			s.answers("plex2", one)
		}, []string{"plex1 down", "plex2 impostor"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ids := append(slices.Clone(tc.ids), "", "")
			cfg := house(node("plex1", "10.0.0.1", ids[0]), node("plex2", "10.0.0.2", ids[1]), node("plex3", "10.0.0.3"))
			play(t, cfg, func(s *scene) {
				tc.script(s)
				s.published()
				s.is(tc.want...)
			})
		})
	}
}

func TestImpostorSaysWhose(t *testing.T) {
	const mine, other = "11111111aaaa", "22222222bbbb"
	play(t, house(node("plex1", "10.0.0.1", mine), node("plex2", "10.0.0.2"), node("plex3", "10.0.0.3")), func(s *scene) {
		s.answers("plex1", other)
		s.answers("plex2", other)
		s.answers("plex3", other)
		s.answers("plex3", "short")
		snap := s.published()
		for i, want := range []string{"answers as 22222222, not as the id 11111111 of its line", "", "answers as 22222222, which is node plex2"} {
			if got := snap.Nodes[i].Why; got != want {
				s.Errorf("%s: %q, want %q", snap.Nodes[i].Name, got, want)
			}
		}
		for i, want := range []string{"", other, "short"} {
			if got := snap.Nodes[i].Identity; got != want {
				s.Errorf("%s has the identity %q, want %q", snap.Nodes[i].Name, got, want)
			}
		}
		s.answers("plex2", "other")
		if got, want := s.published().Nodes[1].Identity, "other"; got != want {
			s.Errorf("plex2 has the identity %q, want %q", got, want)
		}
		s.answers("plex1", "x")
		if got, want := s.published().Nodes[0].Why, "answers as x, not as the id 11111111 of its line"; got != want {
			s.Errorf("plex1: %q, want %q", got, want)
		}
	})
}

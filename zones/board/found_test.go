package board_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/zones"
	"plexha/zones/board"
)

// found makes nodes of lines such as "plex1 10.1.0.1".
func found(lines ...string) []zones.Node {
	var out []zones.Node
	for _, line := range lines {
		name, host, _ := strings.Cut(line, " ")
		out = append(out, zones.Node{Name: zones.NodeName(name), Host: host, Port: 32400, Weight: 1})
	}
	return out
}

// names returns the nodes of the snapshot in their order.
func (s *scene) names() string {
	var out []string
	for _, n := range s.Snapshot().Nodes {
		out = append(out, string(n.Name))
	}
	return strings.Join(out, " ")
}

func TestFoundNodes(t *testing.T) {
	cfg := house(node("plex1", "10.0.0.1"), proxy("192.168.1.1:443"), uplink("wan", "", "203.0.113.1"), groups("b", "a"))
	none := house(groups("b", "a"))
	type step struct {
		group string
		nodes []string
		want  string
	}
	for _, tc := range []struct {
		name  string
		cfg   board.Config
		steps []step
	}{
		{"after those of the file", cfg, []step{{"a", []string{"a1 10.1.0.1", "a2 10.1.0.2"}, "plex1 a1 a2"}}},
		{"in the order of the lines", cfg, []step{
			{"a", []string{"a1 10.1.0.1"}, "plex1 a1"},
			{"b", []string{"b1 10.2.0.1", "b2 10.2.0.2"}, "plex1 b1 b2 a1"},
			{"a", []string{"a2 10.1.0.2", "a1 10.1.0.1"}, "plex1 b1 b2 a2 a1"},
			{"b", []string{"b2 10.2.0.2"}, "plex1 b2 a2 a1"},
		}},
		{"without any of the file", none, []step{
			{"a", []string{"a1 10.1.0.1"}, "a1"},
			{"b", []string{"b1 10.2.0.1"}, "b1 a1"},
		}},
		{"none any more", cfg, []step{
			{"a", []string{"a1 10.1.0.1"}, "plex1 a1"},
			{"a", nil, "plex1"},
			{"a", nil, "plex1"},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			play(t, tc.cfg, func(s *scene) {
				for _, step := range tc.steps {
					s.SetFound(step.group, found(step.nodes...), time.Now())
					if got := s.names(); got != step.want {
						s.Errorf("nodes %s, want %s", got, step.want)
					}
				}
			})
		})
	}
}

func TestWhatIsKnownOfFoundNodesIsKept(t *testing.T) {
	play(t, house(groups("plex")), func(s *scene) {
		s.SetFound("plex", found("plex1 10.1.0.1", "plex2 10.1.0.2"), time.Now())
		s.ok("plex1", "plex2")
		seq := s.published().Seq

		s.SetFound("plex", found("plex1 10.1.0.1", "plex2 10.1.0.2"), time.Now())
		if got := s.published().Seq; got != seq {
			s.Errorf("snapshot %d for nothing new, want %d still", got, seq)
		}

		heavier := found("plex1 10.1.0.1", "plex2 10.1.0.2")
		heavier[1].Weight = 3
		s.SetFound("plex", heavier, time.Now())
		s.is("plex1 up", "plex2 up")
		if got := s.Snapshot().Node("plex2").Weight; got != 3 {
			s.Errorf("plex2 has weight %d, want 3", got)
		}

		s.SetFound("plex", found("plex1 10.1.0.1", "plex2 10.1.0.7"), time.Now())
		s.is("plex1 up", "plex2 unknown")
		if s.Snapshot().Node("plex2").New {
			s.Error("plex2 stays out of answers, though the first round has not ended")
		}
	})
}

func TestANodeFoundAfterTheFirstRoundStaysOutUntilItsVerdict(t *testing.T) {
	play(t, house(groups("plex")), func(s *scene) {
		s.FirstRoundDone(time.Now())
		s.SetFound("plex", found("plex1 10.1.0.1"), time.Now())
		if !s.Snapshot().Node("plex1").New {
			s.Error("plex1 is not new")
		}
		s.ok("plex1")
		if s.published().Node("plex1").New {
			s.Error("plex1 is new still after its first verdict")
		}
	})
}

func TestAHeldNodeIsFoundNoMore(t *testing.T) {
	play(t, house(groups("plex"), canary), func(s *scene) {
		s.SetFound("plex", found("plex1 10.1.0.1"), time.Now())
		s.ok("plex1")
		s.down("plex1")
		s.SetFound("plex", found("plex2 10.1.0.2"), time.Now())
		s.CanaryResult(false, time.Now())
		if s.Snapshot().Isolated {
			s.Error("isolated for a node that nobody has")
		}
	})
}

func TestAHoldOutlivesWhatOthersFind(t *testing.T) {
	play(t, house(nodes(1), groups("more"), canary), func(s *scene) {
		s.ok("plex1")
		s.down("plex1")
		s.SetFound("more", found("more1 10.1.0.1"), time.Now())
		s.is("plex1 failing")
		s.CanaryResult(true, time.Now())
		s.is("plex1 down")
	})
}

func TestReloadKeepsFoundNodes(t *testing.T) {
	cfg := house(node("plex1", "10.0.0.1"), groups("a", "b"))
	play(t, cfg, func(old *scene) {
		old.SetFound("a", found("a1 10.1.0.1", "a2 10.1.0.2"), time.Now())
		old.SetFound("b", found("b1 10.2.0.1"), time.Now())
		old.ok("plex1", "a1", "a2", "b1")
		old.FirstRoundDone(time.Now())
		for name, tc := range map[string]struct {
			groups []string
			want   string
		}{
			"both lines stand still": {[]string{"a", "b"}, "plex1 a1 a2 b1"},
			"in another order":       {[]string{"b", "a"}, "plex1 b1 a1 a2"},
			"one is gone":            {[]string{"b"}, "plex1 b1"},
			"both are gone":          {nil, "plex1"},
		} {
			s := old.reload(house(node("plex1", "10.0.0.1"), groups(tc.groups...)), true)
			if diff := cmp.Diff(tc.want, s.names()); diff != "" {
				old.Errorf("%s (-want +got):\n%s", name, diff)
			}
			for _, n := range s.Snapshot().Nodes {
				if n.State != zones.Up || n.New {
					old.Errorf("%s: %s is %s, new %v, want up", name, n.Name, n.State, n.New)
				}
			}
		}
		taken := old.reload(house(node("a1", "10.0.0.1"), groups("a", "b")), true)
		if diff := cmp.Diff("a1 a2 b1", taken.names()); diff != "" {
			old.Errorf("a name that has a line of its own now (-want +got):\n%s", diff)
		}
	})
}

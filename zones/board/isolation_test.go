package board_test

import (
	"testing"
	"time"

	"plexha/zones"
	"plexha/zones/board"
)

// watched is a house with a canary in which everything is up.
func watched(t *testing.T, script func(*scene)) {
	t.Helper()
	play(t, house(nodes(2), proxy("192.168.1.1:443"), uplink("lte", "192.0.2.1:443", "198.51.100.1"), canary), func(s *scene) {
		s.ok("plex1", "plex2", proxy1, "lte")
		s.published()
		script(s)
	})
}

const proxy1 = "192.168.1.1:443"

func TestTheCanaryIsAskedOnlyBeforeNothingIsUp(t *testing.T) {
	watched(t, func(s *scene) {
		s.down("plex1", proxy1)
		if s.askedCanary() {
			s.Error("the canary is asked while a node is up")
		}
		s.is("plex1 down", proxy1+" down")
		s.failed("plex2")
		if s.askedCanary() {
			s.Error("the canary is asked before the verdict is confirmed")
		}
		if got := s.failed("plex2"); got != zones.Failing {
			s.Errorf("the last one is %s, want failing until the canary has answered", got)
		}
		if !s.askedCanary() {
			s.Error("the canary is not asked")
		}
		s.published()
		s.is("plex2 failing")
		s.failed("plex2")
		if s.askedCanary() {
			s.Error("the canary is asked twice for one verdict")
		}
	})
}

func TestTheCanaryAnswers(t *testing.T) {
	watched(t, func(s *scene) {
		s.down("plex1", proxy1, "plex2")
		s.CanaryResult(true, time.Now())
		s.is("plex2 down")
		if s.Snapshot().Isolated {
			s.Error("isolated, though the canary answers")
		}
	})
}

func TestGoneIsHeldToo(t *testing.T) {
	watched(t, func(s *scene) {
		s.down("plex1", proxy1)
		if got := s.report(board.Gone, "plex2"); got != zones.Failing || !s.askedCanary() {
			s.Errorf("the last one is %s, want failing until the canary has answered", got)
		}
		s.CanaryResult(true, time.Now())
		s.is("plex2 down")
	})
}

func TestTheCanaryFailsToo(t *testing.T) {
	watched(t, func(s *scene) {
		s.down("plex1")
		s.wait(3*time.Second + time.Millisecond) // longer ago than interval + timeout
		s.down(proxy1)
		s.wait(time.Second)
		s.down("plex2")
		s.askedCanary()
		s.CanaryResult(false, time.Now())
		if !s.Snapshot().Isolated {
			s.Error("not isolated")
		}
		s.is("plex1 down", proxy1+" failing", "plex2 failing") // taken back: the proxy

		for range 3 {
			s.wait(2 * time.Second)
			if !s.askedCanary() {
				s.Error("the canary is not asked again after an interval")
			}
			s.down("plex2", proxy1)
			s.CanaryResult(false, time.Now())
			s.is(proxy1+" failing", "plex2 failing")
		}

		s.CanaryResult(true, time.Now())
		if s.Snapshot().Isolated {
			s.Error("isolated, though the canary answers again")
		}
		s.is("plex1 down", proxy1+" failing", "plex2 failing")
		if got := s.failed(proxy1); got != zones.Failing {
			s.Errorf("the proxy is %s after one fresh failure, want failing", got)
		}
		if got := s.failed(proxy1); got != zones.Down {
			s.Errorf("the proxy is %s after two fresh failures, want down", got)
		}
		s.wait(time.Minute)
		if s.askedCanary() {
			s.Error("the canary is asked, though all is over")
		}
	})
}

func TestIsolationHoldsEveryVerdict(t *testing.T) {
	watched(t, func(s *scene) {
		s.down("plex1", proxy1, "plex2")
		s.CanaryResult(false, time.Now())
		s.ok("plex1")
		s.down("plex1")
		s.report(board.Starting, "plex2", "plex2")
		s.published()
		s.is("plex1 failing", "plex2 failing")
		s.ok("plex1")
		s.published()
		s.is("plex1 up")
	})
}

func TestOnlyAnsweringTakesAHoldAway(t *testing.T) {
	watched(t, func(s *scene) {
		s.down("plex1", proxy1, "plex2")
		s.ok("plex2")
		s.CanaryResult(true, time.Now())
		s.published()
		s.is("plex2 up")
		s.CanaryResult(false, time.Now()) // of nothing that was asked
		if s.Snapshot().Isolated {
			s.Error("isolated by an answer to no question")
		}
	})
}

func TestAnotherComesBackMeanwhile(t *testing.T) {
	watched(t, func(s *scene) {
		s.down("plex1", proxy1, "plex2")
		s.ok("plex1", "plex1")
		if got := s.failed("plex2"); got != zones.Down {
			s.Errorf("plex2 is %s, want down: plex1 is up again", got)
		}
		s.CanaryResult(false, time.Now())
		s.published()
		s.is("plex1 up", "plex2 down")
		if s.Snapshot().Isolated {
			s.Error("isolated while nothing is held")
		}
	})
}

func TestTheCanaryIsAskedEachInterval(t *testing.T) {
	cfg := house(nodes(1), canary)
	cfg.Interval = 500 * time.Millisecond
	play(t, cfg, func(s *scene) {
		s.ok("plex1")
		s.down("plex1")
		for range 3 {
			if !s.askedCanary() {
				s.Error("the canary is not asked")
			}
			s.CanaryResult(false, time.Now())
			s.wait(cfg.Interval)
		}
	})
}

// What the canary has released is settled: later questions are not about it.
func TestReleasedIsHeldNoMore(t *testing.T) {
	watched(t, func(s *scene) {
		s.down("plex1", proxy1, "plex2")
		s.CanaryResult(true, time.Now())
		s.ok("plex1", "plex1")
		s.down("plex1")
		s.ok("plex1")
		s.CanaryResult(false, time.Now())
		if s.Snapshot().Isolated {
			s.Error("isolated, though what was held has answered")
		}
		s.is("plex2 down")
	})
}

// What stays down when the canary fails does so because it was down before.
func TestStatesThatNoIsolationTakesBack(t *testing.T) {
	play(t, house(nodes(3), uplink("lte", "192.0.2.1:443", "198.51.100.1"), canary), func(s *scene) {
		s.failed("plex1") // never was up
		s.ok("plex2", "plex3", "lte")
		s.report(board.Starting, "plex2", "plex2") // said so itself
		s.down("lte")
		s.down("plex3")
		s.CanaryResult(false, time.Now())
		s.is("plex1 down", "plex2 starting", "plex3 failing", "lte down")
	})
}

// A canary that is never asked must not keep a dead node in the answers.
func TestNobodyAsksTheCanary(t *testing.T) {
	watched(t, func(s *scene) {
		s.down("plex1", proxy1)
		s.failed("plex2")
		s.wait(time.Second)
		s.failed("plex2")
		s.wait(2*time.Second - time.Millisecond)
		s.is("plex2 failing")
		s.wait(time.Millisecond)
		s.is("plex2 down")
		s.CanaryResult(false, time.Now())
		if s.Snapshot().Isolated {
			s.Error("isolated by an answer that came too late")
		}
	})
}

func TestWithoutCanary(t *testing.T) {
	play(t, house(nodes(1)), func(s *scene) {
		s.ok("plex1")
		s.down("plex1")
		s.is("plex1 down")
		if s.askedCanary() {
			s.Error("a canary is asked that there is not")
		}
	})
}

// An uplink that goes down leaves no node or proxy less, and an uplink that is up is none.
func TestUplinksAreNotHeld(t *testing.T) {
	watched(t, func(s *scene) {
		s.down("lte")
		s.is("lte down")
		if s.askedCanary() {
			s.Error("the canary is asked for an uplink")
		}
		s.ok("lte", "lte")
		s.down("plex1", proxy1, "plex2")
		if !s.askedCanary() {
			s.Error("the canary is not asked since an uplink is up")
		}
	})
}

func TestANodeLeavesWhileItIsHeld(t *testing.T) {
	play(t, house(node("plex1", "docker1"), canary), func(s *scene) {
		plex1 := zones.Subject{Name: "plex1"}
		s.SetAddrs(plex1, parseAddrs("10.0.0.1"), time.Now())
		s.published()
		s.ok("plex1")
		s.down("plex1")
		s.SetAddrs(plex1, parseAddrs("10.0.0.2"), time.Now())
		s.ok("plex1")
		s.CanaryResult(false, time.Now())
		s.published()
		s.is("plex1 up")
		if s.Snapshot().Isolated {
			s.Error("isolated for an address that nobody has")
		}
	})
}

// Verdicts that the canary releases together make one snapshot.
func TestReleaseMakesOneSnapshot(t *testing.T) {
	watched(t, func(s *scene) {
		s.down("plex1", proxy1, "plex2")
		s.ok("plex1", "plex1")
		s.down("plex1") // held as well: plex2 counts as up no more
		seq := s.published().Seq
		s.is("plex1 failing", "plex2 failing")
		s.CanaryResult(true, time.Now())
		s.is("plex1 down", "plex2 down")
		if got := s.published().Seq; got != seq+1 {
			s.Errorf("snapshot %d, want %d", got, seq+1)
		}
	})
}

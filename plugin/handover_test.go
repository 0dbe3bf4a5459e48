package plugin_test

import (
	"strings"
	"testing"
	"time"
)

// eventuallyStatus asks for the nodes' states until they are as the words say.
func (s *server) eventuallyStatus(words string) {
	s.t.Helper()
	got := ""
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(10 * time.Millisecond) {
		if got = s.text("_status." + main); strings.Contains(got, words) {
			return
		}
	}
	s.t.Fatalf("_status: got %s for 10 s, want %s", got, words)
}

// TestAnotherProbeForgetsTheStates: it asks another question, so that what the old one found is no answer to it.
// With this `rise` a node that is taken for down does not come back during the test.
func TestAnotherProbeForgetsTheStates(t *testing.T) {
	one, two := startNode(t, "127.0.1.1"), startNode(t, "127.0.2.1")
	one.bad.Store(true)
	lines := []string{"node plex1 " + one.addr, "node plex2 " + two.addr, "answer nodes first", "rise 1000"}
	s := startServer(t, block(lines...))
	s.eventually(main, "127.0.2.1")
	s.eventuallyStatus("plex1 down")
	if err := s.restart(block(with(lines, "probe tcp")...)); err != nil {
		t.Fatal(err)
	}
	s.eventually(main, "127.0.1.1")
	s.eventuallyStatus("plex1 up")
}

// TestProbeWords: two blocks ask nodes the same only if all that their `probe` lines say is the same.
func TestProbeWords(t *testing.T) {
	seen := map[string]string{}
	for _, line := range []string{
		"probe plex", "probe tcp", "probe none", "probe http /", "probe http /up", "probe http / status 200-299",
		"probe http / status 201-399", "probe http / body ok", "probe http / body fine",
	} {
		lines := with(twoNodes, line)
		words := newHouse(t, lines...).Probe()
		if other, ok := seen[words]; ok {
			t.Errorf("%q and %q are taken for one", other, line)
		}
		if again := newHouse(t, lines...).Probe(); again != words {
			t.Errorf("%q is taken for another one than itself: %q, %q", line, words, again)
		}
		seen[words] = line
	}
	if got, want := newHouse(t, twoNodes...).Probe(), newHouse(t, with(twoNodes, "probe plex")...).Probe(); got != want {
		t.Errorf("without a line: %q, want that of `probe plex`: %q", got, want)
	}
}

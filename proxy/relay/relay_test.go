package relay_test

import (
	"testing"

	"plexha/proxy/relay"
)

func TestRelayThatIsClosedLeavesItsSuccessorInPlace(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": says("one")})
	successor := relay.New(s.cluster)
	t.Cleanup(successor.Close)
	s.relay.Close()
	s.load() // fails for a zone whose relay is not found
}

func TestTripKeepsNothingOfTheRequestBefore(t *testing.T) {
	if left := relay.LeftByReset(); len(left) > 0 {
		t.Errorf("the next request finds these of the one before: %v", left)
	}
}

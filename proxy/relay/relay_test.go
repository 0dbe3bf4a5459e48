package relay_test

import (
	"testing"

	"github.com/caddyserver/caddy/v2"

	"plexha/proxy/relay"
)

func TestRelayThatIsClosedLeavesItsSuccessorInPlace(t *testing.T) {
	c := newFakeCluster()
	first := relay.New(c)
	successor := relay.New(c)
	t.Cleanup(successor.Close)
	first.Close()
	if err := (&relay.Transport{Zone: zone}).Provision(caddy.Context{}); err != nil {
		t.Errorf("nobody has the zone: %v", err)
	}
}

func TestTripKeepsNothingOfTheRequestBefore(t *testing.T) {
	if left := relay.LeftByReset(); len(left) > 0 {
		t.Errorf("the next request finds these of the one before: %v", left)
	}
}

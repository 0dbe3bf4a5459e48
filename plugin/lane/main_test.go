package lane_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if a worker, a hand-off or a keeper still runs when all claims have been released.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

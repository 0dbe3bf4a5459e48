package board

import (
	"net/netip"
	"time"

	"plexha/zones"
)

// Result is what one probe found.
type Result uint8

// The results of a probe.
const (
	// OK: it answered as it should.
	OK Result = iota
	// Late: it has not answered yet although it usually would have. The subject is failing until a
	// further verdict; this one counts as nothing.
	Late
	// Failed: it did not answer, or not as it should. Counts as one failure.
	Failed
	// Gone: refused right after its connection broke. Down at once, whatever the thresholds, if it was up.
	Gone
	// Starting: it answered that it is in maintenance. Counts as a failure, and ends in the state starting.
	Starting
)

var resultNames = [...]string{"ok", "late", "failed", "gone", "starting"}

// String returns the result's word, as used in metrics.
func (r Result) String() string { return resultNames[r] }

// Verdict is what one probe says of one address of a subject.
type Verdict struct {
	Subject  zones.Subject
	Addr     netip.Addr // the address asked; the zero Addr: the subject as a whole, when no address is known
	Result   Result
	Identity string    // the machineIdentifier of an OK answer; empty: not learned
	Why      string    // the probe's words, without the subject's name; empty with OK
	At       time.Time // when the probe ended
}

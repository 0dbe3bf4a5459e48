package board

import (
	"slices"
	"sort"
	"time"

	"plexha/zones"
)

// Event is one change of a subject's state, or the begin or end of an isolation when Subject is zero.
type Event struct {
	Seq      uint64 // grows by one with each event of a board
	At       time.Time
	Subject  zones.Subject
	From, To zones.State
	Isolated bool // of an isolation: it begins
	Why      string
}

// keptEvents bounds what a board remembers of the past.
const keptEvents = 500

func (b *Board) record(e Event) {
	b.eventSeq++
	e.Seq = b.eventSeq
	if len(b.events) >= keptEvents {
		b.events = slices.Delete(b.events, 0, len(b.events)-keptEvents+1)
	}
	b.events = append(b.events, e)
}

// Events returns what has happened after the event numbered after, oldest first, as far as it is still
// remembered: the last 500.
func (b *Board) Events(after uint64) []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := sort.Search(len(b.events), func(i int) bool { return b.events[i].Seq > after })
	return slices.Clone(b.events[i:])
}

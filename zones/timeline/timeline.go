// Package timeline remembers what has happened to a cluster, for the status page and for plexctl.
package timeline

import (
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"plexha/zones"
	"plexha/zones/board"
)

// Level says how much an event matters.
type Level string

// The levels. An event in doubt is one that confirms or refutes another within a second.
const (
	Doubt   Level = "doubt"
	Info    Level = "info"
	Warning Level = "warning"
	Error   Level = "error"
)

// Kind says what an event is about.
type Kind string

// The kinds.
const (
	State          Kind = "state"          // a node, proxy or uplink is in another state
	Order          Kind = "order"          // the operator has said something, or what was said has ended
	Isolation      Kind = "isolation"      // we are cut off, or no longer
	Answers        Kind = "answers"        // the main name leads to another tier
	Address        Kind = "address"        // an uplink has another external address
	DuckDNS        Kind = "duckdns"        // the record was written, or could not be
	Configuration  Kind = "configuration"  // a Corefile is served, or was refused
	Administration Kind = "administration" // a node's is open to everybody, or no longer
)

// Event is one thing that has happened.
type Event struct {
	Seq     uint64    `json:"seq"` // grows by one with each event of a timeline
	At      time.Time `json:"at"`  // UTC
	Level   Level     `json:"level"`
	Kind    Kind      `json:"kind"`
	Subject string    `json:"subject,omitempty"` // whom it is about, such as "node plex1"
	From    string    `json:"from,omitempty"`    // of a state
	To      string    `json:"to,omitempty"`
	Text    string    `json:"text"` // all of it in one sentence, without a period
}

// Kept bounds the events that are remembered, and keptDoubts those in doubt among them: a slow node makes several
// a minute, and must not drive out what mattered.
const (
	Kept       = 500
	keptDoubts = 100
)

// Timeline is the last events of a cluster. All methods may be called by several goroutines at once. The zero
// value is empty and ready for use.
type Timeline struct {
	mu     sync.Mutex
	seq    uint64
	events []Event
	doubts int
	subs   map[chan struct{}]struct{}
}

// Add remembers an event under the next number.
func (t *Timeline) Add(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seq++
	e.Seq, e.At = t.seq, e.At.UTC()
	t.events = append(t.events, e)
	if e.Level == Doubt {
		t.doubts++
	}
	t.forget()
	for ch := range t.subs {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// forget drops the oldest event if there are too many, or the oldest in doubt if there are too many of those.
func (t *Timeline) forget() {
	oldest := 0
	switch {
	case t.doubts > keptDoubts:
		oldest = slices.IndexFunc(t.events, func(e Event) bool { return e.Level == Doubt })
	case len(t.events) <= Kept:
		return
	}
	if t.events[oldest].Level == Doubt {
		t.doubts--
	}
	t.events = slices.Delete(t.events, oldest, oldest+1)
}

// Since returns the events after the one of that number, oldest first, as far as they are remembered. A number
// that is yet to come is one of an earlier process: then it returns all.
func (t *Timeline) Since(after uint64) []Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	if after > t.seq {
		after = 0
	}
	i := sort.Search(len(t.events), func(i int) bool { return t.events[i].Seq > after })
	return slices.Clone(t.events[i:])
}

// Subscribe returns a channel that holds a value whenever there are events that the subscriber has not been told
// of, and a function that ends the subscription.
func (t *Timeline) Subscribe() (news <-chan struct{}, cancel func()) {
	ch := make(chan struct{}, 1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.subs == nil {
		t.subs = map[chan struct{}]struct{}{}
	}
	t.subs[ch] = struct{}{}
	return ch, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.subs, ch)
	}
}

// OfBoard puts an event of a board into words.
func OfBoard(e board.Event) Event {
	if e.Subject == (zones.Subject{}) {
		return isolation(e)
	}
	out := Event{
		At: e.At, Level: levelOf(e.From, e.To), Kind: State, Subject: e.Subject.String(),
		From: e.From.String(), To: e.To.String(), Text: fmt.Sprintf("%s is %s", e.Subject, e.To),
	}
	if e.Why != "" {
		out.Text += ": " + e.Why
	}
	return out
}

// levelOf says how much a change of state matters. One that only takes a doubt back leaves things as they were.
func levelOf(from, to zones.State) Level {
	switch {
	case to.InDoubt(), from == zones.Failing && to == zones.Up, from == zones.Recovering && to == zones.Down:
		return Doubt
	case to == zones.Down, to == zones.Impostor:
		return Warning
	default:
		return Info
	}
}

func isolation(e board.Event) Event {
	out := Event{At: e.At, Level: Info, Kind: Isolation, Text: "no longer cut off: " + e.Why}
	if e.Isolated {
		out.Level, out.Text = Warning, "cut off: "+e.Why+"; the last verdicts are held"
	}
	return out
}

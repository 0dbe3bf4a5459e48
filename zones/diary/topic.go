package diary

import (
	"fmt"
	"time"
)

// The lines on one topic that are written within a minute. These numbers are a guess at what a person reads.
const (
	minute   = time.Minute
	maxLines = 4
)

// topic holds the lines on one thing that changes to and fro: the first few are written as they come, then
// one a minute, for the rest. The zero topic is ready for use.
type topic struct {
	changes []time.Time // within the last minute
	held    int         // how many lines are held back
	newest  Line        // of those
	until   time.Time   // when it is due
}

// add takes a line and reports whether it may be written now.
func (t *topic) add(l Line, now time.Time) bool {
	for len(t.changes) > 0 && now.Sub(t.changes[0]) > minute {
		t.changes = t.changes[1:]
	}
	t.changes = append(t.changes, now)
	if t.held == 0 && len(t.changes) <= maxLines {
		return true
	}
	if t.held == 0 {
		t.until = now.Add(minute)
	}
	t.held++
	t.newest = l
	return false
}

// due returns the newest of the lines that were held back when it is time, with the number of changes.
func (t *topic) due(now time.Time) (l Line, ok bool) {
	if t.held == 0 || now.Before(t.until) {
		return Line{}, false
	}
	l = t.newest
	if t.held > 1 {
		l = Line{Warning, fmt.Sprintf("%s (it has changed %d times within the last minute)", l.Text, t.held)}
	}
	t.held = 0
	return l, true
}

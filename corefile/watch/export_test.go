package watch

import "time"

// Gathering waits for changes that come together.
type Gathering = gathering

// NewGathering returns one that is due at once.
func NewGathering() *Gathering { return newGathering() }

// Note takes note of a change.
func (g *gathering) Note() { g.note() }

// Told waits until the changes are due, and forgets them.
func (g *gathering) Told() time.Time {
	defer g.told()
	return <-g.due.C
}

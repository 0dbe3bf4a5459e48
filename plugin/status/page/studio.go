package page

import "time"

// Studio draws a page for all who look at it at a time: sixty of them cost little more than one. What is in a drawing
// is never older than the question for it.
type Studio struct {
	doc  func() Doc
	turn chan struct{} // one slot: whoever has filled it draws
	last *drawing
	err  error
	when time.Time // when doc was asked for the last one
}

// NewStudio returns one that draws what doc returns.
func NewStudio(doc func() Doc) *Studio { return &Studio{doc: doc, turn: make(chan struct{}, 1)} }

// draw returns the page as it is now.
func (st *Studio) draw() (*drawing, error) {
	asked := time.Now()
	st.turn <- struct{}{}
	defer func() { <-st.turn }()
	if !st.when.After(asked) {
		st.when = time.Now()
		st.last, st.err = draw(st.doc())
	}
	return st.last, st.err
}

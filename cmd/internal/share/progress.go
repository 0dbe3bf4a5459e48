package share

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// showEvery is the time between two looks at the progress, on a terminal.
const showEvery = 200 * time.Millisecond

// entryBytes is how many bytes take about as long as one more entry: an invented number, so that neither many small
// files nor few large ones make a fool of the time that is left.
const entryBytes = 64 << 10

// meter shows how far a run is, on a terminal.
type meter struct {
	out         io.Writer // nil: nobody looks
	total, done Amount
	begin, last time.Time
}

func newMeter(out io.Writer, total Amount) *meter {
	m := &meter{total: total, begin: time.Now()}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) { //nolint:gosec // a descriptor fits
		m.out = out
	}
	return m
}

// moved counts.
func (m *meter) moved(a Amount) {
	m.done.add(a)
	if m.out == nil {
		return
	}
	if now := time.Now(); now.Sub(m.last) >= showEvery {
		m.last = now
		_, _ = fmt.Fprintf(m.out, "\r%s\x1b[K", m.line(now)) // a terminal that is gone needs none
	}
}

// end leaves an empty line.
func (m *meter) end() {
	if m.out != nil && !m.last.IsZero() {
		_, _ = io.WriteString(m.out, "\r\x1b[K") // a terminal that is gone needs none
	}
}

// line returns how much is done, how fast, and how long the rest will take.
func (m *meter) line(now time.Time) string {
	if m.total == (Amount{}) { // of a look at what is alike nobody knows how much there is
		return "compared: " + m.done.String()
	}
	text := fmt.Sprintf("%d of %d entries, %s of %s", m.done.Entries, m.total.Entries, sizeOf(m.done.Bytes), sizeOf(m.total.Bytes))
	took := now.Sub(m.begin)
	work := func(a Amount) float64 { return float64(a.Bytes) + float64(a.Entries)*entryBytes }
	if took < time.Second || work(m.done) == 0 {
		return text
	}
	rate := float64(m.done.Bytes) / took.Seconds()
	left := time.Duration(float64(took) * (work(m.total) - work(m.done)) / work(m.done))
	return fmt.Sprintf("%s, %s/s, %s left", text, sizeOf(int64(rate)), max(left, 0).Round(time.Second))
}

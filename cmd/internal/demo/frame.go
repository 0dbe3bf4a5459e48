package demo

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxEvents bounds the events that are kept for the view, of which it shows the last ones.
const maxEvents = 20

// frame is what the view shows at one instant.
type frame struct {
	At      time.Time
	Wan     Member
	Health  []Health // of plex1, plex2 and the proxy; empty: plexdns does not say
	Known   []Known  // of plex1 and plex2; empty: plexproxy does not say
	Answers []string // inside, outside and of DuckDNS
	Films   []Seen   // of the tv and the tablet
	Events  []Event  // oldest first
	Done    string   // what the last key has done
}

// draw returns the frame as lines of at most that many columns, at most that many of them, or as many as it takes
// without events.
func (f *frame) draw(cols, rows int) []string {
	lines := []string{"A home on loopback at " + f.At.UTC().Format(clock), ""}
	for i, m := range []Member{Plex1, Plex2, Proxy} {
		lines = append(lines, fmt.Sprintf("  %-2s %-7s  %s", "12p"[i:i+1], m, f.health(i)))
	}
	lines = append(lines, fmt.Sprintf("  w  wan      %s", f.Wan.Addr()), "")
	for i, q := range []Question{inside(), outside(), atDuck()} {
		lines = append(lines, fmt.Sprintf("  %-36s  %s", q, at(f.Answers, i, "")))
	}
	lines = append(lines, "")
	for i, d := range []Device{TV, Tablet} {
		lines = append(lines, fmt.Sprintf("  %-7s  %s", d, at(f.Films, i, Seen{}).words()))
	}
	lines = append(lines, "")
	foot := []string{"", f.Done, "1 2 p kill or revive   w move   d drain   q quit"}
	if room := rows - len(lines) - len(foot); room > 0 {
		lines = append(lines, f.events(room)...)
	}
	lines = append(lines, foot...)
	for i := range lines {
		lines[i] = clip(lines[i], cols)
	}
	return lines
}

// at returns the ith value, or another one if there are not that many.
func at[T any](values []T, i int, other T) T {
	if i < len(values) {
		return values[i]
	}
	return other
}

// health describes the ith member as both programs see it.
func (f *frame) health(i int) string {
	if i >= len(f.Health) {
		return "plexdns does not say"
	}
	words := f.Health[i].String()
	if i < len(f.Known) && f.Known[i].Playbacks > 0 {
		words += fmt.Sprintf(" (%d playing)", f.Known[i].Playbacks)
	}
	return words
}

// events returns the last ones, the newest first.
func (f *frame) events(room int) []string {
	var lines []string
	for _, e := range slices.Backward(f.Events) {
		if len(lines) == room {
			break
		}
		lines = append(lines, fmt.Sprintf("  %s  %s", e.At.UTC().Format(clock), e.Text))
	}
	return lines
}

// words says how far a film has come.
func (s Seen) words() string {
	switch {
	case s.Pieces == 0:
		return "waits for its film"
	case s.Again == 0:
		return s.String()
	default:
		return fmt.Sprintf("%s; breaks: %d", s, s.Again)
	}
}

// clip cuts what does not fit into that many columns: a line that wraps would be two.
func clip(line string, cols int) string {
	runes := []rune(strings.Map(printable, line))
	if len(runes) <= cols {
		return string(runes)
	}
	return string(runes[:max(0, cols-1)]) + "…"
}

// printable keeps a terminal from taking somebody's words for orders.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}

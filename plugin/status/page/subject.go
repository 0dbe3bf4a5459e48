package page

import (
	"cmp"
	"time"
)

// Subject is a node, a proxy or an uplink, as far as both programs tell the same of it.
type Subject struct {
	Kind  string // node, proxy or uplink
	Name  string
	State string    // the glossary's word
	Since time.Time // zero: not known
	Why   string
	New   bool // it came with a reload, and stays out of answers until it has a state

	Order      string // up, drain or down; empty: none
	OrderUntil time.Time
	OrderWhy   string
}

// String returns what a person calls it: a node goes by its name alone.
func (s Subject) String() string {
	if s.Kind == "node" {
		return s.Name
	}
	return s.Kind + " " + s.Name
}

// levels are those of the states.
var levels = map[string]Level{
	"up": Good, "failing": Doubt, "recovering": Doubt, "down": Bad, "impostor": Bad, "starting": Quiet, "unknown": Quiet,
}

// Level returns the level of the state alone.
func (s Subject) Level() Level { return cmp.Or(levels[s.State], Quiet) }

// Serves reports whether clients may be led to it while there is another: it is up, or ordered so, and it is not
// drained.
func (s Subject) Serves() bool {
	switch s.Order {
	case "up":
		return true
	case "drain", "down":
		return false
	default:
		return s.isUp()
	}
}

func (s Subject) isUp() bool { return s.State == "up" || s.State == "failing" }

// Trouble returns what is not well. What the operator has taken out of service is no trouble, and is told quietly.
func (s Subject) Trouble() (t Trouble, ok bool) {
	t = Trouble{Text: s.String() + " is " + s.State, Since: s.Since, Why: s.Why}
	switch {
	case s.Order == "drain" || s.Order == "down":
		return s.ordered(), true
	case s.State == "up":
		return Trouble{}, false
	case s.Order == "up" && !s.isUp():
		t.Level, t.Text = Bad, t.Text+", and used by your order"
	case s.State == "down":
		t.Level = Poor
	case s.State == "impostor":
		t.Level, t.Text = Poor, s.String()+" answers as another server than it should be"
	case s.State == "failing", s.State == "recovering":
		t.Level = Doubt
	case s.State == "unknown":
		t.Level, t.Text = Quiet, s.String()+" has not answered yet"
	default:
		t.Level = Quiet
	}
	return t, true
}

// ordered says what the operator has said of it.
func (s Subject) ordered() Trouble {
	t := Trouble{Level: Quiet, Text: s.String() + " is drained", Until: s.OrderUntil, Why: s.OrderWhy}
	if s.Order == "down" {
		t.Text = s.String() + " is ordered down"
	}
	if !s.isUp() {
		t.Text += ", and is " + s.State
		t.Since = s.Since
	}
	return t
}

// StateCell returns the cell of the state.
func (s Subject) StateCell() Cell {
	c := Cell{Text: s.State, Badge: s.Level(), Time: s.Since}
	if s.New {
		c.Small = "new: not used before it has answered"
	}
	return c
}

// WhyCell returns the cell of the last probe's words.
func (s Subject) WhyCell() Cell { return Cell{Text: s.Why} }

// OrderCell returns the cell of the operator's order.
func (s Subject) OrderCell() Cell {
	if s.Order == "" {
		return Cell{}
	}
	c := Cell{Text: s.Order, Badge: Quiet, Small: s.OrderWhy}
	if s.Order == "up" && !s.isUp() {
		c.Badge = Bad
	}
	if !s.OrderUntil.IsZero() {
		c.Text, c.Time = c.Text+" until", s.OrderUntil
	}
	return c
}

// Forms returns the buttons that order something, or take the order back.
func (s Subject) Forms(zone string) []Form {
	if s.Order != "" {
		return []Form{s.form(zone, "take back", "none")}
	}
	return []Form{s.form(zone, "drain", "drain"), s.form(zone, "down", "down")}
}

func (s Subject) form(zone, label, order string) Form {
	return Form{
		Label: label, About: s.Name, Action: "/order",
		Fields: []Field{{"zone", zone}, {"name", s.Name}, {"order", order}},
	}
}

// Package page draws the status pages of both programs, live in a browser and plain without scripts.
package page

import (
	"time"

	"plexha/zones/timeline"
)

// Level says how good or bad something is, for its colour and its word.
type Level string

// The levels, from good to bad.
const (
	Good  Level = "good"
	Quiet Level = "quiet" // neither good nor bad: not known yet, not asked, ordered so
	Doubt Level = "doubt" // it may be bad, and will be known within a second
	Poor  Level = "poor"  // something is wrong, and clients do not feel it
	Bad   Level = "bad"   // clients feel it
)

// Doc is what a page shows: what a program knows at one instant. All times are shown in UTC, and by scripts in the
// reader's own time beside how long ago they were.
type Doc struct {
	Program  string // plexdns or plexproxy
	Version  string
	Host     string // the machine's name, for whoever has several pages open
	At       time.Time
	Changes  bool // whoever sees the page may change things: forms are shown
	Clusters []Cluster
}

// Cluster is one plex block.
type Cluster struct {
	Zone     string // as a person writes it
	Level    Level
	Headline string    // whether all is well, in a few words
	Since    time.Time // since when; zero: not known
	Why      string    // of a headline that is a trouble
	More     int       // troubles beside that one, quiet ones not counted
	Troubles []Trouble // what is not well, the worst first; see [Cluster.Judge]
	Sections []Section
	Events   []timeline.Event // oldest first
}

// Trouble is one thing that is not well: "plex1 is down since 12:00: connection refused".
type Trouble struct {
	Level Level
	Text  string    // what it is
	Since time.Time // zero: not known
	Until time.Time // when it ends; zero: nobody has said
	Why   string    // the words of whoever found it; empty: there is no more to say
}

// Section is a table below its title.
type Section struct {
	Name    string // lower case, unique in its cluster: nodes, proxies, uplinks, answers, duckdns
	Title   string
	Note    string // a sentence below the title
	Columns []string
	Rows    []Row
}

// Row is one row of a section.
type Row struct {
	Level Level
	Cells []Cell // one for each column
	Forms []Form
}

// Cell is one cell of a row.
type Cell struct {
	Text  string
	Badge Level     // Text is the word of a state, and is shown in its colour
	Time  time.Time // shown behind Text; zero: none
	Small string    // a line below, in small letters
}

// Form is a button that changes something. It is sent by POST, and answered with the page.
type Form struct {
	Label  string
	About  string // whom it changes, for those who hear the label without seeing the row
	Action string // the path
	Fields []Field
}

// Field is one value that a form sends.
type Field struct{ Name, Value string }

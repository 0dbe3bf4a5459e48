// Package lint finds what is legal in a Corefile, but hurts.
//
// It reads the whole file, other plugins' lines included, and does no I/O beyond what is imported. What it says is the
// same in `plexctl check` and at the start of both programs.
package lint

import (
	"fmt"
)

// Level says how much a finding matters.
type Level string

// The levels.
const (
	Mistake Level = "mistake" // neither program starts with it
	Warning Level = "warning" // it hurts
	Note    Level = "note"    // to be known
)

// Program is whom a finding concerns.
type Program string

// The programs.
const (
	Plexdns   Program = "plexdns"
	Plexproxy Program = "plexproxy"
	Both      Program = ""
)

// Finding is one thing that is wrong or unwise.
type Finding struct {
	File    string  `json:"file"`
	Line    int     `json:"line,omitzero"` // 0: of the whole file
	Level   Level   `json:"level"`
	Code    string  `json:"code"`             // a short word for it that stays the same, such as "max-requests"
	Program Program `json:"program,omitzero"` // which one it concerns; left out: both
	Text    string  `json:"text"`             // what is unwise, what it does, and what to write instead
}

// String returns the finding in one line, without its level and code.
func (f Finding) String() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: %s", f.File, f.Text)
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
}

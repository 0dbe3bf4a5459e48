package corefile

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ErrNoBlock is what [Load] and [Read] say of a Corefile without any plex block.
var ErrNoBlock = errors.New("no plex block: write plex { } into the server block of your zone")

// Error is one mistake in a Corefile.
type Error struct {
	File string // the Corefile as it was named, or the imported file
	Line int    // 0: the file as a whole
	Err  error  // what is wrong, what would be right
}

// Error returns file, line and message, such as `Corefile:12: unknown property "intervall"`.
func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

// Unwrap returns the message without the place.
func (e *Error) Unwrap() error { return e.Err }

// Errors are all the mistakes of a Corefile, sorted by file and line. It is never empty.
type Errors []*Error

// Error returns one line per mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, mistake := range e {
		lines[i] = mistake.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the mistakes, for errors.As and errors.Is.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, mistake := range e {
		all[i] = mistake
	}
	return all
}

// pos is a place in a Corefile.
type pos struct {
	file string
	line int
}

// seenFrom returns the place as a message at another place calls it.
func (p pos) seenFrom(other pos) string {
	if p.file == other.file {
		return fmt.Sprintf("line %d", p.line)
	}
	return fmt.Sprintf("%s:%d", p.file, p.line)
}

// at is a value and where it was read.
type at[T any] struct {
	pos
	v T
}

// mistakes collects errors while parsing goes on.
type mistakes struct{ list Errors }

func (m *mistakes) addf(p pos, format string, args ...any) {
	m.list = append(m.list, &Error{File: p.file, Line: p.line, Err: fmt.Errorf(format, args...)})
}

// err returns the mistakes in order, or nil if there are none.
func (m *mistakes) err() error {
	if len(m.list) == 0 {
		return nil
	}
	slices.SortStableFunc(m.list, func(a, b *Error) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return m.list
}

// caddyError is how the caddyfile package writes its own errors.
var caddyError = regexp.MustCompile(`(?s)^(.*?):(\d+) - (?:Error during parsing|Syntax error): (.+)$`)

// fromCaddy gives an error of the caddyfile package the form of ours, its place included.
func fromCaddy(name string, err error) Errors {
	e := &Error{File: name, Err: err}
	if m := caddyError.FindStringSubmatch(err.Error()); m != nil {
		e.File = m[1]
		e.Line, _ = strconv.Atoi(m[2])
		e.Err = errors.New(strings.ToLower(m[3][:1]) + m[3][1:])
		if m[3] == "Unexpected EOF" {
			e.Err = errors.New("unexpected end of the file: is a } missing?")
		}
	}
	return Errors{e}
}

package demo

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// tty is the terminal that somebody sits at.
type tty struct{ in, out *os.File }

// terminalOf returns the terminal behind both; nil if there is none that can draw.
func terminalOf(in io.Reader, out io.Writer) *tty {
	i, isFile := in.(*os.File)
	o, isFileToo := out.(*os.File)
	if !isFile || !isFileToo || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(i.Fd())) || !term.IsTerminal(int(o.Fd())) {
		return nil
	}
	return &tty{i, o}
}

// file returns what is set up; nil if there is no terminal.
func (t *tty) file() *os.File {
	if t == nil {
		return nil
	}
	return t.in
}

// raw has each key come at once, unseen, until restore is called.
func (t *tty) raw() (restore func(), err error) {
	before, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("setting the terminal up: %w", err)
	}
	return func() { _ = term.Restore(int(t.in.Fd()), before) }, nil // one that is gone needs it no more
}

// size returns the size of the terminal, or the usual one.
func (t *tty) size() (cols, rows int) {
	cols, rows, err := term.GetSize(int(t.out.Fd()))
	if err != nil || cols == 0 || rows == 0 {
		return 80, 24
	}
	return cols, rows
}

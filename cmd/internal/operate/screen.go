package operate

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// The sequences that a screen needs (xterm, and all that follow it).
const (
	enter = "\x1b[?1049h\x1b[?25l" // another screen, without a cursor
	leave = "\x1b[?25h\x1b[?1049l"
	home  = "\x1b[H"
	rest  = "\x1b[J" // what is behind the cursor
	wipe  = "\x1b[K" // the rest of the line
)

// screen shows texts in one place of a terminal.
type screen struct {
	out  io.Writer
	size func() (width, height int)
}

func newScreen(out io.Writer) *screen {
	_, _ = io.WriteString(out, enter) // the first text tells of an error
	return &screen{out, func() (int, int) { return sizeOf(out) }}
}

// sizeOf returns the size of a terminal, or that of the first ones.
func sizeOf(out io.Writer) (width, height int) {
	if f, ok := out.(*os.File); ok {
		if width, height, err := term.GetSize(int(f.Fd())); err == nil && width > 0 && height > 1 { //nolint:gosec // a descriptor fits
			return width, height
		}
	}
	return 80, 24
}

// show replaces what is shown, and drops what does not fit.
func (s *screen) show(text string) error {
	width, height := s.size()
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	last := clock(time.Now())
	if most := height - 1; len(lines) > most {
		last += fmt.Sprintf("  and %d lines more: the window is too small", len(lines)-most)
		lines = lines[:most]
	}
	var out strings.Builder
	out.WriteString(home)
	for _, line := range lines {
		out.WriteString(cut(line, width) + wipe + "\r\n")
	}
	out.WriteString(cut(last, width) + wipe + rest)
	_, err := io.WriteString(s.out, out.String())
	return err
}

// end shows what was there before.
func (s *screen) end() { _, _ = io.WriteString(s.out, leave) }

// cut returns what fits in a line. Colours take no room, and none is left behind.
func cut(line string, width int) string {
	var out strings.Builder
	painted := false
	for n := 0; line != ""; {
		if end := strings.IndexByte(line, 'm') + 1; end > 0 && strings.HasPrefix(line, "\x1b[") {
			out.WriteString(line[:end])
			painted = line[:end] != "\x1b[0m"
			line = line[end:]
			continue
		}
		if n == width {
			break
		}
		_, size := utf8.DecodeRuneInString(line)
		out.WriteString(line[:size])
		line = line[size:]
		n++
	}
	if painted {
		out.WriteString("\x1b[0m")
	}
	return out.String()
}

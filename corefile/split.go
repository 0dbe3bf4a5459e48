package corefile

import (
	"strings"

	"github.com/coredns/caddy/caddyfile"
)

// line is one line of a Corefile, cut into words.
type line struct {
	pos
	words []string
}

// rawBlock is one plex block before its words mean anything.
type rawBlock struct {
	pos
	zones []string // the words after plex
	lines []line
}

// splitter cuts the tokens of one server block's plex directives into blocks and lines.
type splitter struct {
	tokens []caddyfile.Token
	next   int
	errs   *mistakes
}

// drain takes all tokens that d has left.
func drain(d *caddyfile.Dispenser) []caddyfile.Token {
	var tokens []caddyfile.Token
	for d.Next() {
		tokens = append(tokens, caddyfile.Token{File: d.File(), Line: d.Line(), Text: d.Val()})
	}
	return tokens
}

func (s *splitter) more() bool { return s.next < len(s.tokens) }

func (s *splitter) text() string { return s.tokens[s.next].Text }

func (s *splitter) pos() pos { return pos{s.tokens[s.next].File, s.tokens[s.next].Line} }

// sameLine reports whether the next token stands on the line of the one before it. A quoted token may
// itself hold line breaks.
func (s *splitter) sameLine() bool {
	if s.next == 0 || !s.more() {
		return false
	}
	last, t := s.tokens[s.next-1], s.tokens[s.next]
	return last.File == t.File && last.Line+strings.Count(last.Text, "\n") == t.Line
}

// line takes the words up to the end of the line or a brace. There must be a token left.
func (s *splitter) line() line {
	l := line{pos: s.pos()}
	for s.more() && s.text() != "{" && s.text() != "}" && (len(l.words) == 0 || s.sameLine()) {
		l.words = append(l.words, s.text())
		s.next++
	}
	return l
}

// block takes one directive: the word plex, its zones, and what stands between its braces.
func (s *splitter) block() rawBlock {
	head := s.line()
	b := rawBlock{pos: head.pos}
	if len(head.words) > 0 {
		b.zones = head.words[1:]
	}
	if !s.more() || s.text() != "{" {
		s.stray()
		return b
	}
	s.next++
	for s.more() {
		switch s.text() {
		case "}":
			s.next++
			s.stray()
			return b
		case "{":
			s.nested()
		default:
			b.lines = append(b.lines, s.line())
		}
	}
	s.errs.addf(b.pos, "plex block without its closing }")
	return b
}

// nested skips a block inside a plex block, which has none.
func (s *splitter) nested() {
	s.errs.addf(s.pos(), "unexpected {: the properties of plex are one line each, without braces")
	for depth := 0; s.more(); {
		switch s.text() {
		case "{":
			depth++
		case "}":
			depth--
		}
		s.next++
		if depth == 0 {
			return
		}
	}
}

// stray complains of words behind the end of a block.
func (s *splitter) stray() {
	if s.more() && (s.sameLine() || s.text() == "}") {
		s.errs.addf(s.pos(), "unexpected %q after the plex block", s.text())
		s.next++
		for s.sameLine() {
			s.next++
		}
	}
}

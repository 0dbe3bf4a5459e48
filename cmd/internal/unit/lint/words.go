package lint

import (
	"strconv"
	"strings"
)

// word is one of a command line or a list, with the line that it begins in.
type word struct {
	text string
	line int
}

// set reports whether it is there: no file has a line 0.
func (w word) set() bool { return w.line > 0 }

// syntax is how words are written.
type syntax uint8

const (
	shell   syntax = iota // sh(1)
	unitful               // systemd.syntax(7) and systemd.service(5): lines do not end a command
)

// scanner splits a text into commands of words.
type scanner struct {
	text    string
	at      int
	line    int
	syntax  syntax
	current strings.Builder
	begun   int // the line of the word that is being read; 0: none is
	words   []word
	all     [][]word
}

// commands splits a text that begins in a line into commands. Nothing is expanded: a variable stays as it is.
func commands(text string, line int, as syntax) [][]word {
	s := &scanner{text: text, line: line, syntax: as}
	for s.at < len(s.text) {
		s.step()
	}
	s.endCommand()
	return s.all
}

// step reads what is next outside of quotes.
func (s *scanner) step() {
	switch b := s.next(); {
	case b == '\\':
		s.escape()
	case b == '"' || b == '\'':
		s.begin()
		s.quoted(b)
	case b == '\n':
		s.endWord()
		if s.syntax == shell {
			s.endCommand()
		}
		s.line++
	case b == ' ' || b == '\t' || b == '\r':
		s.endWord()
	case s.syntax == shell && strings.IndexByte(";|&()", b) >= 0:
		s.endCommand()
	case s.syntax == shell && b == '`':
		s.backquoted()
	case s.syntax == shell && b == '#' && s.begun == 0:
		for s.at < len(s.text) && s.text[s.at] != '\n' {
			s.at++
		}
	default:
		s.begin()
		s.plain(b)
	}
}

// plain takes a byte that ends no word. What a shell puts in the place of $(...) nobody knows: it stays as it is, and
// its commands are read, too.
func (s *scanner) plain(b byte) {
	s.current.WriteByte(b)
	if s.syntax != shell || b != '$' || s.at == len(s.text) || s.text[s.at] != '(' {
		return
	}
	begin, line, depth := s.at+1, s.line, 0
	for s.at < len(s.text) {
		b := s.next()
		s.current.WriteByte(b)
		switch b {
		case '(':
			depth++
		case ')':
			depth--
		case '\n':
			s.line++
		}
		if depth == 0 {
			break
		}
	}
	s.all = append(s.all, commands(s.text[begin:s.at], line, shell)...)
}

// backquoted reads up to the closing one. `#...` is how commands of several lines have comments: it is no word.
func (s *scanner) backquoted() {
	inner, _, _ := strings.Cut(s.text[s.at:], "`")
	line := s.line
	s.at = min(s.at+len(inner)+1, len(s.text))
	s.line += strings.Count(inner, "\n")
	if strings.HasPrefix(strings.TrimSpace(inner), "#") {
		return
	}
	if s.begun == 0 {
		s.begun = line
	}
	s.current.WriteString("`" + inner + "`")
	s.all = append(s.all, commands(inner, line, shell)...)
}

func (s *scanner) next() byte {
	s.at++
	return s.text[s.at-1]
}

func (s *scanner) begin() {
	if s.begun == 0 {
		s.begun = s.line
	}
}

func (s *scanner) endWord() {
	if s.begun > 0 {
		text := s.current.String()
		if s.syntax == unitful {
			text = unescape.Replace(text)
		}
		s.words = append(s.words, word{text, s.begun})
	}
	s.current.Reset()
	s.begun = 0
}

// unescape takes back what keeps systemd from replacing a specifier or a variable.
var unescape = strings.NewReplacer("%%", "%", "$$", "$")

func (s *scanner) endCommand() {
	s.endWord()
	if len(s.words) > 0 {
		s.all = append(s.all, s.words)
	}
	s.words = nil
}

// escape reads what follows a backslash. Before the end of a line it goes on in the next one.
func (s *scanner) escape() {
	if s.at == len(s.text) {
		return
	}
	b := s.next()
	if b == '\n' {
		s.endWord()
		s.line++
		return
	}
	s.begin()
	if s.syntax == unitful {
		b = s.unescaped(b)
	}
	s.current.WriteByte(b)
}

// unescaped returns the byte that systemd has for an escape.
func (s *scanner) unescaped(b byte) byte {
	const escapes, means = "abfnrtvs", "\a\b\f\n\r\t\v "
	if i := strings.IndexByte(escapes, b); i >= 0 {
		return means[i]
	}
	if b == 'x' && s.at+2 <= len(s.text) {
		if n, err := strconv.ParseUint(s.text[s.at:s.at+2], 16, 8); err == nil {
			s.at += 2
			return byte(n)
		}
	}
	return b
}

// quoted reads up to the closing quote.
func (s *scanner) quoted(quote byte) {
	for s.at < len(s.text) {
		b := s.next()
		switch {
		case b == quote:
			return
		case b == '\n':
			s.line++
			s.current.WriteByte(' ')
		case b == '\\' && s.at < len(s.text) && (quote == '"' || s.syntax == unitful):
			s.escapeQuoted()
		case quote == '"':
			s.plain(b)
		default:
			s.current.WriteByte(b)
		}
	}
}

// escapeQuoted reads what follows a backslash within quotes.
func (s *scanner) escapeQuoted() {
	b := s.next()
	switch {
	case b == '\n':
		s.line++
	case s.syntax == unitful:
		s.current.WriteByte(s.unescaped(b))
	case strings.IndexByte("\"\\$`", b) >= 0:
		s.current.WriteByte(b)
	default:
		s.current.WriteByte('\\')
		s.current.WriteByte(b)
	}
}

// fields returns the words of a list in a unit.
func fields(w word) []word {
	var all []word
	for _, c := range commands(w.text, w.line, unitful) {
		all = append(all, c...)
	}
	return all
}

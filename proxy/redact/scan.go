package redact

import "bytes"

var mark = []byte(Mark)

// secrets are what a credential's name ends in, in lower case. So `token` stands for X-Plex-Token, authToken and
// access_token, and `cookie` for Set-Cookie.
var secrets = [...]string{"token", "authorization", "cookie"}

// scanner goes once through a line, from one separator of name and value to the next.
type scanner struct {
	line []byte
	out  []byte
	done int // line[:done] is in out
}

// separator is what stands between a name and its value: `=` or `:`, percent-encoded or not.
type separator struct {
	char    byte
	encoded bool
	quote   int // the length of the quote behind the name, as in JSON, with its backslashes; 0: none
	end     int // where the value begins
}

func (s *scanner) scan() {
	for i := 0; i < len(s.line); {
		switch s.line[i] {
		case '=', ':', '%':
			i = s.value(i)
		default:
			i++
		}
	}
}

// value hides what stands behind a separator at i if that is secret. It returns where to go on.
func (s *scanner) value(i int) int {
	char, size := decode(s.line, i)
	if char != '=' && char != ':' {
		return i + max(1, size)
	}
	end, quote := nameEnd(s.line, i)
	name := secretAt(s.line[:end])
	if name == "" {
		return i + size
	}
	sep := separator{char: char, encoded: size > 1, quote: quote, end: i + size}
	at := s.skip(sep)
	if bytes.HasPrefix(s.line[at:], mark) {
		return at + len(mark)
	}
	if at < len(s.line) && s.line[at] == '[' {
		return s.list(sep, at+1)
	}
	if q := quoteAt(s.line, at); q > 0 && s.opens(sep, at, q) {
		next, _ := s.quotedValue(at, q)
		return next
	}
	if sep.quote > 0 && isScalar(s.line, at) {
		return at
	}
	if sep.char == ':' && !sep.encoded && name != secrets[0] {
		return s.hide(at, s.long(at, false)) // a header's line
	}
	return s.hide(at, s.word(at))
}

// skip returns where the value itself begins: behind spaces, and behind quotes that are encoded as the separator is.
func (s *scanner) skip(sep separator) int {
	at := sep.end
	for at < len(s.line) {
		char, size := decode(s.line, at)
		space := char == ' ' && sep.char == ':'
		quote := size > 1 && (char == '"' || char == '\'' || char == '[')
		if !space && !quote {
			break
		}
		at += size
	}
	return at
}

// opens reports whether a quote of q bytes at i opens a value. Behind a name in quotes of the same kind it does.
// Else the line may be JSON and the quote the end of a string that ended in a name, before a comma or the like.
func (s *scanner) opens(sep separator, i, q int) bool {
	if sep.quote == q && sep.char == ':' {
		return true
	}
	i += q
	if i == len(s.line) {
		return false
	}
	switch s.line[i] {
	case ',', '}', ']', ':', ' ', '\t', '\r', '\n', '"', '\'', '\\':
		return false
	default:
		return true
	}
}

// quotedValue hides what stands behind a quote of q bytes at i. It returns where to go on, and whether the quote was
// closed by one of its own kind: else what it stands in has ended.
func (s *scanner) quotedValue(i, q int) (next int, closed bool) {
	end := closing(s.line, i, q)
	s.hide(i+q, end)
	if quoteAt(s.line, end) != q || s.line[end+q-1] != s.line[i+q-1] {
		return end, false
	}
	return end + q, true
}

// list hides the values of a list that begins at i: strings, as in JSON, or all up to its end, as Go prints a map.
func (s *scanner) list(sep separator, i int) int {
	for i < len(s.line) {
		q := quoteAt(s.line, i)
		switch {
		case q > 0 && s.opens(sep, i, q):
			var closed bool
			if i, closed = s.quotedValue(i, q); !closed {
				return i
			}
		case bytes.HasPrefix(s.line[i:], mark):
			i += len(mark)
		case s.line[i] == ',' || s.line[i] == ' ':
			i++
		case q > 0 || s.line[i] == ']' || sep.quote > 0 && isScalar(s.line, i):
			return i
		default:
			return s.hide(i, s.long(i, true))
		}
	}
	return i
}

// hide takes line[from:to] out and returns to.
func (s *scanner) hide(from, to int) int {
	if from < to {
		s.out = append(s.out, s.line[s.done:from]...)
		s.out = append(s.out, Mark...)
		s.done = to
	}
	return to
}

// word returns the end of a value that ends as a URL's does, encoded as deeply as it may be.
func (s *scanner) word(i int) int {
	for i < len(s.line) {
		char, size := decode(s.line, i)
		if ends(char) {
			break
		}
		i += max(1, size)
	}
	return i
}

func ends(char byte) bool {
	switch char {
	case '&', ';', '#', ',', '"', '\'', '`', '\\', '<', '>', '(', ')', '[', ']', '{', '}', '|', 0x7f:
		return true
	default:
		return char <= ' '
	}
}

// long returns the end of a value that may hold spaces: the line's, the quoted string's or the list's.
func (s *scanner) long(i int, list bool) int {
	for ; i < len(s.line); i++ {
		switch c := s.line[i]; {
		case c == '"', c == '\r', c == '\n', c == ']' && list:
			return i
		case c == '\\':
			if i+1 < len(s.line) && (s.line[i+1] == 'r' || s.line[i+1] == 'n') {
				return i
			}
			i++ // what is escaped is part of the value
		}
	}
	return len(s.line) // a backslash at the very end escapes nothing
}

// decode returns the character at i and how long it is: one byte, or percent-encoded as often as it may be.
func decode(line []byte, i int) (char byte, size int) {
	if line[i] != '%' {
		return line[i], 1
	}
	j := i + 1
	for j+2 < len(line) && line[j] == '2' && line[j+1] == '5' && isHex(line[j+2]) {
		j += 2
	}
	if j+1 >= len(line) || !isHex(line[j]) || !isHex(line[j+1]) {
		return '%', 1
	}
	return unhex(line[j])<<4 | unhex(line[j+1]), j + 2 - i
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// nameEnd returns where the name before a separator at i ends, and the length of the quote behind it.
func nameEnd(line []byte, i int) (end, quote int) {
	for end = i; end > 0 && line[end-1] == ' '; end-- {
	}
	switch {
	case end > 0 && (line[end-1] == '"' || line[end-1] == '\''):
		last := end
		for end--; end > 0 && line[end-1] == '\\'; end-- {
		}
		return end, last - end
	case end > 2 && line[end-2] == '2' && (line[end-1] == '2' || line[end-1] == '7'): // an encoded quote
		for j := end - 2; j > 0; j -= 2 {
			if line[j-1] == '%' {
				return j - 1, 0
			}
			if j < 2 || line[j-2] != '2' || line[j-1] != '5' {
				break
			}
		}
	}
	return end, 0
}

// secretAt returns which of the secrets text ends in, in whatever letter case, and with letters percent-encoded
// or not.
func secretAt(text []byte) string {
	for _, name := range secrets {
		if hasSuffix(text, name) {
			return name
		}
	}
	return ""
}

func hasSuffix(text []byte, name string) bool {
	i := len(text)
	for j := len(name) - 1; j >= 0; j-- {
		switch {
		case i > 0 && text[i-1]|0x20 == name[j]:
			i--
		case i > 2 && text[i-3] == '%' && isHex(text[i-2]) && isHex(text[i-1]) &&
			(unhex(text[i-2])<<4|unhex(text[i-1]))|0x20 == name[j]:
			i -= 3
		default:
			return false
		}
	}
	return true
}

// quoteAt returns the length of the quote at i with the backslashes before it, or 0 if there is none.
func quoteAt(line []byte, i int) int {
	j := i
	for j < len(line) && line[j] == '\\' {
		j++
	}
	if j < len(line) && (line[j] == '"' || line[j] == '\'') {
		return j + 1 - i
	}
	return 0
}

// closing returns where the quote begins that ends what the quote of q bytes at i began: the same one again, or
// one of fewer backslashes, which ends what all of it stands in.
func closing(line []byte, i, q int) int {
	char := line[i+q-1]
	for j := i + q; j < len(line); j++ {
		backslashes := j
		for j < len(line) && line[j] == '\\' {
			j++
		}
		if j == len(line) {
			break
		}
		n := j - backslashes
		if line[j] == '"' && closes(n, q-1) || line[j] == char && n == q-1 {
			return j - min(n, q-1)
		}
	}
	return len(line)
}

// closes reports whether a quote behind n backslashes ends a string that began with one behind depth. Strings
// within strings begin behind 0, 1, 3, 7 backslashes, and a backslash in the innermost one is twice as many and
// one more again: what is left of n without those tells whether the quote is an escaped one.
func closes(n, depth int) bool {
	for ; depth > 0; depth /= 2 {
		if n%(2*depth+2) == depth {
			return true
		}
	}
	return n%2 == 0
}

// isScalar reports whether a value of JSON that is no string begins at i.
func isScalar(line []byte, i int) bool {
	if i == len(line) {
		return false
	}
	switch c := line[i]; c {
	case '{', '}', ',', '-', 't', 'f', 'n':
		return true
	default:
		return '0' <= c && c <= '9'
	}
}

package redact

import (
	"bytes"
	"encoding/json"
	"strings"
)

// rewriter goes through valid JSON literal by literal, for lines that the scanner would not leave valid: what looks
// like a name and its value may begin in one string and end in another.
type rewriter struct{ line, out []byte }

// appendJSON appends line, which is valid JSON, without its credentials. It stays valid JSON.
func appendJSON(dst, line []byte) []byte {
	r := rewriter{line: line, out: dst}
	end := r.value(0, false)
	return append(r.out, line[end:]...)
}

// value copies the value at i, without its strings if it is a secret's. It returns where the value ends.
func (r *rewriter) value(i int, secret bool) int {
	i = r.space(i)
	switch r.line[i] {
	case '"':
		return r.literal(i, secret)
	case '[':
		return r.members(i, func(i int) int { return r.value(i, secret) })
	case '{':
		return r.members(i, r.member)
	default:
		end := i + bytes.IndexAny(r.line[i:], ",]} \t\r\n")
		if end < i {
			end = len(r.line)
		}
		return r.copy(i, end)
	}
}

// members copies a list or an object at i, each of whose members one does.
func (r *rewriter) members(i int, one func(int) int) int {
	for i = r.space(r.copy(i, i+1)); ; i = r.space(i) {
		switch r.line[i] {
		case ']', '}':
			return r.copy(i, i+1)
		case ',':
			i = r.copy(i, i+1)
		default:
			i = one(i)
		}
	}
}

// member copies a name and its value.
func (r *rewriter) member(i int) int {
	end := literalEnd(r.line, i)
	secret := secretAt(r.line[i+1:end-1]) != ""
	i = r.space(r.literal(i, false))
	return r.value(r.copy(i, i+1), secret)
}

// literal copies the string at i, or what is left of it.
func (r *rewriter) literal(i int, secret bool) int {
	end := literalEnd(r.line, i)
	text := r.line[i+1 : end-1]
	s := scanner{line: text}
	s.scan()
	shown := append(append([]byte{'"'}, append(s.out, text[s.done:]...)...), '"')
	if secret && len(text) > 0 || !json.Valid(shown) {
		shown = []byte(`"` + Mark + `"`)
	}
	r.out = append(r.out, shown...)
	return end
}

func (r *rewriter) space(i int) int {
	end := i
	for end < len(r.line) && strings.IndexByte(" \t\r\n", r.line[end]) >= 0 {
		end++
	}
	return r.copy(i, end)
}

func (r *rewriter) copy(from, to int) int {
	r.out = append(r.out, r.line[from:to]...)
	return to
}

// literalEnd returns the index behind the string at i.
func literalEnd(line []byte, i int) int {
	for i++; line[i] != '"'; i++ {
		if line[i] == '\\' {
			i++
		}
	}
	return i + 1
}

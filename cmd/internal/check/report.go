package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"plexha/corefile"
	"plexha/corefile/lint"
)

// Report is what there is to say of one Corefile.
type Report struct {
	file     string
	files    []string           // the Corefile and what it imports
	blocks   []*corefile.Config // nil with a mistake in one of them
	findings []lint.Finding     // sorted by place
}

// place is where a mistake is, if it does not say so itself.
type place struct {
	file string
	line int // 0: the file as a whole
}

func (r *Report) add(level lint.Level, code string, who lint.Program, at place, text string) {
	r.findings = append(r.findings, lint.Finding{
		File: at.file, Line: at.line, Level: level, Code: code, Program: who, Text: text,
	})
}

// addAll adds the mistakes that an error consists of.
func (r *Report) addAll(code string, who lint.Program, at place, err error) {
	if all, ok := errors.AsType[corefile.Errors](err); ok {
		for _, e := range all {
			r.addAll(code, who, at, e)
		}
		return
	}
	e, ok := errors.AsType[*corefile.Error](err)
	switch {
	case err == nil:
	case !ok:
		at, text := r.placed(at, err.Error())
		r.add(lint.Mistake, code, who, at, text)
	case errors.Is(err, corefile.ErrNoBlock):
		r.add(lint.Mistake, "no-plex", who, place{e.File, e.Line}, e.Err.Error())
	default:
		r.add(lint.Mistake, code, who, place{e.File, e.Line}, e.Err.Error())
	}
}

// placeOf is how CoreDNS's parser, and our own errors in words alone, begin.
var placeOf = regexp.MustCompile(`(?s)^(.+?):(\d+)( - Error during parsing)?: (.*)$`)

// placed takes the place out of a text, if that begins with one.
func (r *Report) placed(at place, text string) (place, string) {
	m := placeOf.FindStringSubmatch(text)
	if len(m) == 0 {
		return at, text
	}
	file, parser, rest := m[1], m[3] != "", m[4]
	line, err := strconv.Atoi(m[2])
	if err != nil || !parser && file != at.file && file != r.file {
		return at, text
	}
	return place{file, line}, rest
}

// count returns how many findings there are of a level.
func (r *Report) count(level lint.Level) int {
	n := 0
	for _, f := range r.findings {
		if f.Level == level {
			n++
		}
	}
	return n
}

// text writes one finding a line, and a last line with their number.
func (r *Report) text(w io.Writer) error {
	var out strings.Builder
	for _, f := range r.findings {
		at := f.File
		if f.Line > 0 {
			at = fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		fmt.Fprintf(&out, "%s: %s: %s [%s]\n", at, f.Level, f.Text, f.Code)
	}
	if len(r.findings) == 0 {
		fmt.Fprintf(&out, "%s: nothing to complain of: %s\n", r.file, r.summary())
	} else {
		fmt.Fprintln(&out, r.sums())
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// sums says how many findings there are of each level. Those of mistakes are said in any case.
func (r *Report) sums() string {
	words := []string{"no mistake"}
	if n := r.count(lint.Mistake); n > 0 {
		words[0] = plural(n, "mistake")
	}
	for _, level := range []lint.Level{lint.Warning, lint.Note} {
		if n := r.count(level); n > 0 {
			words = append(words, plural(n, string(level)))
		}
	}
	return strings.Join(words, ", ")
}

// summary says what a good Corefile makes.
func (r *Report) summary() string {
	words := []string{plural(len(r.blocks), "cluster")}
	nodes, proxies := 0, 0
	for _, c := range r.blocks {
		for _, origin := range c.Cluster.Origins {
			words = append(words, strings.TrimSuffix(origin, "."))
		}
		nodes += len(c.Cluster.Nodes)
		proxies += len(c.Cluster.Proxies)
		for _, f := range c.Finders {
			words = append(words, "the nodes of "+f.DNS)
		}
	}
	if nodes > 0 {
		words = append(words, plural(nodes, "node"))
	}
	if proxies == 1 {
		return strings.Join(append(words, "1 proxy"), ", ")
	}
	return strings.Join(append(words, fmt.Sprintf("%d proxies", proxies)), ", ")
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// version of the JSON: a change that a reader must know of raises it.
const version = 1

// json writes the findings for programs.
func (r *Report) json(w io.Writer) error {
	text, err := json.MarshalIndent(struct {
		Version  int            `json:"version"`
		Files    []string       `json:"files"`
		Findings []lint.Finding `json:"findings"`
	}{version, r.files, append([]lint.Finding{}, r.findings...)}, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the findings: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

// Package lint finds the mistakes in what runs Plex in a container: a unit of systemd, a quadlet, a compose file or a
// script.
package lint

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"plexha/corefile/lint"
)

// Finding is one thing that is wrong or unwise.
type Finding struct {
	File  string     `json:"file"`
	Line  int        `json:"line"`
	Level lint.Level `json:"level"`
	Code  string     `json:"code"` // a short word for it that stays the same, such as "stop-timeout"
	Text  string     `json:"text"` // what is there, and what it does
	Fix   string     `json:"fix"`  // what to write instead
}

// String returns the finding in one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %s: %s [%s]", f.File, f.Line, f.Level, f.Text, f.Fix, f.Code)
}

// Node is what a Corefile says of a node.
type Node struct {
	Name string
	Port uint16
}

// ErrNothing is that a file runs no container that could be looked at.
var ErrNothing = errors.New("there is no docker run or podman run, no [Container] and no service of compose in it " +
	"that could be Plex's: nothing to look at")

// Check returns the findings of a file, sorted by line. Nodes are those that may be meant: the one that is named, or all
// of the Corefile; nil if there is none.
func Check(file string, text []byte, nodes []Node) ([]Finding, error) {
	doc, err := read(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	doc.nodes = nodes
	var all []Finding
	for _, c := range doc.containers {
		for _, r := range rules {
			r.find(doc, c, func(line int, why, fix string) {
				all = append(all, Finding{file, line, r.level, r.code, why, fix})
			})
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	return slices.Compact(all), nil
}

// format is how a file is written.
type format uint8

// The formats.
const (
	script format = iota
	systemd
	quadlet
	compose
)

// document is what a file says, however it is written.
type document struct {
	format     format
	unit       *unit // of systemd and quadlet
	containers []*container
	nodes      []Node
}

// read takes a file apart, in the format that it looks like.
func read(text string) (*document, error) {
	doc, err := readAs(formatOf(text), text)
	if err == nil && len(doc.containers) == 0 {
		err = ErrNothing
	}
	return doc, err
}

func readAs(f format, text string) (*document, error) {
	doc := &document{format: f}
	switch f {
	case compose:
		all, err := readCompose(text)
		doc.containers = all
		return doc, err
	case systemd:
		doc.unit = readUnit(text)
		doc.containers = readService(doc.unit)
	case quadlet:
		doc.unit = readUnit(text)
		doc.containers = []*container{readQuadlet(doc.unit)}
	case script:
		var all []*container
		for _, words := range commands(text, 1, shell) {
			for _, command := range ofShell(words).commands {
				if c := readRun(command); c != nil {
					all = append(all, c)
				}
			}
		}
		doc.containers = plexOf(all)
	}
	return doc, nil
}

// formatOf tells the format by what a file has: sections, the key services, or neither.
func formatOf(text string) format {
	for line := range strings.Lines(text) {
		switch line = strings.TrimRight(line, " \t\r\n"); {
		case line == "[Container]":
			return quadlet
		case strings.HasPrefix(line, "services:"):
			return compose
		}
	}
	for line := range strings.Lines(text) {
		switch line = strings.TrimSpace(line); {
		case line == "[Unit]", line == "[Service]", line == "[Install]":
			return systemd
		}
	}
	return script
}

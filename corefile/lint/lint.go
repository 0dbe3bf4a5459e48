// Package lint finds what is legal in a Corefile, but hurts.
//
// It reads the whole file, other plugins' lines included, and does no I/O beyond what is imported. What it says is the
// same in `plexctl check` and at the start of both programs.
package lint

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/coredns/caddy/caddyfile"

	"plexha/corefile"
)

// Level says how much a finding matters.
type Level string

// The levels.
const (
	Mistake Level = "mistake" // it can't be had: neither program starts with most of these
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

// The codes of findings that plexdns makes more of.
const (
	Lane     = "lane"      // the fast lane stands aside for a block
	LaneShed = "lane-shed" // a mistake that plexdns starts with
)

// ErrNoNameServer is what plexdns says of a block with `transfer` whose name servers have no addresses: secondaries
// would publish none.
var ErrNoNameServer = errors.New("the block has `transfer`, so its name servers must be given: " +
	"add a line `ns NAME ADDRESS` for each, such as `ns ns1 203.0.113.5`")

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

// Concerns reports whether the finding is for the users of p.
func (f Finding) Concerns(p Program) bool { return f.Program == Both || f.Program == p }

// Compare orders findings by their place, and those of one place by how much they matter.
func Compare(a, b Finding) int {
	order := []Level{Mistake, Warning, Note}
	return cmp.Or(
		strings.Compare(a.File, b.File),
		cmp.Compare(a.Line, b.Line),
		cmp.Compare(slices.Index(order, a.Level), slices.Index(order, b.Level)),
		strings.Compare(a.Code, b.Code),
	)
}

// Load is [Check] for a Corefile on disk.
func Load(path string) ([]Finding, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the Corefile: %w", err)
	}
	return Check(path, text), nil
}

// Check returns the warnings and notes of a Corefile, sorted by place. Relative `import` lines start from the folder of
// name. One that package corefile does not take has none: it does not say what was meant.
func Check(name string, text []byte) []Finding {
	servers, err := caddyfile.Parse(name, bytes.NewReader(text), nil)
	if err != nil {
		return nil
	}
	f, err := read(name, servers)
	if err != nil || len(f.clusters) == 0 {
		return nil
	}
	var all []Finding
	for _, r := range rules {
		r.find(f, func(at pos, format string, args ...any) {
			all = append(all, Finding{
				File: at.file, Line: at.line, Level: r.level, Code: r.code, Program: r.program, Text: fmt.Sprintf(format, args...),
			})
		})
	}
	slices.SortStableFunc(all, Compare)
	return slices.Compact(all)
}

// read takes the server blocks apart.
func read(name string, servers []caddyfile.ServerBlock) (*file, error) {
	f := &file{}
	var parser corefile.Parser
	for _, block := range servers {
		s := &server{keys: block.Keys, plugins: map[string][]directive{}}
		for plugin, tokens := range block.Tokens {
			s.plugins[plugin] = split(name, tokens)
		}
		d := caddyfile.NewDispenserTokens(name, block.Tokens[plexPlugin])
		configs, err := parser.Parse(&d, block.Keys)
		if err != nil {
			return nil, err
		}
		for i, cfg := range configs {
			c := &cluster{Config: cfg, server: s, block: s.plugins[plexPlugin][i]}
			s.clusters = append(s.clusters, c)
			f.clusters = append(f.clusters, c)
		}
		f.servers = append(f.servers, s)
	}
	return f, nil
}

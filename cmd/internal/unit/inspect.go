package unit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"plexha/cmd/internal/command"
	"plexha/cmd/internal/unit/lint"
	corelint "plexha/corefile/lint"
)

// inspect says what is wrong in a file. Whoever reads the findings needs no word more than the exit code.
func (o *options) inspect(rest []string, out io.Writer) error {
	nodes, err := o.meant(rest)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(o.lint)
	if err != nil {
		return fmt.Errorf("reading the file: %w", err)
	}
	findings, err := lint.Check(o.lint, text, nodes)
	if err != nil {
		return err
	}
	write := writeText
	if o.json {
		write = writeJSON
	}
	if err := write(out, o.lint, findings); err != nil {
		return err
	}
	if count(findings, corelint.Mistake) > 0 {
		return &command.ExitError{Code: 1}
	}
	return nil
}

// meant returns the node that is named, or all of the Corefile, if there is one.
func (o *options) meant(rest []string) ([]lint.Node, error) {
	blocks, err := o.Load()
	if errors.Is(err, command.ErrNoCorefile) && len(rest) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		n, _, err := findNode(rest[0], blocks)
		return []lint.Node{{Name: string(n.Name), Port: n.Port}}, err
	}
	var all []lint.Node
	for _, cfg := range blocks {
		for _, n := range cfg.Cluster.Nodes {
			all = append(all, lint.Node{Name: string(n.Name), Port: n.Port})
		}
	}
	return all, nil
}

func count(findings []lint.Finding, level corelint.Level) int {
	n := 0
	for _, f := range findings {
		if f.Level == level {
			n++
		}
	}
	return n
}

// writeText writes one finding a line, and a last line with their number.
func writeText(w io.Writer, file string, findings []lint.Finding) error {
	var out strings.Builder
	for _, f := range findings {
		fmt.Fprintln(&out, f)
	}
	if len(findings) == 0 {
		fmt.Fprintf(&out, "%s: nothing to complain of\n", file)
	} else {
		var words []string
		for _, level := range []corelint.Level{corelint.Mistake, corelint.Warning, corelint.Note} {
			if n := count(findings, level); n == 1 {
				words = append(words, "1 "+string(level))
			} else if n > 1 {
				words = append(words, fmt.Sprintf("%d %ss", n, level))
			}
		}
		fmt.Fprintln(&out, strings.Join(words, ", "))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// version of the JSON: a change that a reader must know of raises it.
const version = 1

// writeJSON writes the findings for programs.
func writeJSON(w io.Writer, file string, findings []lint.Finding) error {
	text, err := json.MarshalIndent(struct {
		Version  int            `json:"version"`
		File     string         `json:"file"`
		Findings []lint.Finding `json:"findings"`
	}{version, file, append([]lint.Finding{}, findings...)}, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the findings: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

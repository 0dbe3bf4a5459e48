// Package check is `plexctl check`: it says of a Corefile what plexdns and plexproxy would, all at once, and starts
// neither.
package check

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/coredns/caddy/caddyfile"

	"plexha/cmd/internal/command"
	"plexha/corefile"
	"plexha/corefile/lint"
)

const about = `Reads a Corefile as plexdns and plexproxy would, and names all mistakes at once:
those of the plex blocks, those that CoreDNS's plugins find in their own lines,
and those that plexproxy's Caddy finds. Warnings tell of what is legal, but
hurts, and notes of what is to be known. Nothing is started, bound or kept; a
name behind forward is looked up, as plexdns does.

Without FILE it is ./Corefile, else /etc/plexha/Corefile. Each line ends in a
code in brackets that stays the same from version to version.

The exit code is 1 with a mistake, and 0 with warnings and notes alone.`

// Command is `plexctl check`.
var Command = command.Command{
	Name:    "check",
	Args:    "[FILE]",
	Summary: "say what is wrong or unwise in a Corefile",
	About:   about,
	Kinds:   []command.Kind{command.File},
	Flags:   &command.Flags{Define: func(f *flag.FlagSet) { new(options).define(f) }},
	Run:     run,
}

type options struct{ json, strict bool }

func (o *options) define(flags *flag.FlagSet) {
	flags.BoolVar(&o.json, "json", false, "print the findings as JSON")
	flags.BoolVar(&o.strict, "strict", false, "let warnings end it with exit code 1 too")
}

// run checks the file that the arguments name. Whoever reads the findings needs no word more than the exit code.
func run(_ context.Context, args []string, _ io.Reader, out, _ io.Writer) error {
	var o options
	rest, err := command.Parse(args, o.define)
	if err != nil {
		return err
	}
	if len(rest) > 1 {
		return command.Usagef("unexpected %q: want one FILE", rest[1])
	}
	file, err := find(rest)
	if err != nil {
		return err
	}
	r, err := File(file)
	if err != nil {
		return err
	}
	write := r.text
	if o.json {
		write = r.json
	}
	if err := write(out); err != nil {
		return err
	}
	if r.count(lint.Mistake) > 0 || o.strict && r.count(lint.Warning) > 0 {
		return &command.ExitError{Code: 1}
	}
	return nil
}

// find returns the Corefile that is meant.
func find(args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	file, err := new(command.Blocks).File()
	if errors.Is(err, command.ErrNoCorefile) {
		return "", errors.New("there is no Corefile, here or in /etc/plexha: name one, as in plexctl check FILE")
	}
	return file, err
}

// File checks a Corefile. The error says why it can't be read.
func File(name string) (*Report, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading the Corefile: %w", err)
	}
	r := &Report{file: name}
	r.read(text)
	r.files, _ = corefile.Files(name) // an error is a finding already
	slices.Sort(r.files)
	slices.SortStableFunc(r.findings, lint.Compare)
	r.findings = slices.Compact(r.findings)
	return r, nil
}

// read looks at the file as a whole, then at each part of it.
func (r *Report) read(text []byte) {
	var err error
	r.blocks, err = corefile.Read(r.file, bytes.NewReader(text))
	servers, broken := caddyfile.Parse(r.file, bytes.NewReader(text), nil)
	if broken != nil {
		r.addAll("syntax", lint.Both, place{file: r.file}, err) // which says the same
		return
	}
	r.addAll("plex", lint.Both, place{file: r.file}, err)
	r.servers(servers, err == nil)
	if err == nil {
		r.proxies()
		r.findings = append(r.findings, lint.Check(r.file, text)...)
	}
}

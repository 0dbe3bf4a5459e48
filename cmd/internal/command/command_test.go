package command_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/cmd/internal/command"
)

// options are those of a command that is made up.
type options struct {
	command.Blocks

	term time.Duration
	why  string
	wait bool
}

func (o *options) define(f *flag.FlagSet) {
	o.Define(f)
	f.DurationVar(&o.term, "for", 0, "`DURATION` until it ends by itself, such as 2h (default until it is taken back)")
	f.StringVar(&o.why, "why", "", "`TEXT` why, for those who look at the status")
	f.BoolVar(&o.wait, "wait", false, "end when the last playback has ended")
}

// made is a program that is made up.
func made() *command.Program {
	drain := func(_ context.Context, args []string, _ io.Reader, out, _ io.Writer) error {
		var o options
		rest, err := command.Parse(args, o.define)
		if err != nil {
			return err
		}
		if len(rest) != 1 {
			return command.Usagef("want the name of one node")
		}
		_, err = fmt.Fprintf(out, "%s for %v, %s\n", rest[0], o.term, o.why)
		return err
	}
	says := func(word string) func(context.Context, []string, io.Reader, io.Writer, io.Writer) error {
		return func(_ context.Context, args []string, _ io.Reader, out, _ io.Writer) error {
			rest, err := command.Parse(args, func(*flag.FlagSet) {})
			if err == nil {
				_, err = fmt.Fprintln(out, word, rest)
			}
			return err
		}
	}
	return &command.Program{
		Name: "tool", Summary: "a tool that is made up",
		Commands: []command.Command{
			{
				Name: "drain", Args: "NODE", Summary: "take a node out of service, without breaking a playback",
				About: "Clients that are there stay. New ones go elsewhere.",
				Kinds: []command.Kind{command.Node},
				Flags: &command.Flags{Define: func(f *flag.FlagSet) { new(options).define(f) }},
				Exits: []command.Exit{{Code: 3, Meaning: "playbacks went on for longer than was to be waited"}},
				Run:   drain,
			},
			{Name: "duck push", Summary: "tell it", Run: says("push")},
			{Name: "duck clear", Args: "[NAME]", Summary: "clear", Kinds: []command.Kind{"one|two"}, Run: says("clear")},
			{Name: "__inner", Hidden: true, Run: says("inner")},
		},
	}
}

// TestRun: arguments find their command, and mistakes in them its help.
func TestRun(t *testing.T) {
	for _, tc := range []struct {
		args string
		out  string // begins with it
		err  string
	}{
		{args: "", err: "no command: see tool help"},
		{args: "help", out: "usage: tool COMMAND [-h]\n\n  drain NODE "},
		{args: "--help", out: "usage: tool COMMAND [-h]\n"},
		{args: "help drain", out: "usage: tool drain [-conf FILE] "},
		{args: "help duck", out: "usage: tool duck COMMAND [-h]\n\n  duck push "},
		{args: "help duck clear", out: "usage: tool duck clear [NAME]\n"},
		{args: "help dran", err: `unknown command "dran": did you mean drain?: see tool help`},
		{args: "help drain plex1", err: `unknown command "drain plex1": did you mean drain?: see tool help`},
		{args: "dran plex1", err: `unknown command "dran": did you mean drain?: see tool help`},
		{args: "xyz", err: `unknown command "xyz": see tool help`},
		{args: "duck", out: "usage: tool duck COMMAND [-h]\n"},
		{args: "duck -h", out: "usage: tool duck COMMAND [-h]\n"},
		{args: "duck psh", err: `unknown command "duck psh": did you mean duck push?: see tool duck -h`},
		{args: "duck clear x", out: "clear [x]\n"},
		{args: "duck clear -x", err: "reading the arguments: flag provided but not defined: -x: see tool duck clear -h"},
		{args: "drain -h", out: "usage: tool drain [-conf FILE] "},
		{args: "drain plex1 -for 2h -why disk", out: "plex1 for 2h0m0s, disk\n"},
		{args: "drain -for 2h plex1 -why=disk", out: "plex1 for 2h0m0s, disk\n"},
		{args: "drain -for 2h -- -why", out: "-why for 2h0m0s, \n"},
		{args: "drain", err: "reading the arguments: want the name of one node: see tool drain -h"},
		{args: "drain plex1 -whi disk", err: "reading the arguments: flag provided but not defined: -whi: did you mean -why?: see tool drain -h"},
		{args: "drain plex1 -for ever", err: `reading the arguments: invalid value "ever" for flag -for: parse error: see tool drain -h`},
		{args: "__inner a", out: "inner [a]\n"},
	} {
		t.Run("tool "+tc.args, func(t *testing.T) {
			var out strings.Builder
			err := made().Run(t.Context(), strings.Fields(tc.args), strings.NewReader(""), &out, io.Discard)
			if got := fmt.Sprint(err); err != nil && got != tc.err || err == nil && tc.err != "" {
				t.Errorf("got error %v, want %s", err, tc.err)
			}
			if !strings.HasPrefix(out.String(), tc.out) || tc.out == "" && out.Len() > 0 {
				t.Errorf("got\n%s\nwant\n%s", out.String(), tc.out)
			}
		})
	}
}

// TestHelp: two columns, wrapped so that they fit on a terminal.
func TestHelp(t *testing.T) {
	const want = `usage: tool drain [-conf FILE] [-for DURATION] [-wait] [-why TEXT] [-zone ZONE]
       NODE

Clients that are there stay. New ones go elsewhere.

  -conf FILE     the Corefile (default Corefile, else /etc/plexha/Corefile)
  -for DURATION  until it ends by itself, such as 2h (default until it is taken
                 back)
  -wait          end when the last playback has ended
  -why TEXT      why, for those who look at the status
  -zone ZONE     the block of this zone alone (default all)

  exit code 0  done
  1            an error, which is told
  3            playbacks went on for longer than was to be waited
`
	if diff := cmp.Diff(want, made().HelpOf("drain")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestHelpOfProgram: what is hidden is not shown.
func TestHelpOfProgram(t *testing.T) {
	const want = `usage: tool COMMAND [-h]

  drain NODE         take a node out of service, without breaking a playback
  duck push          tell it
  duck clear [NAME]  clear
  help [COMMAND]     print this, or all of a command, as COMMAND -h does
`
	if diff := cmp.Diff(want, made().Help()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCode(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want int
	}{
		{"nothing wrong", nil, 0},
		{"an error", errors.New("x"), 1},
		{"a code of its own", &command.ExitError{Code: 3}, 3},
		{"one that is wrapped", fmt.Errorf("waiting: %w", &command.ExitError{Code: 3, Err: errors.New("too long")}), 3},
	} {
		if got := command.Code(tc.err); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

// TestBlocks: the Corefile that is named, else the usual one, and of it what is asked about.
func TestBlocks(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	two := filepath.Join(dir, "two")
	write(t, "Corefile", "one.test {\nplex {\nnode plex1 127.0.0.1\n}\n}\n")
	write(t, two, "one.test {\nplex {\nnode plex1 127.0.0.1\n}\n}\ntwo.test {\nplex {\nnode plex2 127.0.0.1\n}\n}\n")
	for _, tc := range []struct {
		name string
		b    command.Blocks
		want string
		err  string
	}{
		{"the usual one", command.Blocks{}, "one.test.", ""},
		{"one that is named", command.Blocks{Conf: two}, "one.test. two.test.", ""},
		{"a zone", command.Blocks{Conf: two, Zone: "Two.test"}, "two.test.", ""},
		{"no such zone", command.Blocks{Conf: two, Zone: "x.test"}, "", `there is no zone "x.test" in ` + two + ": want one of one.test two.test"},
		{"no such file", command.Blocks{Conf: "none"}, "", "none"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			blocks, err := tc.b.Load()
			var zones []string
			for _, cfg := range blocks {
				zones = append(zones, cfg.Cluster.Origins...)
			}
			if got := strings.Join(zones, " "); got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got %q, %v, want %q, %s", got, err, tc.want, tc.err)
			}
		})
	}
}

// TestWhereTheCorefileIs: the one that is named, else the first of the usual ones.
func TestWhereTheCorefileIs(t *testing.T) {
	dir := t.TempDir()
	here, packaged := filepath.Join(dir, "none"), filepath.Join(dir, "Corefile")
	write(t, packaged, "")
	if got, err := command.Find("", here, packaged); got != packaged || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := command.Find("mine", here, packaged); got != "mine" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := command.Find("", here); !errors.Is(err, command.ErrNoCorefile) {
		t.Errorf("got %v", err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

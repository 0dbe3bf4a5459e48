package completion_test

import (
	"context"
	"flag"
	"io"
	"strings"
	"testing"

	"plexha/cmd/internal/command"
	"plexha/cmd/internal/completion"
)

// made returns a program that is made up, and one without commands.
func made() (tool, daemon *command.Program) {
	define := func(set *flag.FlagSet) {
		new(command.Blocks).Define(set)
		set.Bool("wait", false, "return when it is over")
		set.String("why", "", "`TEXT` why")
		set.String("way", "", "`WAY` how")
	}
	flags := &command.Flags{Define: define, Kinds: map[string]command.Kind{"way": "fast|slow"}}
	tool = &command.Program{Name: "tool", Commands: []command.Command{
		{Name: "drain", Summary: "take it out", Kinds: []command.Kind{command.Node}, Flags: flags},
		{Name: "order", Summary: "say how it is", Kinds: []command.Kind{command.Node, "up|drain|down"}, Flags: flags},
		{Name: "duck push", Summary: "push"},
		{Name: "duck clear", Summary: "clear"},
		{Name: "check", Summary: "look for mistakes", Kinds: []command.Kind{command.File}},
		{Name: "__hidden", Hidden: true},
	}}
	set := flag.NewFlagSet("", flag.ContinueOnError)
	define(set)
	daemon = &command.Program{Name: "daemon", Flags: set, Kinds: map[string]command.Kind{"way": "fast|slow"}}
	return tool, daemon
}

// values are those of two Corefiles.
func values(kind command.Kind, conf string) []string {
	switch {
	case kind == command.Zone:
		return []string{"home.test"}
	case conf == "other":
		return []string{"plex9"}
	default:
		return []string{"plex1", "plex2", "[fd12::1]:443"}
	}
}

// TestComplete: the last word of a line, behind those before it. A line that ends in a space ends in an empty word.
func TestComplete(t *testing.T) {
	tool, daemon := made()
	for _, tc := range []struct {
		line string
		want string // FILES: the name of a file
	}{
		{"tool ", "drain order duck check help"},
		{"tool d", "drain duck"},
		{"tool x", ""},
		{"tool __", ""},
		{"tool duck ", "push clear"},
		{"tool duck p", "push"},
		{"tool duck x ", ""},
		{"tool help ", "drain order duck check help"},
		{"tool help dr", "drain"},
		{"tool drain ", "plex1 plex2 [fd12::1]:443"},
		{"tool drain plex1 ", "plex1 plex2 [fd12::1]:443"},
		{"tool drain [fd", "[fd12::1]:443"},
		{"tool drain -", "-conf -wait -way -why -zone"},
		{"tool drain -w", "-wait -way -why"},
		{"tool drain plex1 -wa", "-wait -way"},
		{"tool drain -why ", ""},
		{"tool drain -why -", ""},
		{"tool drain -why=x ", "plex1 plex2 [fd12::1]:443"},
		{"tool drain -wait ", "plex1 plex2 [fd12::1]:443"},
		{"tool drain -way s", "slow"},
		{"tool drain --way ", "fast slow"},
		{"tool drain -zone ", "home.test"},
		{"tool drain -conf ", "FILES"},
		{"tool drain -conf other ", "plex9"},
		{"tool drain -conf=other ", "plex9"},
		{"tool drain -- -", ""},
		{"tool drain -- ", "plex1 plex2 [fd12::1]:443"},
		{"tool order plex1 ", "up drain down"},
		{"tool order -why x plex1 d", "drain down"},
		{"tool check ", "FILES"},
		{"tool check Core", "FILES"},
		{"daemon ", ""},
		{"daemon -", "-conf -wait -way -why -zone"},
		{"daemon -way ", "fast slow"},
		{"daemon -conf ", "FILES"},
	} {
		t.Run(tc.line, func(t *testing.T) {
			words := strings.Split(tc.line, " ")
			p := tool
			if words[0] == "daemon" {
				p = daemon
			}
			found, file := completion.Complete(p, words[1:], values)
			var got []string
			for _, c := range found {
				got = append(got, c.Word)
			}
			if file {
				got = append(got, "FILES")
			}
			if got := strings.Join(got, " "); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// run is the command of some words.
func run(t *testing.T, words ...string) (string, error) {
	t.Helper()
	tool, daemon := made()
	p := command.Program{Name: "tool", Commands: completion.Commands(func() []*command.Program { return []*command.Program{tool, daemon} }, values)}
	var out strings.Builder
	err := p.Run(context.Background(), words, strings.NewReader(""), &out, io.Discard)
	return out.String(), err
}

// TestInner is what the scripts read.
func TestInner(t *testing.T) {
	for _, tc := range []struct{ words, out, err string }{
		{"__complete tool d", "drain\ttake it out\nduck\n", ""},
		{"__complete tool drain p", "plex1\nplex2\n", ""},
		{"__complete tool drain -wa", "-wait\treturn when it is over\n-way\thow\n", ""},
		{"__complete tool check x", ":files\n", ""},
		{"__complete daemon -wai", "-wait\treturn when it is over\n", ""},
		{"__complete other x", "", "completing: want the name of a program and its words"},
		{"__complete", "", "completing: want the name of a program and its words"},
	} {
		out, err := run(t, strings.Fields(tc.words)...)
		if out != tc.out || (err == nil) != (tc.err == "") || err != nil && err.Error() != tc.err {
			t.Errorf("%s: got %q, %v, want %q, %s", tc.words, out, err, tc.out, tc.err)
		}
	}
}

// TestScripts: there is one for each shell, and no other.
func TestScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if out, err := run(t, "completion", shell); err != nil || !strings.Contains(out, "__complete") {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
	const want = "reading the arguments: want one of bash zsh fish: see tool completion -h"
	for _, words := range [][]string{{"completion"}, {"completion", "csh"}, {"completion", "bash", "zsh"}} {
		if _, err := run(t, words...); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", words, err, want)
		}
	}
}

package demo_test

import (
	"strings"
	"testing"

	"plexha/cmd/internal/command"
	"plexha/cmd/internal/demo"
)

func TestArguments(t *testing.T) {
	plexctl := command.Program{Name: "plexctl", Commands: []command.Command{demo.Command}}
	for _, tc := range []struct {
		args  string
		out   string
		error string
	}{
		{args: "-h", out: plexctl.HelpOf("demo")},
		{args: "-scrpt", error: "reading the arguments: flag provided but not defined: -scrpt: did you mean -script?: see plexctl demo -h"},
		{args: "now", error: `reading the arguments: unexpected "now": see plexctl demo -h`},
	} {
		t.Run(tc.args, func(t *testing.T) {
			var out, errw strings.Builder
			args := append([]string{"demo"}, strings.Fields(tc.args)...)
			err := plexctl.Run(t.Context(), args, strings.NewReader(""), &out, &errw)
			if got := errorText(err); got != tc.error {
				t.Errorf("error %q\nwant  %q", got, tc.error)
			}
			if out.String() != tc.out || errw.String() != "" {
				t.Errorf("said %q and %q, want %q alone", out.String(), errw.String(), tc.out)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

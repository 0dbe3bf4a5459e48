package corefile_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
)

func TestDefaultStateDirs(t *testing.T) {
	for _, tc := range []struct {
		name, xdg, home string
		want            []string
	}{
		{"home", "", "/home/me", []string{"/var/lib/plexha", "/home/me/.local/state/plexha"}},
		{"XDG", "/state", "/home/me", []string{"/var/lib/plexha", "/state/plexha"}},
		{"relative XDG, which the specification says to ignore", "state", "/home/me", []string{"/var/lib/plexha", "/home/me/.local/state/plexha"}},
		{"neither", "", "", []string{"/var/lib/plexha"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("XDG_STATE_HOME", tc.xdg)
			t.Setenv("HOME", tc.home)
			if diff := cmp.Diff(tc.want, corefile.DefaultStateDirs()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	c := block(t, "duckdns token "+token+"\nnotify smtp://me:hunter2@mail/")
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("config", "token", c.DuckDNS.Token, "notify", c.Notify)
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{
		fmt.Sprint(c.DuckDNS.Token), fmt.Sprintf("%+v %#v %q", *c.DuckDNS, *c.DuckDNS, c.Notify), log.String(), string(text),
	} {
		if strings.Contains(shown, token) || strings.Contains(shown, "hunter2") || !strings.Contains(shown, "[redacted]") {
			t.Errorf("got %s", shown)
		}
	}
	if got := c.DuckDNS.Token.Reveal(); got != token {
		t.Errorf("got %q revealed", got)
	}
}

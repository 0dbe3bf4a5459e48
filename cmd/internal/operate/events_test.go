package operate_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"plexha/cmd/internal/operate"
	"plexha/cmd/internal/socket"
	"plexha/zones/timeline"
)

// TestEvents: those of both programs, by time, without those in doubt.
func TestEvents(t *testing.T) {
	h := newHouse(t)
	dns, proxy := h.plexdns(), h.plexproxy()
	dns.events = []socket.Event{
		happened(1, 0, timeline.Info, "node plex1 is up"),
		happened(2, time.Minute, timeline.Doubt, "node plex1 is failing"),
		happened(3, 2*time.Minute, timeline.Warning, "node plex1 is down: \x1b[2Jrefused"),
	}
	proxy.events = []socket.Event{happened(1, time.Second, timeline.Info, "node plex1 is up")}
	at := func(after time.Duration) string { return local(eight.Add(after)) }
	for _, tc := range []struct{ args, want string }{
		{
			"events",
			at(0) + "  plexdns    node plex1 is up\n" +
				at(time.Second) + "  plexproxy  node plex1 is up\n" +
				at(2*time.Minute) + "  plexdns    node plex1 is down: [2Jrefused\n",
		},
		{
			"events -zone home.test -n 2 -all",
			at(time.Minute) + "  plexdns    node plex1 is failing\n" +
				at(2*time.Minute) + "  plexdns    node plex1 is down: [2Jrefused\n",
		},
		{
			"events -json -n 1",
			`{"program":"plexdns","zone":"home.test","seq":3,"at":"2026-11-22T20:02:00Z","level":"warning","kind":"state","subject":"node plex1","text":"node plex1 is down: \u001b[2Jrefused"}` + "\n",
		},
		{"events -n 0", ""},
		{"events -at " + socket.Plexproxy.Path(h.state), at(time.Second) + "  node plex1 is up\n"},
	} {
		if out, err := h.plexctl(tc.args); err != nil || out != tc.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", tc.args, err, out, tc.want)
		}
	}
}

// TestFollow: an event is shown once, whatever a stream tells again, and those after a restart are shown too.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := happened(1, 0, timeline.Info, "one"), happened(2, time.Second, timeline.Info, "two")
		three := happened(3, 2*time.Second, timeline.Info, "three")
		restarted := happened(1, time.Minute, timeline.Info, "one again")
		lost := errors.New("the stream has ended")
		streams := [][]socket.Event{
			{one, two, three},
			{two, three, happened(4, 3*time.Second, timeline.Doubt, "in doubt")},
			{restarted},
			nil,
			nil,
			{restarted, happened(2, 2*time.Minute, timeline.Error, "two again")},
		}
		ctx, cancel := context.WithCancel(t.Context())
		begin := time.Now()
		out, errw := operate.Follow(ctx, []socket.Event{one, two}, false, 1, func(do func(socket.Event) error) error {
			for _, e := range streams[0] {
				if err := do(e); err != nil {
					t.Error(err)
				}
			}
			if streams = streams[1:]; len(streams) == 0 {
				cancel()
			}
			return lost
		})
		var texts []string
		for line := range strings.Lines(out) {
			texts = append(texts, strings.SplitN(strings.TrimSpace(line), "  ", 2)[1])
		}
		if got, want := strings.Join(texts, ", "), "two, three, one again, two again"; got != want {
			t.Errorf("shown are %s, want %s", got, want)
		}
		if want := strings.Repeat("plexctl: the stream has ended: trying again\n", 3); errw != want {
			t.Errorf("told is\n%s\nwant\n%s", errw, want)
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("it took %v, want a second between two tries", took)
		}
	})
}

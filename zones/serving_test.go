package zones_test

import (
	"strings"
	"testing"

	"plexha/zones"
)

// TestUplinksOutside: who is healthy outside is told in file order, by the rules of external answers.
func TestUplinksOutside(t *testing.T) {
	home := func() *world { return cluster(nodes("plex1"), uplinks("fibre", "lte")) }
	half := map[string]zones.State{"203.0.113.1": zones.Down, "2001:db8::1": zones.Up}
	for _, tc := range []struct {
		name  string
		world *world
		want  string
	}{
		{"all up", home(), "fibre 203.0.113.1, lte 203.0.113.2"},
		{"the first down", home().with("fibre", zones.Down), "lte 203.0.113.2"},
		{"in doubt it is still up", home().with("fibre", zones.Failing), "fibre 203.0.113.1, lte 203.0.113.2"},
		{"recovering it is not yet", home().with("fibre", zones.Recovering), "lte 203.0.113.2"},
		{"being drained", home().ordered("fibre", zones.OrderDrain), "lte 203.0.113.2"},
		{"ordered down", home().ordered("fibre", zones.OrderDown), "lte 203.0.113.2"},
		{"all down", home().with("fibre", zones.Down).with("lte", zones.Down), ""},
		{"one without an address", home().without("fibre"), "lte 203.0.113.2"},
		{"one family down", home().addressed("fibre", half), "fibre 2001:db8::1, lte 203.0.113.2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, u := range tc.world.Outside() {
				words := []string{u.Name}
				for _, a := range u.Told {
					words = append(words, a.String())
				}
				got = append(got, strings.Join(words, " "))
			}
			if strings.Join(got, ", ") != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

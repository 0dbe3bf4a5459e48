package zones_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/zones"
)

func TestOrdersSince(t *testing.T) {
	until := began.Add(time.Hour)
	drain := func(until time.Time, why string) func(*zones.Health) {
		return func(h *zones.Health) { h.Order, h.OrderUntil, h.OrderWhy = zones.OrderDrain, until, why }
	}
	none := func(*zones.Health) {}
	for _, tc := range []struct {
		name          string
		before, after func(*zones.Health)
		at            time.Time
		want          []string
	}{
		{"nothing is said", none, none, began, nil},
		{"given", none, drain(time.Time{}, ""), began, []string{"order on node plex1: drain"}},
		{
			"given with an end and a reason", none, drain(until, "new disk"), began,
			[]string{"order on node plex1: drain until 2026-11-22T21:00:00Z: new disk"},
		},
		{"it stands", drain(until, "new disk"), drain(until, "new disk"), began, nil},
		{
			"another reason", drain(until, "new disk"), drain(until, "new fan"), began,
			[]string{"order on node plex1: drain until 2026-11-22T21:00:00Z: new fan"},
		},
		{"withdrawn", drain(until, ""), none, began, []string{"the order on node plex1 has been withdrawn"}},
		{"ended", drain(until, ""), none, until, []string{"the order on node plex1 has ended"}},
		{
			"withdrawn, and would never have ended", drain(time.Time{}, ""), none, until,
			[]string{"the order on node plex1 has been withdrawn"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before, after := bare(), bare()
			tc.before(before.subject("plex1"))
			tc.after(after.subject("plex1"))
			after.At = tc.at
			var got []string
			for _, c := range after.OrdersSince(before.Snapshot) {
				got = append(got, c.Text(c.Subject.String()))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// A node that was found since counts as one without order before, and one that is gone has nothing to tell.
func TestOrdersOfThoseThatComeAndGo(t *testing.T) {
	one, two := cluster(nodes("plex1")), bare().ordered("plex2", zones.OrderDown)
	if got := two.OrdersSince(one.Snapshot); len(got) != 1 || got[0].Subject.Name != "plex2" {
		t.Errorf("plex2 came: got %v", got)
	}
	if got := one.OrdersSince(two.Snapshot); got != nil {
		t.Errorf("plex2 is gone: got %v", got)
	}
}

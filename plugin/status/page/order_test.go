package page_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/plugin/status/page"
)

// TestReadOrder: what a form may say, and what is said where it may not.
func TestReadOrder(t *testing.T) {
	for _, tc := range []struct {
		name, form string
		want       page.Order
		wrong      string
	}{
		{"a drain", "name=plex1&order=drain", page.Order{Name: "plex1", Order: "drain"}, ""},
		{"of one zone", "zone=Home.test.&name=plex1&order=up", page.Order{Zone: "Home.test.", Name: "plex1", Order: "up"}, ""},
		{"in capitals", "name=PLEX1&order=down", page.Order{Name: "plex1", Order: "down"}, ""},
		{"a proxy", "name=[fd12::2]:443&order=down", page.Order{Name: "[fd12::2]:443", Order: "down"}, ""},
		{"taken back", "name=plex1&order=none", page.Order{Name: "plex1", Order: "none"}, ""},
		{"with words", "name=plex1&order=drain&why=new+disk", page.Order{Name: "plex1", Order: "drain", Why: "new disk"}, ""},
		{"words in several lines", "name=plex1&order=drain&why=new%0Adisk%00%0D%0A", page.Order{Name: "plex1", Order: "drain", Why: "new disk"}, ""},
		{"for a while", "name=plex1&order=drain&for=90m", page.Order{Name: "plex1", Order: "drain", Until: noon.UTC().Add(90 * time.Minute)}, ""},
		{"for less than a second", "name=plex1&order=drain&for=1ms", page.Order{Name: "plex1", Order: "drain", Until: noon.UTC().Add(time.Second)}, ""},
		{"until a time", "name=plex1&order=drain&until=2026-11-22T21:00:00%2B01:00", page.Order{Name: "plex1", Order: "drain", Until: noon.UTC().Add(8 * time.Hour)}, ""},
		{"nobody", "order=drain", page.Order{}, "name is missing: want that of a node, a proxy or an uplink"},
		{"two", "name=plex1+plex2&order=drain", page.Order{}, `name "plex1 plex2" is not one word`},
		{"a comment", "name=plex1%23&order=drain", page.Order{}, `name "plex1#" is not one word`},
		{"another line", "name=plex1%0Aplex2&order=drain", page.Order{}, "is not one word"},
		{"no order", "name=plex1", page.Order{}, `unknown order "": want one of up drain down none`},
		{"another order", "name=plex1&order=kill", page.Order{}, `unknown order "kill"`},
		{"a time that has passed", "name=plex1&order=drain&until=2026-11-22T12:00:00Z", page.Order{}, "want a time to come, within ten years"},
		{"a time that never comes", "name=plex1&order=drain&until=2126-11-22T12:00:00Z", page.Order{}, "within ten years"},
		{"a time that is none", "name=plex1&order=drain&until=tomorrow", page.Order{}, `reading until "tomorrow": want a time such as`},
		{"a duration that is none", "name=plex1&order=drain&for=2", page.Order{}, `reading for "2": want a duration such as 2h30m`},
		{"a duration back", "name=plex1&order=drain&for=-2h", page.Order{}, `reading for "-2h"`},
		{"both", "name=plex1&order=drain&for=2h&until=2027-11-22T12:00:00Z", page.Order{}, "until and for exclude each other"},
		{"taken back for a while", "name=plex1&order=none&for=2h", page.Order{}, "has no end"},
		{"a novel", "name=plex1&order=drain&why=" + strings.Repeat("x", 201), page.Order{}, "why is longer than 200 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			form, err := url.ParseQuery(tc.form)
			if err != nil {
				t.Fatal(err)
			}
			got, err := page.ReadOrder(form, noon)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if said := message(err); (said == "") != (tc.wrong == "") || !strings.Contains(said, tc.wrong) {
				t.Errorf("got %q, want %q", said, tc.wrong)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

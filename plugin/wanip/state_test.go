package wanip_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/plugin/wanip"
	"plexha/zones"
)

// owned is a state file that nobody else writes.
func owned(context.Context, string) (func(), error) { return func() {}, nil }

const saved = `{
  "version": 1,
  "uplinks": {
    "wan": {
      "ipv4": {
        "address": "203.0.113.7",
        "since": "2026-11-01T10:00:00Z"
      }
    }
  }
}
`

func stateFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "home.duckdns.org.external.json")
	if content != "" {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTheLastKnownAddressServesAtOnce(t *testing.T) {
	file := stateFile(t, saved)
	inHouse(t, func(h *house) {
		h.opts.StateFile, h.opts.Own = file, owned
		h.tells("") // there is no network yet
	}, func(h *house, d *wanip.Detector) {
		if diff := cmp.Diff([]string{"0s wan [203.0.113.7]"}, take(h, &h.told)); diff != "" {
			t.Errorf("the board (-want +got):\n%s", diff)
		}
		pass(time.Hour)
		r := d.Reports()[0].IPv4
		if r.Known.Addr != netip.MustParseAddr(home) || !r.Known.Since.Equal(time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)) {
			t.Errorf("known: %v since %v", r.Known.Addr, r.Known.Since)
		}
		if !r.Known.Confirmed.IsZero() || d.Confirmed("wan", netip.MustParseAddr(home)) || take(h, &h.news) != nil {
			t.Error("it counts as confirmed before anybody has told it")
		}
		h.tells(home, map[string]string{"cloudflare dot": "", "amazon": ""})
		d.Trigger()
		pass(0)
		if !d.Confirmed("wan", netip.MustParseAddr(home)) || len(take(h, &h.news)) != 1 {
			t.Error("the first round with a voice for it does not confirm it, or is no news")
		}
		if got := take(h, &h.told); got != nil {
			t.Errorf("the board was told %q again", got)
		}
	})
}

func TestAnIPv4AddressInIPv6sClothes(t *testing.T) {
	file := stateFile(t, strings.Replace(saved, home, "::ffff:"+home, 1))
	inHouse(t, func(h *house) { h.opts.StateFile, h.opts.Own = file, owned }, func(h *house, _ *wanip.Detector) {
		pass(time.Minute)
		if diff := cmp.Diff([]string{"0s wan [203.0.113.7]"}, take(h, &h.told)); diff != "" {
			t.Errorf("the board (-want +got):\n%s", diff)
		}
	})
}

// spyBoard is a board that asks a question whenever it is told something.
type spyBoard struct {
	wanip.Board

	ask func(addrs []netip.Addr)
}

func (w spyBoard) SetAddrs(s zones.Subject, addrs []netip.Addr, now time.Time) {
	w.ask(addrs)
	w.Board.SetAddrs(s, addrs, now)
}

// What was only in the state file counts as confirmed at no moment while another address takes its place.
func TestAnAddressThatIsReplacedUnconfirmed(t *testing.T) {
	file, told := stateFile(t, saved), 0
	var d atomic.Pointer[wanip.Detector]
	inHouse(t, func(h *house) {
		h.opts.StateFile, h.opts.Own = file, owned
		h.tells(moved)
		h.opts.Board = spyBoard{h, func([]netip.Addr) {
			if told++; told > 1 && d.Load().Confirmed("wan", netip.MustParseAddr(home)) {
				t.Errorf("%s counts as confirmed, which nobody has told", home)
			}
		}}
	}, func(_ *house, running *wanip.Detector) {
		d.Store(running)
		pass(time.Minute)
		if told != 2 || !running.Confirmed("wan", netip.MustParseAddr(moved)) {
			t.Errorf("the board was told %d times, want 2", told)
		}
	})
}

func TestWhenTheStateIsWritten(t *testing.T) {
	file := stateFile(t, "")
	inHouse(t, func(h *house) { h.opts.StateFile, h.opts.Own = file, owned }, func(h *house, _ *wanip.Detector) {
		if _, err := os.Stat(file); err == nil {
			t.Error("a file was written before anything was known")
		}
		pass(6 * time.Second)
		want := strings.Replace(saved, "2026-11-01T10:00:00Z", "2000-01-01T00:00:05Z", 1)
		if diff := cmp.Diff(want, readFile(t, file)); diff != "" {
			t.Errorf("the file (-want +got):\n%s", diff)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		pass(24 * time.Hour)
		if _, err := os.Stat(file); err == nil {
			t.Error("the file was written though nothing has changed")
		}
		h.tells(moved)
		pass(70 * time.Second)
		if got := readFile(t, file); !strings.Contains(got, moved) {
			t.Errorf("after a change the file is %s", got)
		}
	})
}

func TestWhoWritesTheState(t *testing.T) {
	file, mine := stateFile(t, saved), make(chan struct{})
	inHouse(t, func(h *house) {
		turn := make(chan struct{}) // belongs to the bubble
		go func() {
			time.Sleep(10 * time.Minute)
			close(turn)
		}()
		h.opts.StateFile = file
		h.opts.Own = func(ctx context.Context, _ string) (func(), error) {
			select {
			case <-turn:
				return func() { close(mine) }, nil
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		h.tells(moved)
	}, func(h *house, _ *wanip.Detector) {
		pass(9 * time.Minute)
		if diff := cmp.Diff(saved, readFile(t, file)); diff != "" {
			t.Errorf("the file while another one writes it (-want +got):\n%s", diff)
		}
		pass(2 * time.Minute)
		if got := readFile(t, file); !strings.Contains(got, moved) {
			t.Errorf("the file after that is %s", got)
		}
	})
	select {
	case <-mine:
	default:
		t.Error("the right to write was not given up")
	}
}

func TestStateThatIsOfNoUse(t *testing.T) {
	for _, tc := range []struct {
		name, content string
		err           string // a part of what is told
	}{
		{"none", "", ""},
		{"garbage", "{", "unexpected end of JSON input"},
		{"an address that is none", strings.Replace(saved, home, "home", 1), "ParseAddr"},
		{"of a later version", strings.Replace(saved, `"version": 1`, `"version": 2`, 1), "version 2 is not known"},
		{"of another uplink", strings.Replace(saved, "wan", "dsl", 1), ""},
		{"an address of the other family", strings.Replace(saved, home, "2001:db8::7", 1), ""},
		{"an address that cannot be it", strings.Replace(saved, home, "192.168.1.1", 1), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := stateFile(t, tc.content)
			inHouse(t, func(h *house) { h.opts.StateFile, h.opts.Own = file, owned }, func(h *house, _ *wanip.Detector) {
				if got := take(h, &h.told); got != nil {
					t.Errorf("the board was told %q", got)
				}
				got := strings.Join(take(h, &h.log), "\n")
				if (got == "") != (tc.err == "") || !strings.Contains(got, tc.err) {
					t.Errorf("told %q, want %q in it", got, tc.err)
				}
				pass(6 * time.Second)
				if diff := cmp.Diff([]string{"5s wan [203.0.113.7]"}, take(h, &h.told)); diff != "" {
					t.Errorf("the board (-want +got):\n%s", diff)
				}
				if got := readFile(t, file); strings.Contains(got, "dsl") || !strings.Contains(got, home) {
					t.Errorf("the file is %s", got)
				}
			})
		})
	}
}

func TestStateThatCannotBeWritten(t *testing.T) {
	inHouse(t, func(h *house) {
		h.opts.StateFile, h.opts.Own = filepath.Join(t.TempDir(), "gone", "external.json"), owned
	}, func(h *house, _ *wanip.Detector) {
		pass(time.Hour)
		got := slices.DeleteFunc(take(h, &h.log), func(s string) bool { return strings.HasPrefix(s, "info: ") })
		if len(got) != 1 || !strings.HasPrefix(got[0], "warning: writing the last known external addresses: ") {
			t.Errorf("warnings %q, want one", got)
		}
	})
}

func TestAReloadGoesOn(t *testing.T) {
	var old []wanip.Report
	poisoned := map[string]string{"opendns udp": poison}
	inHouse(t, func(h *house) { h.tells(home, poisoned) }, func(h *house, d *wanip.Detector) {
		pass(2 * time.Hour)
		old = d.Reports()
	})
	inHouse(t, func(h *house) {
		h.tells(home, poisoned)
		h.opts.Old, h.opts.StateFile, h.opts.Own = old, stateFile(t, saved), owned
	}, func(h *house, d *wanip.Detector) {
		if diff := cmp.Diff([]string{"0s wan [203.0.113.7]"}, take(h, &h.told)); diff != "" {
			t.Errorf("the board (-want +got):\n%s", diff)
		}
		if !d.Confirmed("wan", netip.MustParseAddr(home)) {
			t.Error("what was confirmed is not any more")
		}
		if got := d.Reports()[0].IPv4; got.Known.Since != old[0].IPv4.Known.Since || len(got.Findings) != 8 {
			t.Errorf("the report is %+v, want the old one", got)
		}
		pass(20 * time.Minute)
		asked := rounds(take(h, &h.asked))
		if len(asked) != 20 || slices.ContainsFunc(asked, func(r string) bool { return !strings.HasSuffix(r, ": 1") }) {
			t.Errorf("questions %q, want one a minute", asked)
		}
		if got := take(h, &h.log); got != nil {
			t.Errorf("the log tells again %q", got)
		}
	})
}

func TestAReloadWithOtherSourcesAsksAll(t *testing.T) {
	for _, tc := range []struct {
		name    string
		sources []string
	}{
		{"one more", append([]string{"icanhazip"}, defaults...)},
		{"one less", defaults[1:]},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var old []wanip.Report
			inHouse(t, nil, func(h *house, d *wanip.Detector) {
				pass(time.Minute)
				old = d.Reports()
			})
			inHouse(t, func(h *house) {
				h.opts.Old, h.opts.Sources = old, nil
				for _, s := range tc.sources {
					h.opts.Sources = append(h.opts.Sources, h.source(s))
				}
			}, func(h *house, _ *wanip.Detector) {
				pass(10 * time.Second)
				want := fmt.Sprintf("10s: %d", len(tc.sources)-1)
				if diff := cmp.Diff([]string{want}, rounds(take(h, &h.asked))); diff != "" {
					t.Errorf("rounds, the router spared (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAReloadLosesNoWarning(t *testing.T) {
	var old []wanip.Report
	behindNAT := map[string]string{"router": "100.64.1.2"}
	inHouse(t, func(h *house) { h.tells(home, behindNAT) }, func(h *house, d *wanip.Detector) {
		pass(30 * time.Second)
		old = d.Reports()
	})
	inHouse(t, func(h *house) {
		h.tells(home, behindNAT)
		h.opts.Old = old
	}, func(h *house, _ *wanip.Detector) {
		pass(10 * time.Minute)
		if got := take(h, &h.log); len(got) != 1 || !strings.Contains(got[0], "inbound IPv4 cannot work") {
			t.Errorf("the log has %q, want what the old instance had no time to tell", got)
		}
	})
}

func TestAReloadRepeatsNoWarning(t *testing.T) {
	var old []wanip.Report
	build := func(h *house) {
		h.opts = h.opts.HostingIPv6("2001:db8::5")
		h.answers(func(_ string, f zones.Family) (string, error) {
			return map[zones.Family]string{zones.IPv4: home, zones.IPv6: "2001:db8::5"}[f], nil
		})
	}
	inHouse(t, build, func(h *house, d *wanip.Detector) {
		pass(time.Minute)
		old = d.Reports()
		if old[0].NoIPv6 == "" {
			t.Error("there is nothing to repeat")
		}
	})
	inHouse(t, func(h *house) {
		build(h)
		h.opts.Old = old
	}, func(h *house, _ *wanip.Detector) {
		pass(time.Minute)
		if got := take(h, &h.log); got != nil {
			t.Errorf("the log tells again %q", got)
		}
	})
}

func TestAReloadBeforeTheFirstRoundHasEnded(t *testing.T) {
	inHouse(t, func(h *house) { h.opts.Old = []wanip.Report{{Uplink: "wan"}} }, func(h *house, _ *wanip.Detector) {
		pass(5 * time.Second)
		if diff := cmp.Diff([]string{"5s wan [203.0.113.7]"}, take(h, &h.told)); diff != "" {
			t.Errorf("the board (-want +got):\n%s", diff)
		}
	})
}

func TestWhatAReloadTakesAway(t *testing.T) {
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	old := []wanip.Report{{
		Uplink: "wan", At: at,
		IPv4: wanip.FamilyReport{Known: wanip.Known{Addr: netip.MustParseAddr("192.0.2.1"), Confirmed: at}},
		IPv6: wanip.FamilyReport{Known: wanip.Known{Addr: netip.MustParseAddr("2001:db8::5"), Confirmed: at}},
	}, {Uplink: "gone", At: at}}
	inHouse(t, func(h *house) {
		h.opts.Old = old
		h.opts.Config.Uplinks[0].NoIPv6 = true
		h.tells("")
	}, func(h *house, d *wanip.Detector) {
		if got := take(h, &h.told); got != nil {
			t.Errorf("the board was told %q", got)
		}
		for _, f := range zones.Families() {
			r := d.Reports()[0]
			if got := r.Of(f).Known.Addr; got.IsValid() {
				t.Errorf("%s is known: %s, which the new Corefile refuses", f, got)
			}
		}
	})
}

package duckdns_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
	"plexha/plugin/duckdns"
	"plexha/zones"
)

// inHouse runs a test in a bubble in which time passes at once, with one uplink of one address.
func inHouse(t *testing.T, f func(t *testing.T, h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.candidates = []duckdns.Candidate{at("wan", wanAddr)}
		f(t, h)
	})
}

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestThePushIsLookedForUntilItIsShown(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.spread = 20 * time.Second
		_, stop := start(t, h.options(t))
		defer stop()
		pass(11 * time.Minute)
		equal(t, "pushes", h.since(&h.pushes), "0s 203.0.113.1")
		equal(t, "looks", h.since(&h.looks), "5s ipv4", "15s ipv4", "30s ipv4", "5m30s ipv4", "10m30s ipv4")
		equal(t, "lines", h.since(&h.lines),
			"info home.duckdns.org: A is 203.0.113.1, of uplink wan",
			"info home.duckdns.org: A 203.0.113.1 is verified after 30s, by 2 of 2 name servers of DuckDNS")
	})
}

func TestADayWithoutNews(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		_, stop := start(t, h.options(t))
		defer stop()
		pass(time.Minute)
		h.since(&h.lines)
		pass(48 * time.Hour)
		equal(t, "pushes", h.since(&h.pushes), "0s 203.0.113.1", "24h0m0s 203.0.113.1", "48h0m0s 203.0.113.1")
		equal(t, "lines", h.since(&h.lines))
		if n := len(h.since(&h.looks)); n < 570 || n > 585 {
			t.Errorf("%d looks in two days, want one every 5 minutes", n)
		}
		if diff := cmp.Diff([]duckdns.Result{duckdns.Updated, duckdns.NoChange, duckdns.NoChange}, h.results); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
	})
}

func TestAChangeIsPushedAtOnce(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		_, stop := start(t, h.options(t))
		defer stop()
		pass(time.Hour)
		h.since(&h.lines)
		h.has(at("wan", newAddr))
		equal(t, "pushes", h.since(&h.pushes), "0s 203.0.113.1", "1h0m0s 203.0.113.77")
		pass(time.Minute)
		equal(t, "lines", h.since(&h.lines),
			"info home.duckdns.org: A is 203.0.113.77, of uplink wan, no longer 203.0.113.1",
			"info home.duckdns.org: A 203.0.113.77 is verified after 5s, by 2 of 2 name servers of DuckDNS")
	})
}

func TestTheFamiliesDoNotDependOnEachOther(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.candidates = []duckdns.Candidate{at("wan", wan6Addr), at("wan", wanAddr)}
		h.answer = func(ctx context.Context, a netip.Addr) (duckdns.Reply, error) {
			if a.Is4() {
				return duckdns.Reply{}, duckdns.ErrForeign
			}
			return h.take(a), nil
		}
		o := h.options(t)
		o.Config.NoIPv6 = false
		w, stop := start(t, o)
		defer stop()
		pass(time.Minute)
		equal(t, "pushes", h.since(&h.pushes), "0s 203.0.113.1", "0s 2001:db8::1", "1m0s 203.0.113.1")
		r := w.Report()
		if r.IPv4.Published.IsValid() || r.IPv4.Error == "" || r.IPv6.View != duckdns.Verified || r.IPv6.Error != "" {
			t.Errorf("the report is %+v", r)
		}
	})
}

func TestAFamilyThatIsOff(t *testing.T) {
	for _, tc := range []struct {
		name string
		off  func(c *corefile.DuckDNS)
		want string
	}{
		{"ipv4 off", func(c *corefile.DuckDNS) { c.NoIPv4, c.NoIPv6 = true, false }, "0s 2001:db8::1"},
		{"ipv6 off", func(c *corefile.DuckDNS) { c.NoIPv6 = true }, "0s 203.0.113.1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				h.candidates = []duckdns.Candidate{at("wan", wan6Addr), at("wan", wanAddr)}
				o := h.options(t)
				tc.off(o.Config)
				w, stop := start(t, o)
				defer stop()
				pass(time.Hour)
				equal(t, "pushes", h.since(&h.pushes), tc.want)
				if r := w.Report(); r.IPv4.Off != o.Config.NoIPv4 || r.IPv6.Off != o.Config.NoIPv6 {
					t.Errorf("the report is %+v", r)
				}
			})
		})
	}
}

func TestAnOutageOfADay(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		_, stop := start(t, h.options(t))
		defer stop()
		pass(time.Hour)
		h.since(&h.pushes)
		h.since(&h.lines)
		h.change(func() { h.answer, h.look = isOff, unreachable })
		h.has(at("wan", newAddr))
		pass(8 * time.Minute)
		equal(t, "the first pushes", h.since(&h.pushes),
			"1h0m0s 203.0.113.77", "1h1m30s 203.0.113.77", "1h3m0s 203.0.113.77", "1h5m30s 203.0.113.77")
		pass(24 * time.Hour)
		if n := len(h.since(&h.pushes)); n < 40 || n > 50 {
			t.Errorf("%d pushes in a day, want one every half an hour", n)
		}
		h.change(func() { h.answer, h.look = nil, nil })
		pass(31 * time.Minute)
		equal(t, "pushes when it is back", h.since(&h.pushes), "25h28m30s 203.0.113.77")
		equal(t, "lines", h.since(&h.lines),
			"warning home.duckdns.org: A should be 203.0.113.77, but DuckDNS has taken no update for 10m0s: connecting to"+
				" DuckDNS: context deadline exceeded; it is tried again and again",
			"info home.duckdns.org: A cannot be verified: no name server answers",
			"info home.duckdns.org: A can be verified again",
			"info home.duckdns.org: A is 203.0.113.77, of uplink wan, no longer 203.0.113.1; DuckDNS takes updates again,"+
				" after 24h28m0s",
			"info home.duckdns.org: A 203.0.113.77 is verified after 5s, by 2 of 2 name servers of DuckDNS")
	})
}

func TestAFailureThatPassesIsNotTold(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		_, stop := start(t, h.options(t))
		defer stop()
		pass(time.Hour)
		h.since(&h.pushes)
		h.since(&h.lines)
		h.change(func() {
			h.answer = func(context.Context, netip.Addr) (duckdns.Reply, error) {
				return duckdns.Reply{}, &duckdns.StatusError{Status: 502}
			}
		})
		h.has(at("wan", newAddr))
		pass(3 * time.Minute)
		h.change(func() { h.answer = nil })
		pass(time.Hour)
		equal(t, "pushes", h.since(&h.pushes),
			"1h0m0s 203.0.113.77", "1h1m0s 203.0.113.77", "1h2m0s 203.0.113.77", "1h4m0s 203.0.113.77")
		equal(t, "lines", h.since(&h.lines),
			"info home.duckdns.org: A is 203.0.113.77, of uplink wan, no longer 203.0.113.1",
			"info home.duckdns.org: A 203.0.113.77 is verified after 5s, by 2 of 2 name servers of DuckDNS")
	})
}

func TestAFirstPushThatFailsIsToldAtOnce(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.answer = isOff
		_, stop := start(t, h.options(t))
		defer stop()
		pass(time.Minute)
		equal(t, "lines", h.since(&h.lines),
			"warning home.duckdns.org: A: connecting to DuckDNS: context deadline exceeded; it is tried again and again")
		pass(24 * time.Hour)
		h.change(func() { h.answer = nil })
		pass(31 * time.Minute)
		equal(t, "lines after a day", h.since(&h.lines),
			"info home.duckdns.org: A is 203.0.113.1, of uplink wan; DuckDNS takes updates again, after 24h28m0s",
			"info home.duckdns.org: A 203.0.113.1 is verified after 5s, by 2 of 2 name servers of DuckDNS")
	})
}

func TestKOIsToldOnceAndMendedByANewToken(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.candidates = append(h.candidates, at("wan", wan6Addr))
		h.answer = refuses
		o := h.options(t)
		o.Config.NoIPv6 = false
		o.Config.Token, o.Config.Credential = corefile.Secret{}, "duckdns_token"
		w, stop := start(t, o)
		defer stop()
		pass(24 * time.Hour)
		const alert = `error home.duckdns.org: A: DuckDNS refused the update. It says no` +
			` more than KO, so check that the token in the credential duckdns_token is that of the account at` +
			` www.duckdns.org, that "home" is one of the domains there, and that 203.0.113.1 is right. It is tried again` +
			` more and more seldom, and as soon as the token changes`
		lines := h.since(&h.lines)
		equal(t, "lines", lines[:1], alert)
		if len(lines) > 2 {
			t.Errorf("a day of KO is %d lines:\n%s", len(lines), text(lines))
		}
		if n := len(h.since(&h.pushes)); n != 2*8 {
			t.Errorf("%d pushes in a day, want 8 of each family", n)
		}
		if got := w.Report().IPv4.RefusedSince; !got.Equal(h.began) {
			t.Errorf("in the slow lane since %v, want %v", got, h.began)
		}
		h.set(func() { h.answer, h.token = nil, tokens[1] })
		equal(t, "pushes with the new token", h.since(&h.pushes), "24h0m0s 203.0.113.1", "24h0m0s 2001:db8::1")
		lines = h.since(&h.lines)
		equal(t, "lines", lines[:2], "info home.duckdns.org: there is another token",
			"info home.duckdns.org: A is 203.0.113.1, of uplink wan; DuckDNS takes updates again, after 24h0m0s")
	})
}

func TestAnotherKOIsToldAgain(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		w, stop := start(t, h.options(t))
		defer stop()
		var alerts []string
		for range 2 {
			pass(2 * time.Minute)
			h.since(&h.lines)
			h.change(func() { h.answer = refuses })
			h.has(at("wan", newAddr))
			alerts = append(alerts, h.since(&h.lines)...)
			h.change(func() { h.answer = nil })
			pass(2 * time.Minute)
			w.Trigger()
			pass(2 * time.Minute)
			h.has(at("wan", wanAddr))
		}
		if len(alerts) != 2 || alerts[0] != alerts[1] {
			t.Errorf("want the same alert twice, got:\n%s", text(alerts))
		}
	})
}

func TestWhatFailsIsToldAfterTenMinutes(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		o := h.options(t)
		o.Config.NoVerify = true
		_, stop := start(t, o)
		defer stop()
		pass(time.Hour)
		h.since(&h.lines)
		h.change(func() {
			h.answer = func(context.Context, netip.Addr) (duckdns.Reply, error) {
				return duckdns.Reply{}, errors.New("connection refused")
			}
		})
		h.has(at("wan", newAddr))
		pass(10*time.Minute - time.Second)
		equal(t, "lines before", h.since(&h.lines))
		pass(time.Second)
		if lines := h.since(&h.lines); len(lines) != 1 {
			t.Errorf("lines after ten minutes: %q", lines)
		}
	})
}

func TestAWrongNewTokenIsToldAgain(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.answer = refuses
		_, stop := start(t, h.options(t))
		defer stop()
		first := h.since(&h.lines)
		h.set(func() { h.token = tokens[1] })
		equal(t, "pushes", h.since(&h.pushes), "0s 203.0.113.1", "0s 203.0.113.1")
		equal(t, "lines", h.since(&h.lines), "info home.duckdns.org: there is another token", first[0])
	})
}

func TestWithoutATokenNothingIsPushed(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.tokenErr = errors.New("reading the token: open /etc/plexha/duckdns.token: no such file or directory")
		w, stop := start(t, h.options(t))
		defer stop()
		pass(30 * time.Minute)
		equal(t, "pushes", h.since(&h.pushes))
		equal(t, "lines", h.since(&h.lines), "error home.duckdns.org cannot be kept up to date: "+h.tokenErr.Error())
		if got := w.Report().Token; got != h.tokenErr.Error() {
			t.Errorf("the report says %q of the token", got)
		}
		said := h.tokenErr
		h.set(func() { h.tokenErr = nil })
		equal(t, "pushes", h.since(&h.pushes), "30m0s 203.0.113.1")
		h.since(&h.lines)
		h.set(func() { h.tokenErr = said })
		equal(t, "lines when it is gone again", h.since(&h.lines),
			"error home.duckdns.org cannot be kept up to date: "+said.Error())
	})
}

func TestADriftIsSetRight(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		_, stop := start(t, h.options(t))
		defer stop()
		pass(time.Hour)
		h.since(&h.pushes)
		h.since(&h.looks)
		h.since(&h.lines)
		h.change(func() { h.held[zones.IPv4] = newAddr })
		pass(7 * time.Minute)
		equal(t, "looks", h.since(&h.looks), "1h0m5s ipv4", "1h1m5s ipv4", "1h1m10s ipv4", "1h6m10s ipv4")
		equal(t, "pushes", h.since(&h.pushes), "1h1m5s 203.0.113.1")
		equal(t, "lines", h.since(&h.lines),
			"warning home.duckdns.org: A should be 203.0.113.1, but all name servers of DuckDNS show 203.0.113.77; it is"+
				" set again. Does another program set it?",
			"info home.duckdns.org: A 203.0.113.1 is verified after 5s, by 2 of 2 name servers of DuckDNS")
	})
}

func TestADriftLongAfterAnotherIsSetRightAsSoon(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		_, stop := start(t, h.options(t))
		defer stop()
		for range 6 {
			pass(2 * time.Hour)
			h.change(func() { h.held[zones.IPv4] = newAddr })
			h.since(&h.pushes)
			pass(7 * time.Minute)
			if pushes := h.since(&h.pushes); len(pushes) != 1 {
				t.Errorf("pushes after a drift: %q", pushes)
			}
		}
	})
}

func TestALookThatReachesNobodyEndsNoDrift(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		_, stop := start(t, h.options(t))
		defer stop()
		pass(time.Hour)
		h.since(&h.pushes)
		h.change(func() { h.held[zones.IPv4] = newAddr })
		pass(30 * time.Second)
		h.change(func() { h.look = unreachable })
		pass(time.Minute)
		h.change(func() { h.look = nil })
		equal(t, "pushes", h.since(&h.pushes))
		pass(time.Minute)
		equal(t, "pushes", h.since(&h.pushes), "1h2m5s 203.0.113.1")
	})
}

func TestARecordThatIsGoneIsADrift(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		_, stop := start(t, h.options(t))
		defer stop()
		pass(time.Hour)
		h.since(&h.pushes)
		h.change(func() {
			delete(h.held, zones.IPv4)
			delete(h.shown, zones.IPv4)
		})
		pass(7 * time.Minute)
		equal(t, "pushes", h.since(&h.pushes), "1h1m5s 203.0.113.1")
	})
}

func TestARecordThatAnotherProgramHasLeft(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		o := h.options(t)
		o.Config.NoIPv6 = false
		h.held[zones.IPv6] = wan6Addr
		_, stop := start(t, o)
		defer stop()
		pass(24*time.Hour - time.Second)
		equal(t, "pushes", h.since(&h.pushes), "0s 203.0.113.1")
		equal(t, "lines", h.since(&h.lines)[2:],
			"warning home.duckdns.org: AAAA is 2001:db8::1 at DuckDNS, which plexdns has not set and has no ipv6 address to"+
				" put there: clients outside are led there all the same, until `plexctl duckdns clear` takes the records of"+
				" both families away")
		h.has(at("wan", wanAddr), at("wan", wan6Addr))
		pass(30 * time.Second)
		equal(t, "pushes", h.since(&h.pushes), "23h59m59s 2001:db8::1", "24h0m0s 203.0.113.1")
	})
}

func TestARecordThatIsLeftEmpty(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		o := h.options(t)
		o.Config.NoIPv6 = false
		_, stop := start(t, o)
		defer stop()
		pass(3 * time.Hour)
		if lines := h.since(&h.lines); len(lines) != 2 {
			t.Errorf("want two lines about IPv4, got:\n%s", text(lines))
		}
		var six []string
		for _, look := range h.since(&h.looks) {
			if strings.HasSuffix(look, "ipv6") {
				six = append(six, look)
			}
		}
		equal(t, "looks", six, "10m0s ipv6", "1h10m0s ipv6", "2h10m0s ipv6")
	})
}

func TestOneLookThatDiffersIsNoDrift(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		_, stop := start(t, h.options(t))
		defer stop()
		pass(time.Hour)
		h.since(&h.pushes)
		h.change(func() { h.shown[zones.IPv4], h.heldAt, h.spread = newAddr, time.Now(), 30*time.Second })
		pass(22 * time.Hour)
		equal(t, "pushes", h.since(&h.pushes))
	})
}

func TestAnotherProgramThatSetsTheRecordIsNotFought(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		_, stop := start(t, h.options(t))
		defer stop()
		for range 24 * 12 {
			h.set(func() { h.held[zones.IPv4] = newAddr })
			pass(5 * time.Minute)
		}
		if n := len(h.since(&h.pushes)); n < 5 || n > 10 {
			t.Errorf("%d pushes in a day, want fewer and fewer", n)
		}
		if lines := h.since(&h.lines); len(lines) > 20 {
			t.Errorf("the log says:\n%s", text(lines))
		}
	})
}

func TestADuckDNSThatSaysOKAndDoesNothing(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.ignore = true
		_, stop := start(t, h.options(t))
		defer stop()
		pass(23 * time.Hour)
		equal(t, "pushes", h.since(&h.pushes),
			"0s 203.0.113.1", "3m0s 203.0.113.1", "18m0s 203.0.113.1", "48m0s 203.0.113.1", "1h48m0s 203.0.113.1",
			"3h48m0s 203.0.113.1", "7h48m0s 203.0.113.1", "13h48m0s 203.0.113.1", "19h48m0s 203.0.113.1")
		equal(t, "lines", h.since(&h.lines),
			"info home.duckdns.org: A is 203.0.113.1, of uplink wan",
			"warning home.duckdns.org: A should be 203.0.113.1, which DuckDNS took 3m0s ago, but all its name servers show"+
				" no address; it is told again")
	})
}

func TestSomebodyWhoAnswersForTheNameServers(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		w, stop := start(t, h.options(t))
		defer stop()
		pass(time.Hour)
		h.since(&h.lines)
		h.change(func() {
			h.look = func(zones.Family) ([]duckdns.Shown, error) {
				inside := netip.MustParseAddr("192.168.1.2")
				return []duckdns.Shown{shows(1, inside), shows(2, inside)}, nil
			}
		})
		pass(12 * time.Hour)
		equal(t, "pushes", h.since(&h.pushes), "0s 203.0.113.1")
		if got := w.Report().IPv4; got.View != duckdns.Intercepted || got.Intercepted == "" {
			t.Errorf("the report is %+v", got)
		}
		h.change(func() { h.look = nil })
		pass(5 * time.Minute)
		equal(t, "lines", h.since(&h.lines),
			"warning home.duckdns.org cannot be verified: somebody answers for the name servers of DuckDNS: 192.0.2.1:53"+
				" shows 192.168.1.2, a private address. Is port 53 redirected?",
			"info home.duckdns.org: nobody answers for the name servers of DuckDNS any more")
	})
}

func TestSomebodyWhoAnswersNowAndThenIsToldHourly(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		_, stop := start(t, h.options(t))
		defer stop()
		pass(time.Minute)
		h.since(&h.lines)
		for range 6 * 3 {
			h.change(func() {
				h.look = func(zones.Family) ([]duckdns.Shown, error) {
					return []duckdns.Shown{silent(1, duckdns.ErrNotAuthoritative)}, nil
				}
			})
			pass(10 * time.Minute)
			h.change(func() { h.look = nil })
			pass(10 * time.Minute)
		}
		if lines := h.since(&h.lines); len(lines) != 2*6 {
			t.Errorf("six hours are %d lines, want a begin and an end each hour:\n%s", len(lines), text(lines))
		}
	})
}

func TestPushesGoOnWithoutVerification(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.look = unreachable
		_, stop := start(t, h.options(t))
		defer stop()
		pass(time.Hour)
		h.has(at("wan", newAddr))
		equal(t, "pushes", h.since(&h.pushes), "0s 203.0.113.1", "1h0m0s 203.0.113.77")
	})
}

func TestVerifyOff(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		o := h.options(t)
		o.Config.NoVerify, o.Verifier = true, nil
		w, stop := start(t, o)
		defer stop()
		pass(25 * time.Hour)
		equal(t, "pushes", h.since(&h.pushes), "0s 203.0.113.1", "24h0m0s 203.0.113.1")
		if r := w.Report(); r.Verify || r.IPv4.View != duckdns.Unseen || !r.IPv4.NextLook.IsZero() {
			t.Errorf("the report is %+v", r)
		}
	})
}

func TestFailoverBetweenUplinks(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		wan, wan2 := h.candidates[0], at("wan2", wan2Addr)
		h.candidates = []duckdns.Candidate{wan, wan2}
		_, stop := start(t, h.options(t))
		defer stop()
		pass(time.Hour)
		h.has(down(wan), wan2)
		pass(30 * time.Minute)
		h.has(at("wan", wanAddr), wan2)
		pass(59 * time.Second)
		equal(t, "pushes", h.since(&h.pushes), "0s 203.0.113.1", "1h0m0s 198.51.100.2")
		pass(time.Second)
		equal(t, "pushes when the first is up again for a minute", h.since(&h.pushes), "1h31m0s 203.0.113.1")
		h.has(down(wan), down(wan2))
		pass(time.Hour)
		equal(t, "pushes when none is up", h.since(&h.pushes))
	})
}

func TestAnUplinkThatComesAndGoes(t *testing.T) {
	for _, tc := range []struct {
		name     string
		up, down time.Duration
		most     int // pushes in a day
	}{
		{"20 s each", 20 * time.Second, 20 * time.Second, 2},
		{"up for longer than it must be", 65 * time.Second, 20 * time.Second, 30},
		{"up for five minutes", 5 * time.Minute, time.Minute, 40},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				wan, wan2 := h.candidates[0], at("wan2", wan2Addr)
				h.candidates = []duckdns.Candidate{wan, wan2}
				_, stop := start(t, h.options(t))
				defer stop()
				for time.Since(h.began) < 24*time.Hour {
					pass(tc.up)
					h.has(down(wan), wan2)
					pass(tc.down)
					h.has(at("wan", wanAddr), wan2)
				}
				pushes := h.since(&h.pushes)
				if len(pushes) < 2 || len(pushes) > tc.most {
					t.Errorf("%d pushes, want 2 to %d:\n%s", len(pushes), tc.most, text(pushes))
				}
			})
		})
	}
}

func TestAPushWhoseAnswerWasLost(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		w, stop := start(t, h.options(t))
		defer stop()
		pass(time.Hour + time.Minute)
		h.since(&h.pushes)
		h.change(func() {
			h.answer = func(ctx context.Context, a netip.Addr) (duckdns.Reply, error) {
				h.take(a)
				return duckdns.Reply{}, errors.New("connection reset by peer")
			}
		})
		h.has(at("wan", newAddr))
		pass(10 * time.Minute)
		equal(t, "pushes until the name servers show it", h.since(&h.pushes),
			"1h1m0s 203.0.113.77")
		if got := w.Report().IPv4; got.Published != newAddr || got.Error != "" || got.View != duckdns.Verified {
			t.Errorf("the report is %+v", got)
		}
	})
}

func TestAPushThatIsCutOffMayHaveBeenTaken(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		o := h.options(t)
		_, stop := start(t, o)
		pass(time.Hour)
		h.since(&h.pushes)
		h.change(func() { h.answer = isOff })
		h.has(at("wan", newAddr))
		stop()
		h.change(func() { h.answer = nil })
		h.has(at("wan", wanAddr))
		_, stop = start(t, o)
		defer stop()
		equal(t, "pushes", h.since(&h.pushes), "1h0m0s 203.0.113.77", "1h0m0s 203.0.113.1")
	})
}

func TestAPublisherThatHangs(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.answer = isOff
		_, stop := start(t, h.options(t))
		pass(29 * time.Second)
		stop()
		if h.results != nil {
			t.Errorf("a push that was cut off counts as %v", h.results)
		}
		h.has(at("wan", wanAddr))
		_, stop = start(t, h.options(t))
		defer stop()
		pass(31 * time.Second)
		if diff := cmp.Diff([]duckdns.Result{duckdns.Timeout}, h.results); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
	})
}

func TestARestart(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		o := h.options(t)
		_, stop := start(t, o)
		pass(time.Hour)
		stop()
		h.since(&h.pushes)
		h.since(&h.looks)
		h.since(&h.lines)
		h.candidates[0].Confirmed = false
		pass(time.Hour)
		w, stop := start(t, o)
		defer stop()
		equal(t, "looks", h.since(&h.looks), "2h0m0s ipv4")
		if got := w.Report().IPv4; got.Published != wanAddr || !got.PublishedAt.Equal(h.began) {
			t.Errorf("the report is %+v", got)
		}
		h.has(at("wan", wanAddr))
		pass(21 * time.Hour)
		equal(t, "pushes", h.since(&h.pushes))
		equal(t, "lines", h.since(&h.lines))
		pass(time.Hour)
		equal(t, "pushes", h.since(&h.pushes), "24h0m0s 203.0.113.1")
	})
}

func TestARestartWhileDuckDNSIsDown(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.answer = func(context.Context, netip.Addr) (duckdns.Reply, error) {
			return duckdns.Reply{}, errors.New("connection refused")
		}
		o := h.options(t)
		_, stop := start(t, o)
		pass(20 * time.Minute)
		stop()
		h.since(&h.pushes)
		for range 10 {
			_, stop := start(t, o)
			pass(time.Minute)
			stop()
		}
		equal(t, "pushes by ten processes", h.since(&h.pushes))
		_, stop = start(t, o)
		defer stop()
		pass(2 * time.Minute)
		equal(t, "pushes", h.since(&h.pushes), "32m0s 203.0.113.1")
		equal(t, "lines", h.since(&h.lines),
			"warning home.duckdns.org: A: connection refused; it is tried again and again")
	})
}

func TestARestartInTheSlowLaneTriesOnce(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.answer = refuses
		o := h.options(t)
		_, stop := start(t, o)
		pass(2 * time.Hour)
		stop()
		h.since(&h.pushes)
		_, stop = start(t, o)
		defer stop()
		pass(90 * time.Minute)
		equal(t, "pushes", h.since(&h.pushes), "2h0m0s 203.0.113.1")
	})
}

func TestAStateFileThatCannotBeUsed(t *testing.T) {
	const begin = "warning reading what DuckDNS was told: "
	for _, tc := range []struct {
		name, content, want string
	}{
		{"cut off", `{"version": 1, "na`, begin + "FILE: unexpected end of JSON input: starting without"},
		{"of a later version", `{"version": 2}`, begin + "FILE is of version 2, want 1: starting without"},
		{
			"of another API", `{"version": 1, "name": "home", "api": "https://127.0.0.1", "ipv4": {"published": "203.0.113.1"}}`,
			"",
		},
		{"of another domain", `{"version": 1, "name": "away", "ipv4": {"published": "203.0.113.1"}}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				o := h.options(t)
				if err := os.WriteFile(o.StateFile, []byte(tc.content), 0o600); err != nil {
					t.Fatal(err)
				}
				_, stop := start(t, o)
				stop()
				equal(t, "pushes", h.since(&h.pushes), "0s 203.0.113.1")
				want := []string{"info home.duckdns.org: A is 203.0.113.1, of uplink wan"}
				if tc.want != "" {
					want = append([]string{strings.ReplaceAll(tc.want, "FILE", o.StateFile)}, want...)
				}
				equal(t, "lines", h.since(&h.lines), want...)
			})
		})
	}
}

func TestStateThatCannotBeWritten(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		o := h.options(t)
		o.StateFile = filepath.Join(o.StateFile, "nowhere.json")
		_, stop := start(t, o)
		defer stop()
		pass(25 * time.Hour)
		equal(t, "pushes", h.since(&h.pushes), "0s 203.0.113.1", "24h0m0s 203.0.113.1")
		if lines := text(h.since(&h.lines)); !strings.Contains(lines, "warning writing down what DuckDNS was told: ") {
			t.Errorf("the log says:\n%s", lines)
		}
	})
}

func TestWithoutAStateFile(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		o := h.options(t)
		o.StateFile, o.Own, o.Observe, o.Token = "", nil, nil, nil
		o.Config.Token = corefile.NewSecret(tokens[0])
		_, stop := start(t, o)
		defer stop()
		pass(time.Hour)
		equal(t, "pushes", h.since(&h.pushes), "0s 203.0.113.1")
	})
}

// TestReportsAreTold one after the other, but for what is known before the worker runs.
func TestReportsAreTold(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		var all []string
		o := h.options(t)
		o.Told = func(r duckdns.Report) {
			text := "waiting"
			if !r.Waiting {
				text = r.IPv4.Published.String() + " " + string(r.IPv4.View)
			}
			if len(all) == 0 || all[len(all)-1] != text {
				all = append(all, text)
			}
		}
		w, stop := start(t, o)
		pass(time.Minute)
		stop()
		equal(t, "what is told", all, "203.0.113.1 "+string(duckdns.Unseen), "203.0.113.1 "+string(duckdns.Verified))
		if got := w.Report().IPv4.View; got != duckdns.Verified {
			t.Errorf("in the end the report says %s", got)
		}
	})
}

func TestAReload(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		o := h.options(t)
		_, stopOld := start(t, o)
		pass(time.Hour)
		h.since(&h.lines)
		second := o
		second.News = func() (<-chan struct{}, func()) { return make(chan struct{}), func() {} }
		w, stopNew := start(t, second)
		defer stopNew()
		pass(time.Hour)
		h.has(at("wan", newAddr))
		if r := w.Report(); !r.Waiting || r.Name != "home.duckdns.org" {
			t.Errorf("the report of the one who waits is %+v", r)
		}
		stopOld()
		pass(time.Hour)
		equal(t, "pushes", h.since(&h.pushes), "0s 203.0.113.1", "2h0m0s 203.0.113.77")
		if r := w.Report(); r.Waiting || r.IPv4.Published != newAddr {
			t.Errorf("the report of the one who goes on is %+v", r)
		}
	})
}

func TestAReloadThatIsGivenUp(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		o := h.options(t)
		_, stop := start(t, o)
		defer stop()
		_, stopNew := start(t, o)
		stopNew()
		equal(t, "pushes", h.since(&h.pushes), "0s 203.0.113.1")
	})
}

func TestATriggerIsHeeded(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.answer = func(context.Context, netip.Addr) (duckdns.Reply, error) {
			return duckdns.Reply{}, errors.New("connection refused")
		}
		w, stop := start(t, h.options(t))
		defer stop()
		pass(20 * time.Minute)
		h.since(&h.pushes)
		h.change(func() { h.answer = nil })
		w.Trigger()
		asked := time.Now()
		pass(time.Nanosecond)
		equal(t, "pushes", h.since(&h.pushes), "20m0s 203.0.113.1")
		if r := w.Report(); r.At.Before(asked) || r.IPv4.Published != wanAddr {
			t.Errorf("the report is %+v", r)
		}
		h.since(&h.looks)
		pass(time.Minute)
		h.since(&h.looks)
		w.Trigger()
		pass(time.Nanosecond)
		if looks := h.since(&h.looks); len(looks) != 1 {
			t.Errorf("looks after a trigger: %q", looks)
		}
		equal(t, "pushes", h.since(&h.pushes))
	})
}

func TestTriggersInARow(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		w, stop := start(t, h.options(t))
		defer stop()
		pass(time.Hour)
		h.since(&h.looks)
		for range 6000 {
			w.Trigger()
			pass(10 * time.Millisecond)
		}
		if n := len(h.since(&h.looks)); n > 13 {
			t.Errorf("%d looks within a minute, want one every 5 s", n)
		}
	})
}

func TestATriggerKeepsTheGap(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.answer = func(context.Context, netip.Addr) (duckdns.Reply, error) {
			return duckdns.Reply{}, &duckdns.StatusError{Status: 429, RetryAfter: 10 * time.Minute}
		}
		w, stop := start(t, h.options(t))
		defer stop()
		for range 60 {
			w.Trigger()
			pass(10 * time.Second)
		}
		equal(t, "pushes", h.since(&h.pushes), "0s 203.0.113.1", "10m0s 203.0.113.1")
	})
}

func TestReport(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		w, stop := start(t, h.options(t))
		defer stop()
		pass(time.Hour)
		h.change(func() { h.held[zones.IPv4] = newAddr })
		pass(30 * time.Second)
		began := h.began
		want := duckdns.Report{
			Name: "home.duckdns.org", At: began.Add(time.Hour + 5*time.Second), Verify: true,
			IPv4: duckdns.FamilyReport{
				Wanted: wanAddr, Uplink: "wan",
				Published: wanAddr, PublishedAt: began, Changed: true, Tried: began,
				View: duckdns.Differs, Looked: began.Add(time.Hour + 5*time.Second),
				Verified: began.Add(55*time.Minute + 5*time.Second), By: 2, Of: 2,
				Shown: []duckdns.Shown{shows(1, newAddr), shows(2, newAddr)},
				Other: []netip.Addr{newAddr}, Since: began.Add(time.Hour + 5*time.Second),
				NextLook: began.Add(time.Hour + 65*time.Second),
				NextPush: began.Add(24 * time.Hour), Why: duckdns.Refresh,
			},
			IPv6: duckdns.FamilyReport{Off: true},
		}
		got := w.Report()
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
			cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("report (-want +got):\n%s", diff)
		}
		if got.Of(zones.IPv4).Wanted != wanAddr || got.Of(zones.IPv6).Wanted.IsValid() {
			t.Error("the report of a family is another one's")
		}
	})
}

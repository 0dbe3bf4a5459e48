package wanip_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"plexha/plugin/wanip"
	"plexha/zones"
)

func TestSurvey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse("cloudflare dot", "google udp", "ipify", "router")
		h.opts = h.opts.HostingIPv6("2001:db8::5")
		h.answers(func(source string, f zones.Family) (string, error) {
			switch {
			case f == zones.IPv6 && source == "ipify":
				return "2001:db8::5", nil
			case f == zones.IPv6:
				return "", errUnreachable
			case source == "router":
				return "100.64.1.2", nil
			default:
				return home, nil
			}
		})
		got := wanip.Survey(t.Context(), h.opts)
		if len(got) != 1 {
			t.Fatalf("%d reports, want one for each uplink", len(got))
		}
		r := got[0]
		var said []string
		for _, f := range r.IPv4.Findings {
			said = append(said, fmt.Sprintf("%s: %s %s", f.Source, f.Addr, f.Refused))
		}
		want := []string{
			"cloudflare dot: 203.0.113.7 ", "google udp: 203.0.113.7 ", "ipify: 203.0.113.7 ",
			"router: 100.64.1.2 100.64.1.2 is shared between customers: carrier-grade NAT (RFC 6598)",
		}
		if diff := cmp.Diff(want, said); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
		if r.IPv4.Known.Addr.String() != home || r.IPv4.Trouble[:23] != "inbound IPv4 cannot wor" {
			t.Errorf("IPv4: %s, trouble %q", r.IPv4.Known.Addr, r.IPv4.Trouble)
		}
		if r.IPv6.Known.Addr.IsValid() || r.IPv6.Trouble == "" {
			t.Errorf("IPv6: %s, trouble %q, want none by one voice", r.IPv6.Known.Addr, r.IPv6.Trouble)
		}
		if len(r.Published) != 1 || len(take(h, &h.told)) > 0 {
			t.Errorf("published %v, want one address that the board is not told", r.Published)
		}
		if asked := take(h, &h.asked); len(asked) != 8 {
			t.Errorf("%d questions, want one of each source and family", len(asked))
		}
	})
}

func TestSurveyOfOneFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.opts = h.opts.HostingIPv6("2001:db8::5")
		h.opts.Only = func(uplink string, f zones.Family) bool { return uplink == "wan" && f == zones.IPv6 }
		wanip.Survey(t.Context(), h.opts)
		for _, q := range take(h, &h.asked) {
			if q.family == zones.IPv4 {
				t.Errorf("%s was asked for IPv4", q.source)
			}
		}
	})
}

func TestSurveyThatNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.tells("")
		r := wanip.Survey(t.Context(), h.opts)[0].IPv4
		if r.Known.Addr.IsValid() || r.Trouble != "" || len(r.Findings) != 8 {
			t.Errorf("known %s, %d findings, trouble %q; want the findings to speak for themselves", r.Known.Addr, len(r.Findings), r.Trouble)
		}
	})
}

func TestSurveyWithoutABoard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.opts.Board = nil
		r := wanip.Survey(t.Context(), h.opts)[0]
		if r.IPv4.Known.Addr.String() != home || r.Published != nil {
			t.Errorf("known %s, published %v", r.IPv4.Known.Addr, r.Published)
		}
	})
}

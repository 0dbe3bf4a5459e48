package duckdns_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"plexha/plugin/duckdns"
	"plexha/zones"
)

func TestAClockThatIsPutBackADay(t *testing.T) {
	for _, tc := range []struct {
		name   string
		before func(h *house)
		after  func(h *house)
		within time.Duration
		want   string // what is pushed
	}{
		{"a change is pushed", nil, func(h *house) { h.has(at("wan", newAddr)) }, time.Minute, "1m0s 203.0.113.77"},
		{"a record that another program sets is noticed", nil, func(h *house) {
			h.change(func() { h.held[zones.IPv4] = newAddr })
		}, 8 * time.Minute, "1m5s 203.0.113.1"},
		{"what has failed is tried again", func(h *house) {
			h.answer = func(context.Context, netip.Addr) (duckdns.Reply, error) { return duckdns.Reply{}, duckdns.ErrForeign }
			h.has(at("wan", newAddr))
			pass(time.Minute)
			h.change(func() { h.answer = nil })
		}, func(h *house) { h.set(func() {}) }, 40 * time.Minute, "33m0s 203.0.113.77"},
		{"so is what was refused", func(h *house) {
			h.answer = refuses
			h.has(at("wan", newAddr))
			pass(time.Minute)
			h.change(func() { h.answer = nil })
		}, func(h *house) { h.set(func() {}) }, 8 * time.Hour, "6h36m0s 203.0.113.77"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				w, stop := start(t, h.options(t))
				defer stop()
				pass(time.Hour)
				if tc.before != nil {
					tc.before(h)
				}
				h.since(&h.pushes)
				w.SetClockBack(24 * time.Hour)
				h.change(func() { h.began = time.Now() })
				tc.after(h)
				pass(tc.within)
				equal(t, "pushes", h.since(&h.pushes), tc.want)
			})
		})
	}
}

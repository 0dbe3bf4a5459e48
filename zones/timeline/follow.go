package timeline

import (
	"fmt"
	"slices"
	"strings"

	"plexha/zones"
	"plexha/zones/board"
)

// Follower adds to a timeline what happens on a board: states, isolations, orders, external addresses that are
// detected, and what the main name leads to. It is for one goroutine at a time.
type Follower struct {
	Timeline *Timeline
	Answers  bool // what the main name leads to is told; for who answers questions

	seen   uint64
	before *zones.Snapshot
	main   [2]zones.Lead // by view, as last told
}

// Begin takes over from the board before a reload, so that nothing is told twice: before is its last snapshot.
func (f *Follower) Begin(before *zones.Snapshot) {
	f.before = before
	for _, view := range views {
		if f.Answers && before.Ready {
			f.main[view] = before.MainLead(view)
		}
	}
}

// Seen returns the number of the board's event that was told last.
func (f *Follower) Seen() uint64 { return f.seen }

// Tell adds what is new: the board's events after [Follower.Seen], and what differs between the snapshot and the
// one that was told before.
func (f *Follower) Tell(events []board.Event, snap *zones.Snapshot) {
	if f.before == nil {
		f.before = &zones.Snapshot{}
	}
	for _, e := range events {
		f.seen = e.Seq
		f.Timeline.Add(OfBoard(e))
	}
	f.orders(snap)
	f.addresses(snap)
	if f.Answers && snap.Ready {
		f.answers(snap)
	}
	f.before = snap
}

func (f *Follower) orders(snap *zones.Snapshot) {
	for _, c := range snap.OrdersSince(f.before) {
		who := c.Subject.String()
		f.Timeline.Add(Event{At: snap.At, Level: Info, Kind: Order, Subject: who, To: c.Health.Order.String(), Text: c.Text(who)})
	}
}

// addresses tells which detected addresses are others.
func (f *Follower) addresses(snap *zones.Snapshot) {
	for i := range snap.Uplinks {
		u := &snap.Uplinks[i]
		if !u.Auto {
			continue
		}
		var was *zones.UplinkHealth
		if j := slices.IndexFunc(f.before.Uplinks, func(b zones.UplinkHealth) bool { return b.Name == u.Name }); j >= 0 {
			was = &f.before.Uplinks[j]
		}
		for _, family := range zones.Families() {
			from, to := addrs(was, family), addrs(u, family)
			if from != to {
				f.Timeline.Add(Event{
					At: snap.At, Level: Info, Kind: Address, Subject: u.Subject().String(),
					From: from, To: to, Text: addressText(u.Subject(), from, to),
				})
			}
		}
	}
}

// addrs returns an uplink's addresses of a family, divided by spaces; u may be nil.
func addrs(u *zones.UplinkHealth, family zones.Family) string {
	if u == nil {
		return ""
	}
	var out []string
	for _, a := range u.Health.Addrs {
		if family.Has(a.Addr) {
			out = append(out, a.Addr.String())
		}
	}
	return strings.Join(out, " ")
}

func addressText(uplink zones.Subject, from, to string) string {
	switch {
	case to == "":
		return fmt.Sprintf("%s no longer has the external address %s", uplink, from)
	case from == "":
		return fmt.Sprintf("%s has the external address %s", uplink, to)
	default:
		return fmt.Sprintf("%s has the external address %s, no longer %s", uplink, to, from)
	}
}

var (
	views  = [...]zones.View{zones.External, zones.Internal}
	places = [...]string{zones.External: "outside", zones.Internal: "inside"}
	levels = [...]Level{zones.AsMeant: Info, zones.StandIn: Warning, zones.NothingUp: Error}
)

// answers tells where the main name leads now, if that is elsewhere. That it leads where it is meant to is no
// news at the begin.
func (f *Follower) answers(snap *zones.Snapshot) {
	for _, view := range views {
		was, is := f.main[view], snap.MainLead(view)
		f.main[view] = is
		if was.Why == is.Why || was.Why == "" && is.Standing == zones.AsMeant {
			continue
		}
		e := Event{
			At: snap.At, Level: levels[is.Standing], Kind: Answers, To: is.Standing.String(),
			Text: fmt.Sprintf("answers %s: %s", places[view], is.Why),
		}
		if was.Why != "" {
			e.From = was.Standing.String()
		}
		f.Timeline.Add(e)
	}
}

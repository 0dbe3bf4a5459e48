package plugin

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"plexha/plugin/runtime"
	"plexha/plugin/status"
	"plexha/zones"
)

// compiled is one snapshot with the zones that follow from it.
type compiled struct {
	snap    *zones.Snapshot
	spread  zones.Spreader
	origins []compiledOrigin // as the Corefile orders them
	raised  []string         // origins whose external serial is higher than before
	// lastResort: nothing is up, and the main name answers inside all the same.
	lastResort bool
	answers    func() []status.Answer // what is served, for who looks at it
}

// compiledOrigin is one origin as both views see it.
type compiledOrigin struct {
	name            string
	outside, inside compiledView
}

// compiledView is one origin as one view sees it. A variant's zone is made when somebody asks for it first.
type compiledView struct {
	spec     zoneSpec
	variants [][]zones.Record
	zones    []func() *zone
}

// zoneSpec is what the zones of a view have in common.
type zoneSpec struct {
	origin  string
	number  int // of the origin among those of the Corefile
	view    zones.View
	cluster *zones.Cluster
	answers zones.Answers
	static  *statics
	serial  uint32

	anyStatic bool // a zone file stands beside this view or the other
}

// zone returns the zone that a client sees.
func (c *compiled) zone(origin string, who client) *zone {
	for i := range c.origins {
		if c.origins[i].name == origin {
			return c.zoneOf(i, who)
		}
	}
	return nil
}

// zoneOf is [compiled.zone] by the origin's number.
func (c *compiled) zoneOf(origin int, who client) *zone {
	if who.view == zones.External {
		return c.zoneAt(origin, outside)
	}
	return c.zoneAt(origin, seat(c.spread.Index(who.network)))
}

// seat says which of a snapshot's zones a client sees: outside, or the number of the variant inside.
type seat int

const outside seat = -1

// seatOf returns where a client at an address sits.
func (c *compiled) seatOf(addr netip.Addr) seat {
	if c.snap.Views.Of(addr) == zones.External {
		return outside
	}
	return seat(c.spread.Index(zones.Network(addr)))
}

// zoneAt returns the zone of an origin that a client sees who sits there.
func (c *compiled) zoneAt(origin int, s seat) *zone {
	if s == outside {
		return c.origins[origin].outside.zones[0]()
	}
	return c.origins[origin].inside.zones[s]()
}

// compile builds the zones of the board's newest snapshot.
func (p *Plex) compile(now time.Time) *compiled {
	return compile(p.board.Snapshot(), p.statics.set.Load(), p.serials, now, p.current.Load())
}

// compile builds the zones of a snapshot. What is as it was in the last ones is taken over, with all answers that are
// packed already.
func compile(
	snap *zones.Snapshot, static *staticSet, serials map[string]*runtime.Serials, now time.Time, last *compiled,
) *compiled {
	c := &compiled{snap: snap, spread: snap.Spreader()}
	c.answers = sync.OnceValue(func() []status.Answer { return c.render(snap.Cluster.Origins[0], static) })
	outside, inside := snap.Split(zones.External), snap.Split(zones.Internal)
	c.lastResort = inside.LastResort
	for i, origin := range snap.Cluster.Origins {
		var before compiledOrigin
		if last != nil {
			before = last.origins[i]
		}
		spec := zoneSpec{origin: origin, number: i, cluster: snap.Cluster, anyStatic: static.any}
		next := compiledOrigin{name: origin}
		var raised bool
		if next.outside, raised = spec.compile(zones.External, outside, static, serials[origin], now, &before.outside); raised {
			c.raised = append(c.raised, origin)
		}
		next.inside, _ = spec.compile(zones.Internal, inside, static, serials[origin], now, &before.inside)
		c.origins = append(c.origins, next)
	}
	return c
}

// compile builds the zones of a view. All variants have one serial, which any of them raises.
func (spec zoneSpec) compile(
	view zones.View, answers zones.Split, static *staticSet, serials *runtime.Serials, now time.Time, before *compiledView,
) (v compiledView, raised bool) {
	spec.view, spec.answers, spec.static = view, answers.Answers, static.statics[view][spec.origin]
	spec.serial, raised = serials.For(view, spec.hash(answers.Variants), now)
	if before.is(spec, answers.Variants) {
		return *before, raised
	}
	v = compiledView{spec: spec, variants: answers.Variants}
	common := spec.common()
	if answers.Variants == nil {
		z := newZone(spec, common)
		v.zones = []func() *zone{func() *zone { return z }}
	}
	for _, records := range answers.Variants {
		v.zones = append(v.zones, sync.OnceValue(func() *zone { return newZone(spec, spec.variant(common, records)) }))
	}
	return v, raised
}

// is reports whether zones of these would be the same.
func (v *compiledView) is(spec zoneSpec, variants [][]zones.Record) bool {
	return v.spec.static == spec.static && v.spec.serial == spec.serial && v.spec.cluster == spec.cluster &&
		v.spec.anyStatic == spec.anyStatic && v.spec.answers.LastResort == spec.answers.LastResort &&
		slices.Equal(v.spec.answers.Records, spec.answers.Records) &&
		slices.Equal(v.spec.answers.Managed, spec.answers.Managed) &&
		slices.Equal(v.spec.answers.Failing, spec.answers.Failing) &&
		slices.EqualFunc(v.variants, variants, slices.Equal[[]zones.Record])
}

// common returns what all variants have of ours upon what the zone file says.
func (spec zoneSpec) common() stage {
	given := len(spec.static.apex) > 0
	s := spec.static.stage.grow(spec.origin)
	failing := s.manage(spec.answers, spec.cluster, given)
	s.insert(spec.answers.Records, given)
	st := s.finish(s.keepsStatic)
	st.failing = failing
	return st
}

// variant returns what one variant has.
func (spec zoneSpec) variant(common stage, records []zones.Record) stage {
	s := common.grow(spec.origin)
	s.insert(records, len(spec.static.apex) > 0)
	return s.finish(keepsAll)
}

package plugin

import (
	"fmt"
	"sync"
	"time"

	"github.com/miekg/dns"

	"plexha/plugin/runtime"
	"plexha/plugin/status"
	"plexha/zones"
)

// compiled is one snapshot with the zones that follow from it.
type compiled struct {
	snap    *zones.Snapshot
	spread  zones.Spreader
	inside  map[string]map[zones.Variant]*zone
	outside map[string]*zone
	raised  []string // origins whose external serial is higher than before
	// lastResort: nothing is up, and the main name answers inside all the same.
	lastResort bool
	answers    func() []status.Answer // what is served, for who looks at it
}

// zone returns the zone that a client sees.
func (c *compiled) zone(origin string, who client) *zone {
	if who.view == zones.External {
		return c.outside[origin]
	}
	return c.inside[origin][who.variant]
}

// staticSet holds the zone files' records: by view, then by origin.
type staticSet map[zones.View]map[string][]dns.RR

func (s staticSet) empty() bool { return len(s) == 0 }

// compile builds the zones of a snapshot.
func compile(snap *zones.Snapshot, static staticSet, serials map[string]*runtime.Serials, now time.Time) (*compiled, error) {
	c := &compiled{
		snap: snap, spread: snap.Spreader(),
		inside: map[string]map[zones.Variant]*zone{}, outside: map[string]*zone{},
	}
	c.answers = sync.OnceValue(func() []status.Answer { return c.render(snap.Cluster.Origins[0], static) })
	external := snap.Records(zones.External, "")
	internal := map[zones.Variant]zones.Answers{}
	for _, v := range c.spread.Variants() {
		internal[v] = snap.Records(zones.Internal, v)
		c.lastResort = internal[v].LastResort // of all variants alike
	}
	for _, origin := range snap.Cluster.Origins {
		spec := zoneSpec{origin: origin, cluster: snap.Cluster, anyStatic: !static.empty()}
		spec.view, spec.static, spec.answers = zones.External, static[zones.External][origin], external
		err := c.compileExternal(spec, serials[origin], now)
		if err == nil {
			spec.view, spec.static = zones.Internal, static[zones.Internal][origin]
			err = c.compileInternal(spec, internal, serials[origin], now)
		}
		if err != nil {
			return nil, fmt.Errorf("compiling %s: %w", origin, err)
		}
	}
	return c, nil
}

func (c *compiled) compileExternal(spec zoneSpec, serials *runtime.Serials, now time.Time) error {
	var h recordHash
	h.add(spec)
	n, raised := serials.For(zones.External, h.sum, now)
	if raised {
		c.raised = append(c.raised, spec.origin)
	}
	spec.serial = n
	z, err := newZone(spec)
	c.outside[spec.origin] = z
	return err
}

// compileInternal builds one zone for each variant. They have one serial, which any of them raises.
func (c *compiled) compileInternal(
	spec zoneSpec, answers map[zones.Variant]zones.Answers, serials *runtime.Serials, now time.Time,
) error {
	var h recordHash
	for _, v := range c.spread.Variants() {
		spec.answers = answers[v]
		h.add(spec)
	}
	spec.serial, _ = serials.For(zones.Internal, h.sum, now)
	c.inside[spec.origin] = map[zones.Variant]*zone{}
	for v, a := range answers {
		spec.variant, spec.answers = v, a
		z, err := newZone(spec)
		if err != nil {
			return err
		}
		c.inside[spec.origin][v] = z
	}
	return nil
}

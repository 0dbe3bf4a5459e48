package wanip

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"plexha/corefile"
	"plexha/zones"
)

// uplink is an uplink whose addresses are detected, with what is known of it.
type uplink struct {
	*Detector
	subject  zones.Subject
	detect   corefile.UplinkDetect
	given    []netip.Addr // in the Corefile, beside `auto`
	lookouts []*lookout   // one for each family that is looked for

	mu     sync.Mutex // guards what is reported, published and told
	report atomic.Pointer[Report]
	noIPv6 time.Time // when the log was told why no IPv6 address is published
}

func newUplink(d *Detector, u zones.Uplink, detect corefile.UplinkDetect) *uplink {
	up := &uplink{Detector: d, subject: u.Subject(), detect: detect, given: u.Addrs}
	up.report.Store(&Report{Uplink: u.Name})
	for _, f := range zones.Families() {
		given := slices.ContainsFunc(u.Addrs, f.Has)
		if off := f == zones.IPv6 && detect.NoIPv6; !given && !off && d.opts.Only(u.Name, f) {
			up.lookouts = append(up.lookouts, newLookout(up, f))
		}
	}
	return up
}

// inherit goes on where the instance before has ended. A round is soon due, but nobody is asked twice because
// of a reload.
func (u *uplink) inherit(old []Report, now time.Time) {
	i := slices.IndexFunc(old, func(r Report) bool { return r.Uplink == u.subject.Name })
	if i < 0 {
		u.tell(now)
		return
	}
	if old[i].NoIPv6 != "" {
		u.noIPv6 = now
	}
	for _, l := range u.lookouts {
		l.resume(old[i].Of(l.family), !old[i].At.IsZero(), now)
	}
	u.tell(now)
}

// recall begins with what an earlier process has known.
func (u *uplink) recall(saved stateUplink, now time.Time) {
	for _, l := range u.lookouts {
		if k := saved.known(l.family); k.Addr.IsValid() && u.rules.refuse(k.Addr, l.family) == "" {
			l.memory.known = k
			u.set(l.family, FamilyReport{Known: k}, now)
		}
	}
	u.tell(now)
}

// set reports what is known of one family. What was published of another address no longer counts as published:
// who looks before tell does must not find it confirmed.
func (u *uplink) set(f zones.Family, r FamilyReport, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	next := *u.report.Load()
	if next.family(f).Known.Addr != r.Known.Addr {
		next.Published = slices.DeleteFunc(slices.Clone(next.Published), f.Has)
	}
	*next.family(f) = r
	next.At = now
	u.report.Store(&next)
}

// tell puts the uplink's addresses together, and tells the board of them.
func (u *uplink) tell(now time.Time) {
	if u.opts.Board == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	next := *u.report.Load()
	o := offer{
		uplink: u.detect, given: u.given, ipv4: next.IPv4.Known.Addr, ipv6: next.IPv6.Known.Addr,
		proxy: isProxy(u.opts.Board.Snapshot(), u.opts.Config.Cluster.Proxies),
	}
	addrs, noIPv6 := o.publish()
	if noIPv6 != "" && next.NoIPv6 == "" && (u.noIPv6.IsZero() || now.Sub(u.noIPv6) >= quiet) {
		u.noIPv6 = now
		u.say(u.opts.Log.Warning, noIPv6)
	}
	if !slices.Equal(addrs, next.Published) && len(addrs) > 0 {
		u.opts.Board.SetAddrs(u.subject, addrs, now)
	}
	next.Published, next.NoIPv6 = addrs, noIPv6
	u.report.Store(&next)
}

// say writes a line to the log, which serves several clusters.
func (u *uplink) say(to func(string), text string) {
	to(fmt.Sprintf("%s of %s: %s", u.subject, strings.TrimSuffix(u.opts.Config.Cluster.Origins[0], "."), text))
}

// knowsBeside reports whether an address of the other family is known, given or detected.
func (u *uplink) knowsBeside(f zones.Family) bool {
	r := u.report.Load()
	return len(u.given) > 0 || f == zones.IPv4 && r.IPv6.Known.Addr.IsValid() || f == zones.IPv6 && r.IPv4.Known.Addr.IsValid()
}

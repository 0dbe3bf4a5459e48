package status

import (
	"fmt"
	"time"

	"plexha/corefile/lint"
	"plexha/plugin/duckdns"
	"plexha/plugin/status/page"
)

// troubles returns what is not well, and what is not as it always is.
func troubles(c *Cluster) []page.Trouble {
	var out []page.Trouble
	if c.Isolated {
		out = append(out, page.Trouble{
			Level: page.Bad, Text: "this machine is cut off", Why: "the canary is silent too, and the last verdicts are held",
		})
	}
	var nodes, proxies []page.Subject
	for i := range c.Nodes {
		nodes = append(nodes, subject("node", string(c.Nodes[i].Name), &c.Nodes[i].Health))
	}
	for i := range c.Proxies {
		proxies = append(proxies, subject("proxy", c.Proxies[i].Name, &c.Proxies[i].Health))
	}
	out = append(out, page.Troubles(nodes)...)
	out = append(out, page.Troubles(proxies)...)
	out = append(out, uplinkTroubles(c.Uplinks)...)
	out = append(out, duckTroubles(c.DuckDNS)...)
	for _, s := range c.Stalled {
		out = append(out, page.Trouble{Level: page.Poor, Text: "the probe of " + s + " gives no sign of life"})
	}
	return append(out, findingTroubles(c.Findings)...)
}

func uplinkTroubles(uplinks []Uplink) []page.Trouble {
	var out []page.Trouble
	var known []page.Subject
	for i := range uplinks {
		u := &uplinks[i]
		out = append(out, externalTroubles(u)...)
		if len(u.Addresses) > 0 {
			known = append(known, subject("uplink", u.Name, &u.Health))
			continue
		}
		out = append(out, page.Trouble{Level: page.Poor, Text: "no address of uplink " + u.Name + " is known", Since: u.Since, Why: u.Why})
	}
	if len(known) == 0 && len(uplinks) > 0 {
		out = append(out, page.Trouble{Level: page.Bad, Text: "no external address is known", Why: "clients outside get SERVFAIL"})
	}
	return append(out, page.Troubles(known)...)
}

// externalTroubles returns what is not well with finding an uplink's addresses.
func externalTroubles(u *Uplink) []page.Trouble {
	if u.External == nil {
		return nil
	}
	var out []page.Trouble
	for _, f := range []struct {
		name string
		Family
	}{{"IPv4", u.External.IPv4}, {"IPv6", u.External.IPv6}} {
		if f.Trouble != "" {
			out = append(out, page.Trouble{Level: page.Poor, Text: f.name + " of uplink " + u.Name, Why: f.Trouble})
		}
	}
	if why := u.External.NoIPv6; why != "" {
		out = append(out, page.Trouble{Level: page.Quiet, Text: "the IPv6 address of uplink " + u.Name + " is not published", Why: why})
	}
	return out
}

func duckTroubles(d *DuckDNS) []page.Trouble {
	if d == nil {
		return nil
	}
	var out []page.Trouble
	if d.Trouble != "" {
		out = append(out, page.Trouble{Level: page.Bad, Text: "DuckDNS cannot be told", Why: d.Trouble})
	}
	for _, r := range d.records() {
		out = append(out, recordTroubles(r)...)
	}
	return out
}

// recordTroubles returns what is not well with a record, the worst last.
func recordTroubles(r familyRecord) []page.Trouble {
	var out []page.Trouble
	add := func(level page.Level, since time.Time, why, format string, args ...any) {
		out = append(out, page.Trouble{Level: level, Text: fmt.Sprintf(format, args...), Since: since, Why: why})
	}
	if r.View == string(duckdns.Unreachable) {
		add(page.Poor, time.Time{}, "", "nobody tells what DuckDNS's name servers show for %s", r.family)
	}
	if r.Intercepted != "" {
		add(page.Poor, time.Time{}, r.Intercepted, "somebody else answers for DuckDNS's name servers")
	}
	isOld := r.Wanted.IsValid() && r.Wanted != r.Published
	switch {
	case !r.RefusedSince.IsZero():
		add(page.Bad, r.RefusedSince, r.Error, "DuckDNS refuses our %s address", r.family)
	case !r.FailingSince.IsZero() && isOld:
		add(page.Bad, r.FailingSince, r.Error, "DuckDNS cannot be told our %s address", r.family)
	case !r.FailingSince.IsZero():
		add(page.Poor, r.FailingSince, r.Error, "DuckDNS cannot be told our %s address, which it has", r.family)
	}
	if !r.Since.IsZero() {
		add(page.Bad, r.Since, "", "DuckDNS shows %s instead of %s", orNothing(joined(r.Other)), orNothing(text(r.Published)))
	}
	return out
}

func orNothing(addresses string) string {
	if addresses == "" {
		return "nothing"
	}
	return addresses
}

// findingTroubles points to what is unwise in the Corefile, quietly.
func findingTroubles(findings []lint.Finding) []page.Trouble {
	warnings := 0
	for _, f := range findings {
		if f.Level != lint.Note {
			warnings++
		}
	}
	switch warnings {
	case 0:
		return nil
	case 1:
		return []page.Trouble{{Level: page.Quiet, Text: "the Corefile has a warning, which is below"}}
	default:
		return []page.Trouble{{Level: page.Quiet, Text: fmt.Sprintf("the Corefile has %d warnings, which are below", warnings)}}
	}
}

// lastChange returns when something last went wrong, or right again.
func lastChange(c *Cluster) time.Time {
	last := c.Changed
	newer := func(h *Health) {
		if h.Since.After(last) {
			last = h.Since
		}
	}
	for i := range c.Nodes {
		newer(&c.Nodes[i].Health)
	}
	for i := range c.Proxies {
		newer(&c.Proxies[i].Health)
	}
	for i := range c.Uplinks {
		newer(&c.Uplinks[i].Health)
	}
	return last
}

package status

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"plexha/corefile/lint"
	"plexha/plugin/status/page"
	"plexha/zones"
)

// Draw returns the page that shows a document. What has happened is not in it.
func Draw(d *Document) page.Doc {
	out := page.Doc{Program: "plexdns", Version: d.Plexdns, At: d.At}
	for i := range d.Clusters {
		out.Clusters = append(out.Clusters, drawCluster(&d.Clusters[i]))
	}
	return out
}

func drawCluster(c *Cluster) page.Cluster {
	out := page.Cluster{Zone: c.Zone}
	for _, s := range []page.Section{
		nodes(c), proxies(c), drawUplinks(c), answers(c), drawDuckDNS(c), sources(c), corefile(c),
	} {
		if len(s.Rows) > 0 {
			out.Sections = append(out.Sections, s)
		}
	}
	if c.Ready {
		out.Judge(troubles(c), lastChange(c))
	} else {
		out.Start()
	}
	return out
}

// subject returns what both programs' pages tell alike.
func subject(kind, name string, h *Health) page.Subject {
	return page.Subject{
		Kind: kind, Name: name, State: h.State, Since: h.Since, Why: h.Why, New: h.New,
		Order: h.Order, OrderUntil: h.OrderUntil, OrderWhy: h.OrderWhy,
	}
}

// row returns the cells that all subjects have.
func row(s page.Subject, small, zone string, h *Health) page.Row {
	return page.Row{
		Level: s.Level(),
		Cells: []page.Cell{{Text: s.Name, Small: small}, s.StateCell(), s.WhyCell(), s.OrderCell(), addressCell(h)},
		Forms: s.Forms(zone),
	}
}

// columns returns the titles of those cells.
func columns(kind string) []string { return []string{kind, "State", "Why", "Order", "Addresses"} }

// addressCell names the addresses, and those that are not as the whole is.
func addressCell(h *Health) page.Cell {
	var all, others []string
	for _, a := range h.Addresses {
		all = append(all, a.Address.String())
		if a.State != h.State {
			said := a.Address.String() + " is " + a.State
			if a.Why != "" {
				said += ": " + a.Why
			}
			others = append(others, said)
		}
	}
	return page.Cell{Text: strings.Join(all, ", "), Small: strings.Join(others, "; ")}
}

func nodes(c *Cluster) page.Section {
	s := page.Section{Name: "nodes", Title: "Nodes", Columns: columns("Node")}
	for i := range c.Nodes {
		n := &c.Nodes[i]
		small := n.Dial
		if n.Backup {
			small += ", backup"
		}
		s.Rows = append(s.Rows, row(subject("node", string(n.Name), &n.Health), small, c.Zone, &n.Health))
	}
	return s
}

func proxies(c *Cluster) page.Section {
	s := page.Section{Name: "proxies", Title: "Proxies", Columns: columns("Proxy")}
	for i := range c.Proxies {
		p := &c.Proxies[i]
		s.Rows = append(s.Rows, row(subject("proxy", p.Name, &p.Health), "", c.Zone, &p.Health))
	}
	return s
}

func drawUplinks(c *Cluster) page.Section {
	s := page.Section{Name: "uplinks", Title: "Uplinks", Columns: columns("Uplink")}
	for i := range c.Uplinks {
		u := &c.Uplinks[i]
		small := ""
		if u.Led {
			small = "clients outside are led here"
		}
		r := row(subject("uplink", u.Name, &u.Health), small, c.Zone, &u.Health)
		if u.External != nil {
			r.Cells[len(r.Cells)-1] = found(r.Cells[len(r.Cells)-1], u.External)
			r.Forms = append(r.Forms, trigger("look now", "for the address of "+u.Name, "/detect", c.Zone))
		}
		s.Rows = append(s.Rows, r)
	}
	return s
}

func trigger(label, about, path, zone string) page.Form {
	return page.Form{Label: label, About: about, Action: path, Fields: []page.Field{{Name: "zone", Value: zone}}}
}

// found adds who said so last.
func found(c page.Cell, e *External) page.Cell {
	newest := e.IPv4
	if e.IPv6.Confirmed.After(newest.Confirmed) {
		newest = e.IPv6
	}
	c.Time = newest.Confirmed
	if len(newest.By) > 0 {
		c.Small = strings.Join(append(nonEmpty(c.Small), "found by "+strings.Join(newest.By, ", ")), "; ")
	}
	return c
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// answers shows names that are answered alike in one row.
func answers(c *Cluster) page.Section {
	s := page.Section{
		Name: "answers", Title: "Answers", Note: "What each name leads to now, and why.",
		Columns: []string{"Name", "View", "Leads to", "Why", "TTL"},
	}
	var alike [][]Answer
	for _, a := range c.Answers {
		i := slices.IndexFunc(alike, func(group []Answer) bool { return isAlike(&group[0], &a) })
		if i < 0 {
			alike = append(alike, []Answer{a})
		} else {
			alike[i] = append(alike[i], a)
		}
	}
	for _, group := range alike {
		s.Rows = append(s.Rows, answerRow(group, c.Zone))
	}
	return s
}

func isAlike(a, b *Answer) bool {
	return a.View == b.View && a.Variant == b.Variant && a.TTL == b.TTL && a.Servfail == b.Servfail &&
		a.Standing == b.Standing && a.Why == b.Why && slices.Equal(a.Addresses, b.Addresses) && slices.Equal(a.To, b.To)
}

// standings are the levels of what stands there; by default it is as meant.
var standings = map[string]page.Level{
	"": page.Good, zones.AsMeant.String(): page.Good, zones.StandIn.String(): page.Poor, zones.NothingUp.String(): page.Bad,
}

func answerRow(group []Answer, zone string) page.Row {
	a := &group[0]
	var names []string
	for i := range group {
		names = append(names, strings.TrimSuffix(group[i].Name, "."+zone))
	}
	view := page.Cell{Text: a.View}
	if a.Variant != "" {
		view.Small = "clients of " + string(a.Variant)
	}
	to := page.Cell{Text: joined(a.Addresses), Small: strings.Join(a.To, ", ")}
	level := standings[a.Standing]
	switch {
	case a.Servfail:
		level, to = page.Bad, page.Cell{Text: "SERVFAIL", Badge: page.Bad}
	case len(a.Addresses) == 0 && level == page.Good:
		level, to.Text = page.Quiet, "no address"
	case len(a.Addresses) == 0:
		to.Text = "no address"
	}
	ttl := page.Cell{Text: fmt.Sprintf("%d s", a.TTL)}
	return page.Row{Level: level, Cells: []page.Cell{{Text: strings.Join(names, ", ")}, view, to, {Text: a.Why}, ttl}}
}

func joined(addrs []netip.Addr) string {
	var all []string
	for _, a := range addrs {
		all = append(all, a.String())
	}
	return strings.Join(all, ", ")
}

func drawDuckDNS(c *Cluster) page.Section {
	d := c.DuckDNS
	if d == nil {
		return page.Section{}
	}
	s := page.Section{
		Name: "duckdns", Title: "DuckDNS", Note: d.Name,
		Columns: []string{"Record", "Published", "Verified", "Last look", "Next"},
	}
	for _, r := range d.records() {
		s.Rows = append(s.Rows, recordRow(r, d.Verify))
	}
	if len(s.Rows) > 0 {
		s.Rows[0].Forms = []page.Form{trigger("look now", "at DuckDNS", "/duckdns", c.Zone)}
	}
	return s
}

// familyRecord is a record that is kept, with its family's word.
type familyRecord struct {
	*Record

	family string
}

func (d *DuckDNS) records() []familyRecord {
	var out []familyRecord
	for _, r := range []familyRecord{{d.IPv4, "IPv4"}, {d.IPv6, "IPv6"}} {
		if r.Record != nil {
			out = append(out, r)
		}
	}
	return out
}

func recordRow(r familyRecord, verify bool) page.Row {
	level := page.Good
	for _, t := range recordTroubles(r) {
		level = t.Level
	}
	record := page.Cell{Text: r.family}
	if r.Wanted.IsValid() && r.Wanted != r.Published {
		record.Small = fmt.Sprintf("wanted is %s, of %s", r.Wanted, r.Uplink)
	}
	published := page.Cell{Text: text(r.Published), Time: r.PublishedAt, Small: r.Error}
	verified, looked := page.Cell{Text: "not looked at"}, page.Cell{}
	if verify {
		verified, looked = verifiedCell(r), page.Cell{Text: r.View, Time: r.Looked, Small: joined(r.Other)}
	}
	next := page.Cell{Text: "look", Time: r.NextLook}
	switch {
	case !r.NextPush.IsZero():
		next = page.Cell{Text: "push for " + r.Why, Time: r.NextPush}
	case r.NextLook.IsZero():
		next = page.Cell{}
	}
	return page.Row{Level: level, Cells: []page.Cell{record, published, verified, looked, next}}
}

// verifiedCell says when DuckDNS's name servers last showed what was published.
func verifiedCell(r familyRecord) page.Cell {
	if r.Verified.IsZero() {
		return page.Cell{Text: "not yet"}
	}
	return page.Cell{Text: fmt.Sprintf("by %d of %d", r.By, r.Of), Time: r.Verified}
}

// text returns an address; the zero Addr is none.
func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// sources shows what the sources of external addresses have said last.
func sources(c *Cluster) page.Section {
	s := page.Section{
		Name: "addresses", Title: "External addresses", Note: "What each source said when all of them were last asked.",
		Columns: []string{"Source", "Uplink", "Says", "Took"},
	}
	for i := range c.Uplinks {
		u := &c.Uplinks[i]
		if u.External == nil {
			continue
		}
		for _, f := range slices.Concat(u.External.IPv4.Findings, u.External.IPv6.Findings) {
			s.Rows = append(s.Rows, sourceRow(u.Name, f))
		}
	}
	return s
}

func sourceRow(uplink string, f Finding) page.Row {
	level, says := page.Good, page.Cell{Text: text(f.Address), Small: f.Refused}
	switch {
	case f.Error != "":
		level, says = page.Quiet, page.Cell{Text: f.Error}
	case f.Refused != "":
		level = page.Poor
	}
	took := page.Cell{Text: time.Duration(f.Took * float64(time.Second)).Round(time.Millisecond).String()}
	return page.Row{Level: level, Cells: []page.Cell{{Text: f.Source}, {Text: uplink}, says, took}}
}

// findingLevels are those of what is unwise in the Corefile.
var findingLevels = map[lint.Level]page.Level{lint.Mistake: page.Bad, lint.Warning: page.Poor, lint.Note: page.Quiet}

func corefile(c *Cluster) page.Section {
	s := page.Section{Name: "corefile", Title: "Corefile", Columns: []string{"Where", "What is unwise"}}
	for _, f := range c.Findings {
		where := page.Cell{Text: f.File, Small: string(f.Level)}
		if f.Line > 0 {
			where.Text = fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		s.Rows = append(s.Rows, page.Row{Level: findingLevels[f.Level], Cells: []page.Cell{where, {Text: f.Text}}})
	}
	return s
}

package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"plexha/plugin/status/page"
	"plexha/proxy/cluster"
	"plexha/proxy/playback"
	"plexha/zones"
)

// Draw returns the page of a document. The machine's name, the events and whether changes are allowed are its
// caller's to fill in.
func Draw(d *Document) page.Doc {
	doc := page.Doc{Program: "plexproxy", Version: d.Plexproxy, At: d.At}
	for i := range d.Clusters {
		doc.Clusters = append(doc.Clusters, draw(&d.Clusters[i]))
	}
	return doc
}

func draw(s *cluster.Status) page.Cluster {
	c := page.Cluster{Zone: s.Zone, Sections: []page.Section{nodes(s), playbacks(s), hosts(s)}}
	if len(s.Certificates) > 0 {
		c.Sections = append(c.Sections, certificates(s))
	}
	if s.Ready == "starting" {
		c.Start()
		return c
	}
	c.Judge(troubles(s), latest(s))
	return c
}

// subject returns a node as both programs judge it.
func subject(n *cluster.NodeStatus) page.Subject {
	return page.Subject{
		Kind: "node", Name: string(n.Name), State: n.State, Since: n.Since, Why: n.Why, New: n.New,
		Order: n.Order, OrderUntil: n.OrderUntil, OrderWhy: n.OrderWhy,
	}
}

// latest returns when something last went wrong, or right again.
func latest(s *cluster.Status) time.Time {
	last := s.Changed
	for i := range s.Nodes {
		if since := s.Nodes[i].Since; since.After(last) {
			last = since
		}
	}
	return last
}

// troubles returns what is not well.
func troubles(s *cluster.Status) []page.Trouble {
	var all []page.Subject
	for i := range s.Nodes {
		all = append(all, subject(&s.Nodes[i]))
	}
	out := page.Troubles(all)
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Refused {
			out = append(out, page.Trouble{
				Level: page.Bad, Text: fmt.Sprintf("%s is open to everybody", n.Name),
				Why: "it shows its libraries without a token, so that clients from outside are refused there",
			})
		}
	}
	if s.Isolated {
		out = append(out, page.Trouble{
			Level: page.Poor, Text: "this machine is cut off", Why: "the canary does not answer either; the last verdicts are held",
		})
	}
	for _, who := range s.Stalled {
		out = append(out, page.Trouble{Level: page.Poor, Text: who + " is not asked any more", Why: "its probes give no sign of life"})
	}
	for i := range s.Certificates {
		if t, ok := certificateTrouble(&s.Certificates[i], s.At); ok {
			out = append(out, t)
		}
	}
	return out
}

// nodes is the table of the nodes.
func nodes(s *cluster.Status) page.Section {
	out := page.Section{
		Name: "nodes", Title: "Nodes",
		Note: fmt.Sprintf("The node is known of %s, and of %s.",
			count(s.Pins, "client or token", "clients and tokens"), count(s.Sessions, "session", "sessions")),
		Columns: []string{"Node", "State", "Why", "Order", "Playbacks", "Administration"},
	}
	if s.Pins == 0 && s.Sessions == 0 {
		out.Note = "No client is known yet."
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		is := subject(n)
		out.Rows = append(out.Rows, page.Row{
			Level: is.Level(),
			Cells: []page.Cell{
				{Text: is.Name, Small: n.Dial},
				is.StateCell(), is.WhyCell(), is.OrderCell(),
				{Text: fmt.Sprint(n.Playbacks)},
				administration(n),
			},
			Forms: is.Forms(s.Zone),
		})
	}
	return out
}

func administration(n *cluster.NodeStatus) page.Cell {
	switch {
	case n.Refused:
		return page.Cell{Text: "open", Badge: page.Bad, Small: "clients from outside are refused"}
	case n.Open:
		return page.Cell{Text: "open", Badge: page.Quiet, Small: "as open_ok says"}
	case n.Asked:
		return page.Cell{Text: "closed"}
	default:
		return page.Cell{Text: "not known yet"}
	}
}

const (
	// shownPlaybacks bounds the rows of playbacks.
	shownPlaybacks = 20
	// nextSign is how long it takes until all that plays has given a sign: apps send a timeline every 10 or 20
	// seconds.
	nextSign = 30 * time.Second
)

// playbacks is the table of what is played.
func playbacks(s *cluster.Status) page.Section {
	out := page.Section{
		Name: "playbacks", Title: "Playbacks", Columns: []string{"Node", "State"},
		Note: "Nobody plays through this proxy. What goes past it is not seen.",
	}
	switch {
	case s.At.Sub(s.WatchingSince) < nextSign:
		out.Note = "This proxy has just started: what plays is seen at its next sign, within some seconds."
	case len(s.Playing) > 0:
		out.Note = fmt.Sprintf("%s through this proxy. What goes past it is not seen.", count(len(s.Playing), "playback", "playbacks"))
	}
	for i, p := range s.Playing {
		if i == shownPlaybacks {
			out.Rows = append(out.Rows, page.Row{Cells: []page.Cell{{Text: fmt.Sprintf("and %d more", len(s.Playing)-i)}, {}}})
			break
		}
		state := page.Cell{Text: string(p.State), Badge: page.Good, Time: p.Since}
		if p.State != playback.Playing {
			state.Badge = page.Quiet
		}
		out.Rows = append(out.Rows, page.Row{Cells: []page.Cell{{Text: string(p.Node)}, state}})
	}
	return out
}

// hosts is the table of what names lead to. A node's own name that leads to it, as it should, is left out.
func hosts(s *cluster.Status) page.Section {
	out := page.Section{
		Name: "names", Title: "Names", Columns: []string{"Name", "Leads to", "Why"},
		Note: "Each node's own name leads to that node alone.",
	}
	for i := range s.Hosts {
		h := &s.Hosts[i]
		to := page.Cell{Text: joined(h.To)}
		switch {
		case h.Redirect != "":
			to = page.Cell{Text: h.Redirect}
		case len(h.To) == 0:
			to = page.Cell{Text: "nobody", Badge: page.Bad, Small: "clients get 503"}
		case len(h.To) == 1 && h.Host == string(h.To[0])+"."+s.Zone:
			continue
		}
		out.Rows = append(out.Rows, page.Row{Cells: []page.Cell{{Text: h.Host}, to, {Text: h.Why}}})
	}
	return out
}

func joined(names []zones.NodeName) string {
	var out []string
	for _, n := range names {
		out = append(out, string(n))
	}
	return strings.Join(out, ", ")
}

// shownCertificates bounds the rows of certificates with which all is well.
const shownCertificates = 5

// certificates is the table of the certificates, that which ends first before the others.
func certificates(s *cluster.Status) page.Section {
	out := page.Section{Name: "certificates", Title: "Certificates", Columns: []string{"Names", "Issuer", "Ends"}}
	sorted := slices.SortedFunc(slices.Values(s.Certificates), func(a, b cluster.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	well := 0
	for i := range sorted {
		c := &sorted[i]
		row := page.Row{Cells: []page.Cell{{Text: few(c.Hosts)}, {Text: cmp.Or(c.Issuer, "none")}, {Time: c.NotAfter}}}
		if t, ok := certificateTrouble(c, s.At); ok {
			row.Level, row.Cells[2].Small = t.Level, cmp.Or(t.Why, t.Text)
		} else if well++; well > shownCertificates {
			continue
		}
		out.Rows = append(out.Rows, row)
	}
	if more := well - shownCertificates; more > 0 {
		out.Note = fmt.Sprintf("%s not shown, with which all is well.", count(more, "more is", "more are"))
	}
	return out
}

// certificateTrouble says what is wrong with a certificate. One that its authority gave for some hours is renewed
// within them, and others some weeks before their end, so that the last sixth, or the last two weeks, are late.
func certificateTrouble(c *cluster.Certificate, now time.Time) (t page.Trouble, ok bool) {
	who := few(c.Hosts)
	late := min(c.NotAfter.Sub(c.NotBefore)/6, 14*24*time.Hour)
	switch {
	case c.Issuer == "":
		return page.Trouble{Level: page.Bad, Text: "there is no certificate for " + who, Why: c.Trouble}, true
	case !now.Before(c.NotAfter):
		return page.Trouble{Level: page.Bad, Text: "the certificate of " + who + " has ended", Since: c.NotAfter}, true
	case now.After(c.NotAfter.Add(-late)):
		return page.Trouble{
			Level: page.Poor, Text: "the certificate of " + who + " ends soon",
			Why: "it ends at " + c.NotAfter.Format(time.RFC3339) + " and is not renewed: see the log",
		}, true
	default:
		return page.Trouble{}, false
	}
}

// few returns the first names of a list, which may be long.
func few(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

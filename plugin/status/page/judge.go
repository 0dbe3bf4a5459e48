package page

import (
	"slices"
	"time"
)

// Troubles returns what is not well with subjects of one kind: the nodes of a cluster, or its proxies, or its uplinks.
// That none of them is up is worse than what is wrong with each.
func Troubles(all []Subject) []Trouble {
	var out []Trouble
	var since time.Time // when the last of them went
	for _, s := range all {
		t, ok := s.Trouble()
		if !ok {
			continue
		}
		out = append(out, t)
		if !s.isUp() && s.Since.After(since) {
			since = s.Since
		}
	}
	switch {
	case len(all) == 0 || slices.ContainsFunc(all, Subject.Serves):
	case slices.ContainsFunc(all, func(s Subject) bool { return s.isUp() && s.Order == "drain" }):
		out = append(out, Trouble{Level: Poor, Text: "every " + all[0].Kind + " that is up is drained, and used all the same"})
	case len(out) == 1 && out[0].Level != Quiet:
		out[0].Level = Bad
	default:
		out = append(out, Trouble{Level: Bad, Text: "no " + all[0].Kind + " is up", Since: since})
	}
	return out
}

// Start says that nothing is known yet.
func (c *Cluster) Start() {
	c.conclude(Trouble{Level: Quiet, Text: "starting", Why: "everybody is asked for the first time"}, 0)
	c.Troubles = nil
}

// ranks order the levels of troubles, the worst first.
var ranks = map[Level]int{Bad: 0, Poor: 1, Doubt: 2, Quiet: 3, Good: 4}

// Judge says whether all is well, from what is not. Well is since when it is if it is; zero: not known.
func (c *Cluster) Judge(troubles []Trouble, well time.Time) {
	slices.SortStableFunc(troubles, func(a, b Trouble) int { return ranks[a.Level] - ranks[b.Level] })
	c.Troubles = troubles
	loud := 0
	for _, t := range troubles {
		if t.Level != Quiet {
			loud++
		}
	}
	if loud == 0 {
		c.conclude(Trouble{Level: Good, Text: "all is well", Since: well}, 0)
	} else {
		c.conclude(troubles[0], loud-1)
	}
}

// conclude makes the headline.
func (c *Cluster) conclude(t Trouble, more int) {
	c.Level, c.Headline, c.Since, c.Why, c.More = t.Level, t.Text, t.Since, t.Why, more
}

package page

import (
	"fmt"
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
	c.Troubles, c.Level, c.Headline, c.Since, c.Why = nil, Quiet, "starting", time.Time{}, "everybody is asked for the first time"
}

// ranks order the levels of troubles, the worst first.
var ranks = map[Level]int{Bad: 0, Poor: 1, Doubt: 2, Quiet: 3, Good: 4}

// Judge says whether all is well, from what is not. Well is since when it is if it is; zero: not known.
func (c *Cluster) Judge(troubles []Trouble, well time.Time) {
	slices.SortStableFunc(troubles, func(a, b Trouble) int { return ranks[a.Level] - ranks[b.Level] })
	c.Troubles, c.Level, c.Headline, c.Since, c.Why = troubles, Good, "all is well", well, ""
	more := -1 // beside the one that is the headline
	for _, t := range troubles {
		if t.Level != Quiet {
			more++
		}
	}
	if more < 0 {
		return
	}
	worst := troubles[0]
	c.Level, c.Headline, c.Since, c.Why = worst.Level, worst.Text, worst.Since, worst.Why
	if more > 0 {
		c.Why = joinWords(c.Why, fmt.Sprintf("and %d more", more))
	}
}

func joinWords(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

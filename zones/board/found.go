package board

import (
	"cmp"
	"reflect"
	"slices"
	"time"

	"plexha/zones"
)

// SetFound says which nodes the `nodes` line of that name has found, in order. They come after the nodes of
// the file, those of several lines in the order of [Config].Groups. What is known of a node that is asked
// as before is kept; once the first round has ended, a new one stays out of answers until its first verdict.
func (b *Board) SetFound(group string, nodes []zones.Node, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []*subject
	changed := false
	for _, n := range nodes {
		n.Group = group
		s := b.foundBefore(n)
		if s == nil {
			s = newNode(n, now)
			s.fresh = b.ready
		}
		changed = changed || !reflect.DeepEqual(s.node, n)
		s.node = n
		found = append(found, s)
	}
	before := b.subjects
	b.subjects = slices.DeleteFunc(slices.Clone(before), func(s *subject) bool { return s.foundBy(group) })
	b.insertFound(found...)
	if changed || !slices.Equal(before, b.subjects) {
		b.forgetHolds()
		b.publish(now)
	}
}

// foundBefore returns the node of n's line that is asked as n is, or nil.
func (b *Board) foundBefore(n zones.Node) *subject {
	i := slices.IndexFunc(b.subjects, func(s *subject) bool { return s.foundBy(n.Group) && sameNode(s.node, n) })
	if i < 0 {
		return nil
	}
	return b.subjects[i]
}

// insertFound puts found nodes of one line, in their order, to their place among the subjects.
func (b *Board) insertFound(found ...*subject) {
	if len(found) == 0 {
		return
	}
	group := found[0].node.Group
	at := slices.IndexFunc(b.subjects, func(s *subject) bool {
		return s.id.Kind != zones.KindNode || b.compareGroups(s.node.Group, group) > 0
	})
	if at < 0 {
		at = len(b.subjects)
	}
	b.subjects = slices.Insert(b.subjects, at, found...)
}

// compareGroups orders `nodes` lines as they stand in the file, behind the nodes that have a line each.
func (b *Board) compareGroups(x, y string) int {
	return cmp.Or(slices.Index(b.cfg.Groups, x)-slices.Index(b.cfg.Groups, y), cmp.Compare(x, y))
}

// inherit takes over the nodes that an earlier board had from `nodes` lines that stand still: until they are
// looked for again they are where they were.
func (b *Board) inherit(old *zones.Snapshot, now time.Time) {
	for i := range old.Nodes {
		n := old.Nodes[i].Node
		if slices.Contains(b.cfg.Groups, n.Group) && b.find(n.Subject()) == nil {
			b.insertFound(newNode(n, now))
		}
	}
}

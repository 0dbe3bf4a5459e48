package cluster

import (
	"fmt"
	"slices"

	"plexha/zones"
	"plexha/zones/diary"
)

// conditions are what the log tells of a moment beside the transitions of its nodes.
func (c *Cluster) conditions(m *Moment) []diary.Condition {
	domain := c.domain()
	out := []diary.Condition{{
		Topic: "no node", Holds: m.Snapshot.Ready && !anyServes(m.Snapshot),
		Begins: fmt.Sprintf("no node of %s is up: its clients get an error", domain),
		Ends:   fmt.Sprintf("a node of %s is up again", domain),
	}}
	for i := range m.Snapshot.Nodes {
		out = append(out, openCondition(m, m.Snapshot.Nodes[i].Name, domain))
	}
	return out
}

// openCondition is the alarm over a node whose administration is open.
func openCondition(m *Moment, name zones.NodeName, domain string) diary.Condition {
	return diary.Condition{
		Topic: "administration of " + string(name), Holds: m.Open[name],
		Begins: fmt.Sprintf("ALARM: node %s of %s shows its libraries without a token, so that whoever comes through the proxy "+
			"is its admin; clients from outside are refused there; claim the server, take this host and its network out of "+
			"the networks that Plex allows without authentication, or say `open_ok %s` if it is meant to be open",
			name, domain, name),
		Ends: fmt.Sprintf("node %s of %s serves clients from outside again: it asks for a token, or `open_ok` names it",
			name, domain),
	}
}

// anyServes reports whether a node takes requests.
func anyServes(s *zones.Snapshot) bool {
	return slices.ContainsFunc(s.Nodes, func(n zones.NodeHealth) bool { return n.Serves() })
}

package wanip

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"plexha/zones"
)

const (
	// secondRound is how long after its first round an address that nobody contradicts is asked for again: what
	// changes twice in that time is not worth publishing.
	secondRound = 5 * time.Second
	// patience is how long an address must win every round while somebody over TLS still tells the known one, or
	// while the sources waver: longer than a streak of chance where two uplinks share the load. Our own number.
	patience = 30 * time.Minute
	// wavering is how long it takes to forget that the sources have told another address in turns with the known
	// one. Our own number.
	wavering = 2 * time.Hour
)

// rules are what a block says of whom to believe.
type rules struct {
	table   Table
	allow   []netip.Prefix
	servers []netip.Addr // that are asked: an answer that names one of them tells of itself
}

// refuse says why what a source told cannot be the external address of a family; empty: it can.
func (r rules) refuse(a netip.Addr, f zones.Family) string {
	switch {
	case !f.Has(a):
		return a.String() + " is no address of " + f.String()
	case slices.Contains(r.servers, a):
		return a.String() + " is a server's that is asked"
	default:
		return r.table.Refuse(a, r.allow)
	}
}

// memory is what is remembered of one family of one uplink from round to round. It is a value: a round gives
// the next one.
type memory struct {
	known     Known
	candidate candidate
	lost      [2]time.Time // when the last two candidates lost to the known address, the newest first
	voices    []string     // the sources that told the known address in the last round of all
	silent    silence
	agree     bool // in the last round of all, nobody contradicted
}

// candidate is an address that may take the place of the known one. It has won each round since its first.
type candidate struct {
	addr   netip.Addr // the zero Addr: there is none
	since  time.Time  // its first round
	unique time.Time  // the first one since which nothing spoke against it; the zero Time: something did in the last
}

// silence is a row of rounds in which no source told an address.
type silence struct {
	rounds int
	since  time.Time // the first of them
}

// action is what follows from what was heard.
type action uint8

const (
	keep     action = iota // what is known stays
	askAll                 // one source alone does not settle it
	askAgain               // there is a candidate, for the second round to confirm
	adopt                  // the candidate has become the known address
)

// hear takes in what one source alone says. That is enough to keep what is known, and never to change it.
func (m memory) hear(f Finding, now time.Time) (memory, action) {
	if !f.votes() || f.Addr != m.known.Addr {
		return m, askAll
	}
	m.known.Confirmed, m.known.By = now, []string{f.Source}
	return m, keep
}

// judge takes in the findings of a round that asked all sources.
//
// The known address stays while it is told, and while nothing is. Another one takes its place when it has a quorum
// and more operators than any other, in two rounds. If somebody whom nobody can falsify still tells the known one,
// or if two candidates have lost to it lately, it must do so for as long as patience asks. Alone says that the block
// has no sources but the operator's own word, of which one is a quorum.
func (m memory) judge(findings []Finding, alone bool, now time.Time) (memory, action) {
	b := count(findings)
	m.agree, m.voices = agree(findings), nil
	m.silent = m.silent.after(b, now)
	known := b.find(m.known.Addr)
	if known != nil {
		m.known.Confirmed, m.known.By, m.voices = now, known.by, known.by
	}
	winner := b.winner(alone)
	if winner == nil || winner.addr == m.known.Addr {
		if known != nil && m.candidate.addr.IsValid() {
			m.lost = [2]time.Time{now, m.lost[0]}
		}
		m.candidate = candidate{}
		return m, keep
	}
	contested := known != nil && known.secure || m.wavers(now)
	m.candidate = m.candidate.after(winner.addr, contested, now)
	switch c := m.candidate; {
	case contested && now.Sub(c.since) < patience:
		return m, keep
	case !contested && now.Sub(c.unique) < secondRound:
		return m, askAgain
	default:
		m.known = Known{Addr: winner.addr, Since: now, Confirmed: now, By: winner.by}
		m.candidate, m.voices = candidate{}, winner.by
		return m, adopt
	}
}

// wavers reports whether the sources have told another address in turns with the known one.
func (m memory) wavers(now time.Time) bool {
	return !m.lost[1].IsZero() && now.Sub(m.lost[1]) < wavering
}

// after takes in one more round, that an address has won.
func (c candidate) after(winner netip.Addr, contested bool, now time.Time) candidate {
	if winner != c.addr {
		c = candidate{addr: winner, since: now}
	}
	switch {
	case contested:
		c.unique = time.Time{}
	case c.unique.IsZero():
		c.unique = now
	}
	return c
}

// after counts one more round.
func (s silence) after(b ballot, now time.Time) silence {
	switch {
	case len(b) > 0:
		return silence{}
	case s.rounds == 0:
		return silence{1, now}
	default:
		s.rounds++
		return s
	}
}

// votes reports whether a finding counts: it tells an address, and one that may be the external one.
func (f Finding) votes() bool { return f.Addr.IsValid() && f.Refused == "" }

// agree reports whether nobody contradicts another.
func agree(findings []Finding) bool {
	var first netip.Addr
	for _, f := range findings {
		switch {
		case !f.votes() || f.Addr == first:
		case first.IsValid():
			return false
		default:
			first = f.Addr
		}
	}
	return true
}

// ballot is what the operators of one round say, the address that most of them tell first.
type ballot []vote

// vote is what speaks for one address.
type vote struct {
	addr      netip.Addr
	operators []string
	secure    bool     // one of the operators could not be falsified on the way
	by        []string // their sources
}

// count gives each operator one voice, and none to an operator whose sources contradict each other.
func count(findings []Finding) ballot {
	var b ballot
	for _, f := range findings {
		if !f.votes() || contradicted(f, findings) {
			continue
		}
		v := b.find(f.Addr)
		if v == nil {
			b = append(b, vote{addr: f.Addr})
			v = &b[len(b)-1]
		}
		if !slices.Contains(v.operators, f.Operator) {
			v.operators = append(v.operators, f.Operator)
		}
		v.secure = v.secure || f.Secure
		v.by = append(v.by, f.Source)
	}
	slices.SortStableFunc(b, func(x, y vote) int { return cmp.Compare(len(y.operators), len(x.operators)) })
	return b
}

// contradicted reports whether the same operator tells another address as well.
func contradicted(f Finding, findings []Finding) bool {
	return slices.ContainsFunc(findings, func(o Finding) bool {
		return o.Operator == f.Operator && o.votes() && o.Addr != f.Addr
	})
}

// find returns what speaks for an address, or nil.
func (b ballot) find(a netip.Addr) *vote {
	i := slices.IndexFunc(b, func(v vote) bool { return v.addr == a })
	if i < 0 {
		return nil
	}
	return &b[i]
}

// winner returns what speaks for the address that has a quorum and more operators than any other, or nil.
func (b ballot) winner(alone bool) *vote {
	switch {
	case len(b) == 0, !b[0].quorum(alone):
		return nil
	case len(b) > 1 && len(b[1].operators) == len(b[0].operators):
		return nil
	default:
		return &b[0]
	}
}

// quorum reports whether an address that is new may be believed: two operators tell it, and one of them over a
// transport that nobody can falsify. This host and its router count as operators.
func (v vote) quorum(alone bool) bool {
	return alone || len(v.operators) >= 2 && v.secure
}

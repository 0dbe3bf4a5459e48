package wanip

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"plexha/zones"
)

// longSilence is how long nobody must have told an address before that is worth a warning: a router that starts
// anew takes less.
const longSilence = 10 * time.Minute

// topic is what a trouble is about. Of each there is one at a time.
type topic string

// The topics, with what the log says when the trouble is over.
const (
	noInbound   topic = "what the router has outside is what the Internet sees again"
	redirected  topic = "port 53 is not redirected any more"
	unconfirmed topic = "the sources agree again"
	nobody      topic = "the sources tell an address again"
	never       topic = "the sources tell an address now"
)

// lasting is how long a trouble must last before it is worth a line in the log. Sources do not all see a change
// at the same moment, so that it takes a second round, a tick later. Where two uplinks share the load, all of
// plain DNS may leave through the other one for a while.
func (t topic) lasting() time.Duration {
	switch t {
	case nobody:
		return longSilence
	case redirected:
		return 5 * time.Minute
	default:
		return 50 * time.Second
	}
}

// over is for how long a trouble must not have been seen before it is said to be over: two uplinks behind one
// name agree now and then. Our own number.
func (t topic) over() time.Duration {
	if t == nobody || t == never {
		return 0
	}
	return 30 * time.Minute
}

// trouble is something that the operator should know, and can mend.
type trouble struct {
	topic topic
	text  string
}

// diagnose says what is wrong, going by the findings that were judged last. Expected says that there should be
// an address of this family.
func (m memory) diagnose(findings []Finding, f zones.Family, expected bool) []trouble {
	var out []trouble
	add := func(about topic, text string) {
		if text != "" {
			out = append(out, trouble{about, text})
		}
	}
	if f == zones.IPv4 {
		add(noInbound, m.translated(findings))
	}
	redirect := redirection(findings)
	add(redirected, redirect)
	if redirect == "" {
		add(unconfirmed, m.contradiction(findings))
	}
	if expected && m.silent.rounds > 0 {
		about := nobody
		if !m.known.Addr.IsValid() {
			about = never // nobody outside gets an answer: that is worth a line sooner
		}
		add(about, fmt.Sprintf("no source tells an %s address since %s: %s (plexctl probe shows why)",
			familyWord(f), m.silent.since.UTC().Format(time.RFC3339), m.stays()))
	}
	return out
}

// translated says that packets from outside do not reach the router: the address that the Internet sees is not
// the router's.
func (m memory) translated(findings []Finding) string {
	i := slices.IndexFunc(findings, func(f Finding) bool {
		return f.Nature == Router && f.Addr.IsValid() && f.Addr != m.known.Addr
	})
	if i < 0 || len(m.voices) == 0 {
		return ""
	}
	router, why := findings[i], ""
	advice := "ask the provider for an address of your own, or publish IPv6 alone (`duckdns ... ipv4 off`)"
	if router.Refused != "" {
		why = " (" + router.Refused + ")"
	}
	if why != "" && !IsCGNAT(router.Addr) {
		advice = "have the router in front of it forward the ports as well, or make that one a bridge; if it is the provider's, " + advice
	}
	return fmt.Sprintf("inbound IPv4 cannot work: the router has %s outside, and the Internet sees %s%s: %s",
		router.Addr, m.known.Addr, why, advice)
}

// redirection says that somebody on the way answers for the name servers that are asked: one of the answers
// cannot be theirs, or all that came without TLS contradict those that came with it.
func redirection(findings []Finding) string {
	var why []string
	for _, f := range findings {
		if errors.Is(f.Err, ErrRedirected) {
			why = append(why, f.Source)
		}
	}
	if why != nil {
		why = []string{"somebody else answers for " + strings.Join(why, ", ")}
	} else if why = against(findings); why == nil {
		return ""
	}
	return fmt.Sprintf("port 53 is redirected (%s): let this host ask name servers outside, "+
		"or name only sources over dot, doh and https with `detect`", strings.Join(why, ", "))
}

// against returns what the sources of plain DNS say if two operators or more do, and all of them other than
// those over TLS, which agree.
func against(findings []Finding) []string {
	var secure netip.Addr
	var said, operators []string
	for _, f := range findings {
		if !f.Secure || f.Nature != Echo || !f.votes() {
			continue
		}
		if secure.IsValid() && f.Addr != secure {
			return nil
		}
		secure = f.Addr
	}
	for _, f := range findings {
		if f.Secure || f.Nature != Echo || !f.Addr.IsValid() || strings.HasPrefix(f.Source, "stun ") {
			continue
		}
		if f.Addr == secure {
			return nil
		}
		said = append(said, fmt.Sprintf("%s says %s", f.Source, f.Addr))
		if !slices.Contains(operators, f.Operator) {
			operators = append(operators, f.Operator)
		}
	}
	if !secure.IsValid() || len(operators) < 2 {
		return nil
	}
	return append(said, fmt.Sprintf("the Internet sees %s", secure))
}

// contradiction says that the sources disagree, or that too few of them tell a new address.
func (m memory) contradiction(findings []Finding) string {
	var order []netip.Addr
	by := map[netip.Addr][]string{}
	for _, f := range findings {
		if !f.votes() || f.Nature == Router && len(m.voices) > 0 {
			continue
		}
		if by[f.Addr] == nil {
			order = append(order, f.Addr)
		}
		by[f.Addr] = append(by[f.Addr], f.Source)
	}
	switch {
	case len(order) > 1:
		var said []string
		for _, a := range order {
			said = append(said, fmt.Sprintf("%s by %s", a, strings.Join(by[a], ", ")))
		}
		return fmt.Sprintf("the sources disagree (%s): %s", strings.Join(said, "; "), m.stays())
	case len(order) == 0 || order[0] == m.known.Addr:
		return ""
	case order[0] == m.candidate.addr:
		return fmt.Sprintf("%s must be told for half an hour now, since the sources have told it in turns with another: %s",
			order[0], m.stays())
	default:
		return fmt.Sprintf("%s is not believed, since only %s tells it: two operators must, one of them over TLS or from this host: %s",
			order[0], strings.Join(by[order[0]], ", "), m.stays())
	}
}

// stays says what is used meanwhile.
func (m memory) stays() string {
	if !m.known.Addr.IsValid() {
		return "none is published"
	}
	return m.known.Addr.String() + " stays"
}

func familyWord(f zones.Family) string {
	if f == zones.IPv6 {
		return "IPv6"
	}
	return "IPv4"
}

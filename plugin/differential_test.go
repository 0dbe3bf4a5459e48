package plugin_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"plexha/plugin/pack"
)

// TestLaneAnswersAsTheChainDoes asks both the same, and compares byte for byte. What the lane leaves to the chain, it
// has a reason for; and what the lane counts is what the chain counts.
func TestLaneAnswersAsTheChainDoes(t *testing.T) {
	for i, s := range shapes {
		t.Run(s.what, func(t *testing.T) {
			if s.asleep {
				testAsleep(t, s)
				return
			}
			total := 0
			for seed := range uint64(2) { // what is asked first is what an answer was packed for
				h := s.build(t)
				all := s.questions(t, rand.New(rand.NewPCG(uint64(i), seed))) //nolint:gosec // the same each time
				c := coreDNS(t, h)
				e := s.exempt(t)
				e.origins, e.cuts = h.cfg.Cluster.Origins, append(e.cuts, h.cfg.Passthrough...)
				total += differ(t, c, newWorker(routesTo(t, h)), e, all)
				if seed > 0 {
					differBytes(t, h, c, all[:len(all)/2])
				}
			}
			t.Logf("the lane has answered %d questions", total)
			if total < 100 {
				t.Errorf("the lane has answered %d questions: too few to show anything", total)
			}
		})
	}
}

// testAsleep asks a lane before it may answer.
func testAsleep(t *testing.T, s shape) {
	h := s.build(t)
	w := newWorker(routesTo(t, h))
	for _, a := range s.questions(t, rand.New(rand.NewPCG(1, 2))) { //nolint:gosec // the same each time
		if answer := w.answer(a.packet, a.from); answer != nil {
			t.Fatalf("%v: %x", a, answer)
		}
	}
}

// differ asks the lane and the chain of houses, and returns how many questions the lane has answered.
func differ(t *testing.T, c *chain, w *worker, e exempt, all []sent) int {
	t.Helper()
	answers := make([][]byte, len(all))
	before := requestCounts(t)
	for i, a := range all {
		answers[i] = bytes.Clone(w.answer(a.packet, a.from))
	}
	w.flush()
	laneCounts := since(requestCounts(t), before)
	before = requestCounts(t)
	var left []sent
	for i, a := range all {
		if answers[i] == nil {
			left = append(left, a)
			continue
		}
		if want := c.exchange(a.packet, a.from); !sameAnswer(answers[i], want) {
			t.Fatalf("%v\nlane  %x\nchain %x\nlane:  %s\nchain: %s", a, answers[i], want, show(answers[i]), show(want))
		}
	}
	c.busy.Wait()
	if diff := cmp.Diff(since(requestCounts(t), before), laneCounts); diff != "" {
		t.Errorf("the same questions are counted otherwise (-chain +lane):\n%s", diff)
	}
	checkLeft(t, c, e, left)
	return len(all) - len(left)
}

// differBytes asks a house's chain everything as it answers with messages, and again as it writes the bytes that lie
// ready.
func differBytes(t *testing.T, h *house, c *chain, all []sent) {
	t.Helper()
	var answers [][]byte
	before := requestCounts(t)
	for _, a := range all {
		answers = append(answers, c.exchange(a.packet, a.from))
	}
	messages := since(requestCounts(t), before)
	h.WriteBytes(true) // nobody is asking
	defer h.WriteBytes(false)
	before = requestCounts(t)
	for i, a := range all {
		if got := c.exchange(a.packet, a.from); !sameAnswer(got, answers[i]) {
			t.Fatalf("%v\nbytes   %x\nmessage %x\nbytes:   %s\nmessage: %s", a, got, answers[i], show(got), show(answers[i]))
		}
	}
	if diff := cmp.Diff(messages, since(requestCounts(t), before)); diff != "" {
		t.Errorf("the same questions are counted otherwise (-message +bytes):\n%s", diff)
	}
}

// checkLeft looks for reasons why the lane has left questions to the chain.
func checkLeft(t *testing.T, c *chain, e exempt, left []sent) {
	t.Helper()
	const enough = 3
	missing := 0
	for _, a := range left {
		reply := c.exchange(a.packet, a.from)
		if e.excuse(a, reply) != "" {
			continue
		}
		if missing++; missing <= enough {
			t.Errorf("left to the chain without a reason: %v\nchain: %s", a, show(reply))
		}
	}
	if missing > enough {
		t.Errorf("%d of %d questions were left to the chain without a reason", missing, len(left))
	}
}

func show(packet []byte) string {
	var m dns.Msg
	if err := m.Unpack(packet); err != nil {
		return fmt.Sprintf("%v: %x", err, packet)
	}
	return m.String()
}

// sameAnswer reports whether two answers are the same, but for which of the addresses is the first of those that
// take turns. Of an answer that was cut, other addresses are left out each time.
func sameAnswer(got, want []byte) bool {
	if bytes.Equal(got, want) {
		return true
	}
	var m dns.Msg
	if len(got) != len(want) || m.Unpack(got) != nil {
		return false
	}
	set := m.Answer[len(m.Answer)-addressesAtEnd(m.Answer):]
	if m.Truncated && len(set) > 1 {
		const headerAndType = 12 + 4
		asked := headerAndType + len(m.Question[0].Name) + 1
		return bytes.HasPrefix(want, got[:min(asked, len(got))])
	}
	again, err := m.Pack()
	if len(again) > len(got) {
		m.Compress = true
		again, err = m.Pack()
	}
	if err != nil || !bytes.Equal(again, got) {
		return false
	}
	for range set {
		rotate(set)
		if turned, err := m.Pack(); err == nil && bytes.Equal(turned, want) {
			return true
		}
	}
	return false
}

func rotate(rrs []dns.RR) { copy(rrs, append(slices.Clone(rrs[1:]), rrs[0])) }

// addressesAtEnd returns how many addresses of one name and family an answer section ends with.
func addressesAtEnd(rrs []dns.RR) (n int) {
	for _, rr := range slices.Backward(rrs) {
		last, h := rrs[len(rrs)-1].Header(), rr.Header()
		if h.Rrtype != dns.TypeA && h.Rrtype != dns.TypeAAAA || h.Rrtype != last.Rrtype || h.Name != last.Name {
			break
		}
		n++
	}
	return n
}

// excuse says why a lane may leave a question to the chain, which has answered it so. It is empty if there is no
// reason.
func (e exempt) excuse(a sent, answer []byte) string {
	var q pack.Question
	var m dns.Msg
	switch {
	case !q.Read(a.packet):
		return "no plain question"
	case m.Unpack(answer) != nil:
		return "no answer"
	case m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError:
		return "an error"
	case !m.Authoritative:
		return "a referral, or another plugin's answer"
	}
	if opt := m.IsEdns0(); opt != nil {
		q.Size = opt.UDPSize() // which may be less than was asked for
	}
	if m.Truncated || len(answer) < m.Len() || m.Len() > q.Limit(a.from) {
		return "too long"
	}
	if e.dnssec && (q.Do() || slices.Contains([]uint16{dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY}, q.Type)) {
		return "signed"
	}
	if reason := excuseType(q.Type); reason != "" {
		return reason
	}
	name := strings.ToLower(m.Question[0].Name)
	if strings.HasPrefix(name, "_acme-challenge.") {
		return "a challenge"
	}
	if e.origins.Matches(name) == "" {
		return "no name of ours"
	}
	if slices.ContainsFunc(e.cuts, func(cut string) bool { return dns.IsSubDomain(cut, name) }) {
		return "other's names"
	}
	return e.excuseRecords(m.Answer, q.Type)
}

func excuseType(qtype uint16) string {
	switch qtype {
	case dns.TypeDS, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeNSEC3PARAM:
		return "a type of DNSSEC"
	case dns.TypeNone, dns.TypeOPT:
		return "no type of records"
	}
	if 128 <= qtype && qtype <= 255 {
		return "a type of questions"
	}
	return ""
}

// excuseRecords looks at the answer section. Where a CNAME leads to no name that stands in a zone, CoreDNS asks itself.
func (e exempt) excuseRecords(rrs []dns.RR, qtype uint16) string {
	if qtype == dns.TypeCNAME {
		return ""
	}
	for i, rr := range rrs {
		switch rr := rr.(type) {
		case *dns.DNAME:
			return "a DNAME"
		case *dns.CNAME:
			owner, target := strings.ToLower(rr.Hdr.Name), strings.ToLower(rr.Target)
			if !slices.Contains(e.stands, target) || e.origins.Matches(owner) != e.origins.Matches(target) {
				return "a CNAME that leads to another's name, to a wildcard's or to none"
			}
			if i == 0 && !slices.Contains(commonTypes, qtype) {
				return "a rare type at a CNAME"
			}
		}
	}
	return ""
}

// requestCounts gathers the counters that a lane and the chain have in common.
func requestCounts(t testing.TB) map[string]float64 {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		switch name := f.GetName(); name {
		case "coredns_plex_answers_total", "coredns_dns_requests_total", "coredns_dns_do_requests_total", "coredns_dns_responses_total":
			for _, m := range f.GetMetric() {
				labels := map[string]string{}
				for _, l := range m.GetLabel() {
					labels[l.GetName()] = l.GetValue()
				}
				out[name+text(labels)] = m.GetCounter().GetValue()
			}
		}
	}
	return out
}

// since returns what has been added.
func since(now, before map[string]float64) map[string]float64 {
	out := map[string]float64{}
	for name, v := range maps.All(now) {
		if d := v - before[name]; d != 0 {
			out[name] = d
		}
	}
	return out
}

// wireName returns a name as it goes on the wire.
func wireName(t testing.TB, name string) string {
	t.Helper()
	b := make([]byte, 255)
	n, err := dns.PackDomainName(name, b, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

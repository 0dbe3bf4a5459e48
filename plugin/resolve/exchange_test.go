package resolve_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"plexha/plugin/resolve"
	"plexha/plugin/via"
)

const record = "Www.example. 60 IN A 192.0.2.1"

// changed answers with the record after a change.
func changed(change func(*dns.Msg)) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) { zone(record)(changer{w, change}, q) }
}

type changer struct {
	dns.ResponseWriter

	change func(*dns.Msg)
}

func (c changer) WriteMsg(m *dns.Msg) error {
	c.change(m)
	return c.ResponseWriter.WriteMsg(m)
}

// TestExchange: an answer over UDP counts if it is whole and repeats the question to the letter; else TCP's does.
func TestExchange(t *testing.T) {
	good, garbage := zone(record), func(w dns.ResponseWriter, _ *dns.Msg) { _, _ = w.Write([]byte("garbage")) }
	tests := []struct {
		name     string
		udp, tcp dns.HandlerFunc
		err      string
	}{
		{"over UDP", good, silent, ""},
		{"cut", changed(func(m *dns.Msg) { m.Truncated, m.Answer = true, nil }), good, ""},
		{"folded letters", changed(func(m *dns.Msg) { m.Question[0].Name = strings.ToLower(m.Question[0].Name) }), good, ""},
		{"another's id", changed(func(m *dns.Msg) { m.Id++ }), good, ""},
		{"another question", changed(func(m *dns.Msg) { m.Question[0].Name = "other.example." }), good, ""},
		{"another type", changed(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA }), good, ""},
		{"no question", changed(func(m *dns.Msg) { m.Question = nil }), good, ""},
		{"a question for an answer", changed(func(m *dns.Msg) { m.Response = false }), good, ""},
		{"garbage", garbage, good, ""},
		{"wrong both times", changed(func(m *dns.Msg) { m.Id++ }), changed(func(m *dns.Msg) { m.Id++ }), "the answer is to another question"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, overUDP(tt.udp, tt.tcp))
			q := new(dns.Msg).SetQuestion("Www.example.", dns.TypeA)
			r, err := resolve.Exchange(t.Context(), via.Path{}, q, s.plain)
			if (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if err != nil {
				return
			}
			want, _ := dns.NewRR(record)
			if len(r.Answer) != 1 || r.Answer[0].String() != want.String() || r.Question[0] != q.Question[0] {
				t.Errorf("%v, want %v", r, want)
			}
		})
	}
}

// TestExchangeScrambles: the letters of a question over UDP are chosen by chance, and the caller's own are kept.
func TestExchangeScrambles(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]bool{}
	s := start(t, overUDP(func(w dns.ResponseWriter, q *dns.Msg) {
		mu.Lock()
		seen[q.Question[0].Name] = true
		mu.Unlock()
		zone(record)(w, q)
	}, silent))
	const name = "a-name-of-many-letters-0123456789.example."
	for range 10 {
		q := new(dns.Msg).SetQuestion(name, dns.TypeA)
		if _, err := resolve.Exchange(t.Context(), via.Path{}, q, s.plain); err != nil {
			t.Fatal(err)
		}
		if q.Question[0].Name != name {
			t.Errorf("the caller's question is now for %s", q.Question[0].Name)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for got := range seen {
		if !strings.EqualFold(got, name) {
			t.Errorf("asked for %s", got)
		}
	}
	if len(seen) < 5 {
		t.Errorf("ten questions have %d ways to write the name", len(seen))
	}
}

// TestExchangeEnds: nobody waits longer than the caller.
func TestExchangeEnds(t *testing.T) {
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	s := start(t, func(dns.ResponseWriter, *dns.Msg) { cancel(gone) })
	_, err := resolve.Exchange(ctx, via.Path{}, new(dns.Msg).SetQuestion("www.example.", dns.TypeA), s.plain)
	if !errors.Is(err, gone) {
		t.Errorf("error %v, want %v", err, gone)
	}
}

// TestPipeline: replies may come in any order, but each must be to a question.
func TestPipeline(t *testing.T) {
	reply := func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetReply(q) }
	tests := []struct {
		name    string
		replies func(a, aaaa *dns.Msg) []*dns.Msg
		want    bool
	}{
		{"in order", func(a, aaaa *dns.Msg) []*dns.Msg { return []*dns.Msg{reply(a), reply(aaaa)} }, true},
		{"the other way round", func(a, aaaa *dns.Msg) []*dns.Msg { return []*dns.Msg{reply(aaaa), reply(a)} }, true},
		{"twice the same", func(a, _ *dns.Msg) []*dns.Msg { return []*dns.Msg{reply(a), reply(a)} }, false},
		{"one that nobody asked", func(a, aaaa *dns.Msg) []*dns.Msg {
			aaaa.Id = 7
			return []*dns.Msg{reply(a), reply(aaaa)}
		}, false},
		{"swapped", func(a, aaaa *dns.Msg) []*dns.Msg {
			a.Id, aaaa.Id = aaaa.Id, a.Id
			return []*dns.Msg{reply(a), reply(aaaa)}
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			near, far := net.Pipe()
			done := make(chan struct{})
			go func() {
				defer close(done)
				conn := &dns.Conn{Conn: far}
				a, _ := conn.ReadMsg()
				aaaa, _ := conn.ReadMsg()
				for _, m := range tt.replies(a, aaaa) {
					_ = conn.WriteMsg(m)
				}
			}()
			replies, err := resolve.Pipeline(t.Context(), &dns.Conn{Conn: near}, "www.example.")
			_ = near.Close()
			<-done
			if (err == nil) != tt.want {
				t.Fatalf("error %v", err)
			}
			if err == nil && (replies[0].Question[0].Qtype != dns.TypeA || replies[1].Question[0].Qtype != dns.TypeAAAA) {
				t.Errorf("%v: not in the order of the questions", replies)
			}
		})
	}
}

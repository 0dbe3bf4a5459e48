package affinity_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"plexha/proxy/affinity"
	"plexha/zones"
)

// scene is a table, some nodes and a clock, to which tests send requests.
type scene struct {
	*testing.T

	table    *affinity.Table
	nodes    []affinity.Node
	now      time.Time
	byClient bool
}

// house is a scene with nodes of these names, which have been up for an hour. Their machineIdentifiers are
// "id-" and the name.
func house(t *testing.T, names ...zones.NodeName) *scene {
	s := &scene{T: t, table: affinity.NewTable(1000), now: time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)}
	for i, name := range names {
		s.nodes = append(s.nodes, affinity.Node{
			Name: name, Dial: fmt.Sprintf("docker%d:32400", i+1), ID: "id-" + string(name), Weight: 1,
			Up: true, New: true, UpSince: s.now.Add(-time.Hour),
		})
	}
	return s
}

func (s *scene) node(name zones.NodeName) *affinity.Node {
	i := slices.IndexFunc(s.nodes, func(n affinity.Node) bool { return n.Name == name })
	return &s.nodes[i]
}

func (s *scene) down(names ...zones.NodeName) {
	for _, name := range names {
		n := s.node(name)
		n.Up, n.New, n.UpSince = false, false, time.Time{}
	}
}

func (s *scene) up(name zones.NodeName) {
	n := s.node(name)
	n.Up, n.New, n.Draining, n.UpSince = true, true, false, s.now
}

// drain orders a node to be drained, while another one is up.
func (s *scene) drain(name zones.NodeName) {
	n := s.node(name)
	n.Draining, n.New = true, false
}

func (s *scene) wait(d time.Duration) { s.now = s.now.Add(d) }

// otherProxy is a scene of a proxy that knows nothing, in the same house.
func (s *scene) otherProxy() *scene {
	other := *s
	other.table, other.nodes = affinity.NewTable(1000), slices.Clone(s.nodes)
	return &other
}

// key returns a client id or a token that belongs to a node while all are up.
func (s *scene) key(node zones.NodeName) string {
	return s.keys(node, 1)[0]
}

func (s *scene) keys(node zones.NodeName, count int) []string {
	all := slices.Clone(s.nodes)
	for i := range all {
		all[i].Up, all[i].New = true, !all[i].Backup
	}
	var out []string
	fresh := affinity.NewTable(4)
	for i := 0; len(out) < count; i++ {
		key := fmt.Sprintf("key-%s-%d", node, i)
		k := affinity.Parse(request(s.T, "GET /", "X-Plex-Client-Identifier: "+key))
		if fresh.Place(k, &affinity.Nodes{All: all}, false, s.now).Node == node {
			out = append(out, key)
		}
	}
	return out
}

// request builds a request from "METHOD /path?query" and header lines.
func request(tb testing.TB, line string, headers ...string) *http.Request {
	tb.Helper()
	method, target, _ := strings.Cut(line, " ")
	u, err := url.ParseRequestURI(target)
	if err != nil {
		tb.Fatal(err)
	}
	r := &http.Request{Method: method, URL: u, RequestURI: target, Header: http.Header{}}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// as returns the query of a client: its id and its token, either of which may be missing.
func as(client, token string) string {
	q := url.Values{}
	if client != "" {
		q.Set("X-Plex-Client-Identifier", client)
	}
	if token != "" {
		q.Set("X-Plex-Token", token)
	}
	return q.Encode()
}

// place asks where a request goes, without any answer.
func (s *scene) place(line string, headers ...string) affinity.Placement {
	s.Helper()
	return s.placeKeys(affinity.Parse(request(s.T, line, headers...)))
}

func (s *scene) placeKeys(k affinity.Keys) affinity.Placement {
	return s.table.Place(k, s.snapshot(), s.byClient, s.now)
}

func (s *scene) snapshot() *affinity.Nodes { return &affinity.Nodes{All: slices.Clone(s.nodes)} }

// answered places a request, and has a node answer it with a status.
func (s *scene) answered(from zones.NodeName, status int, line string, headers ...string) affinity.Placement {
	s.Helper()
	k := affinity.Parse(request(s.T, line, headers...))
	p := s.placeKeys(k)
	s.table.Answered(k, p, from, status, s.snapshot(), s.now)
	return p
}

// goes expects that a request is placed at a node, which answers it well.
func (s *scene) goes(to zones.NodeName, line string, headers ...string) affinity.Placement {
	s.Helper()
	p := s.place(line, headers...)
	if p.Node != to || p.Refuse {
		s.Fatalf("%s goes to %q by %v, refused %v; want %q", line, p.Node, p.By, p.Refuse, to)
	}
	s.table.Answered(affinity.Parse(request(s.T, line, headers...)), p, to, http.StatusOK, s.snapshot(), s.now)
	return p
}

// refused expects that a request is answered by nobody.
func (s *scene) refused(line string, headers ...string) {
	s.Helper()
	if p := s.place(line, headers...); !p.Refuse || !p.Stay {
		s.Errorf("%s goes to %q by %v: refused %v, stays %v; want both", line, p.Node, p.By, p.Refuse, p.Stay)
	}
}

// stays expects that a request waits for a node, whatever happens.
func (s *scene) stays(at zones.NodeName, line string, headers ...string) {
	s.Helper()
	if p := s.place(line, headers...); p.Node != at || !p.Stay || p.Refuse || p.Moved {
		s.Errorf("%s: %+v; want it to stay at %s", line, p, at)
	}
}

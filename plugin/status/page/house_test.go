package page_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"plexha/plugin/status/door"
	"plexha/plugin/status/page"
	"plexha/zones/timeline"
)

// noon is when all began, by a clock that is not UTC.
var noon = time.Date(2026, 11, 22, 13, 0, 0, 0, time.FixedZone("CET", 3600))

// small is a page with a bit of everything.
func small() page.Doc {
	plex1 := page.Subject{Kind: "node", Name: "plex1", State: "down", Since: noon, Why: "connection refused"}
	plex2 := page.Subject{
		Kind: "node", Name: "plex2", State: "up", Since: noon, Order: "drain", OrderUntil: noon.Add(time.Hour), OrderWhy: "new disk",
	}
	nodes := page.Section{Name: "nodes", Title: "Nodes", Note: "Who serves.", Columns: []string{"Node", "State", "Why", "Order"}}
	for _, s := range []page.Subject{plex1, plex2} {
		nodes.Rows = append(nodes.Rows, page.Row{
			Level: s.Level(), Forms: s.Forms("home.test"),
			Cells: []page.Cell{{Text: s.Name, Small: s.Name + ".lan:32400"}, s.StateCell(), s.WhyCell(), s.OrderCell()},
		})
	}
	c := page.Cluster{Zone: "home.test", Sections: []page.Section{nodes, {Name: "empty", Title: "Nothing", Columns: []string{"Name"}}}}
	c.Judge(page.Troubles([]page.Subject{plex1, plex2}), noon)
	c.Events = []timeline.Event{
		{Seq: 1, At: noon, Level: timeline.Info, Kind: timeline.State, Text: "node plex2 is up"},
		{Seq: 2, At: noon.Add(time.Second), Level: timeline.Warning, Kind: timeline.State, Text: "node plex1 is down: connection refused"},
	}
	return page.Doc{Program: "plexdns", Version: "1.2.3", Host: "attic", At: noon.Add(time.Minute), Changes: true, Clusters: []page.Cluster{c}}
}

// scene is a page that changes, within a bubble.
type scene struct {
	mu   sync.Mutex
	doc  page.Doc
	news chan struct{}
}

func newScene(d page.Doc) *scene { return &scene{doc: d, news: make(chan struct{}, 1)} }

func (s *scene) now() page.Doc {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doc.At = time.Now()
	return s.doc
}

// clone returns a page that shares nothing with d that a test changes.
func clone(d page.Doc) page.Doc {
	d.Clusters = slices.Clone(d.Clusters)
	for i := range d.Clusters {
		c := &d.Clusters[i]
		c.Sections = slices.Clone(c.Sections)
		for j := range c.Sections {
			s := &c.Sections[j]
			s.Rows = slices.Clone(s.Rows)
			for k := range s.Rows {
				s.Rows[k].Cells = slices.Clone(s.Rows[k].Cells)
			}
		}
	}
	return d
}

// change shows another page, and tells of it.
func (s *scene) change(with func(*page.Doc)) {
	s.mu.Lock()
	s.doc = clone(s.doc) // the one before may be drawn still
	with(&s.doc)
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// pipes is a listener of connections in memory.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	ended chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.ended) })
	return nil
}

func (p *pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "tcp" }
func (pipeAddr) String() string  { return "127.0.0.1:1" }

// local is a connection from this machine.
type local struct{ net.Conn }

func (local) RemoteAddr() net.Addr { return pipeAddr{} }

// serve serves a stream to clients, with the timeouts of the real server, until the test ends or end is called.
func serve(t *testing.T, show func(w http.ResponseWriter, r *http.Request) error) (c *http.Client, end func(), done <-chan error) {
	t.Helper()
	ended := make(chan error, 100)
	d := &door.Door{Routes: map[string]door.Route{"/": {
		Stream: true,
		Show: func(w http.ResponseWriter, r *http.Request, _ bool) error {
			err := show(w, r)
			ended <- err
			return err
		},
	}}}
	srv := door.NewServer(d)
	l := &pipes{conns: make(chan net.Conn), ended: make(chan struct{})}
	var served sync.WaitGroup
	served.Go(func() {
		if err := srv.Serve(l); err != nil {
			t.Error(err)
		}
	})
	dial := func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		l.conns <- local{theirs}
		return ours, nil
	}
	tr := &http.Transport{DialContext: dial}
	end = sync.OnceFunc(func() {
		srv.Close()
		served.Wait()
	})
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		end()
	})
	return &http.Client{Transport: tr}, end, ended
}

// told is one message of a stream.
type told struct {
	event, id, data string
	at              time.Time // when it came
}

// listen asks for a stream, and returns a channel of its messages that is closed with it.
func listen(t *testing.T, c *http.Client, query string, header map[string]string) <-chan told {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/"+query, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if kind := res.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("it is %d %s", res.StatusCode, kind)
	}
	out := make(chan told, 1000)
	go func() {
		defer close(out)
		var next told
		for scan := bufio.NewScanner(res.Body); scan.Scan(); {
			name, value, _ := strings.Cut(scan.Text(), ": ")
			switch name {
			case "event":
				next.event = value
			case "id":
				next.id = value
			case "data":
				next.data = value
			case ":":
				next.event = "beat"
			case "":
				next.at = time.Now()
				if next.event != "" || next.data != "" {
					out <- next
				}
				next = told{}
			}
		}
	}()
	return out
}

// read returns what there is to read.
func read(ch <-chan told) []told {
	var all []told
	for {
		select {
		case m, ok := <-ch:
			if !ok {
				return all
			}
			all = append(all, m)
		default:
			return all
		}
	}
}

// news is what a page is told.
type news struct {
	At     time.Time
	Title  string
	Main   string
	Parts  []struct{ ID, HTML string }
	Events []struct{ ID, HTML string }
}

func (m told) news(t *testing.T) news {
	t.Helper()
	var n news
	if err := json.Unmarshal([]byte(m.data), &n); err != nil || m.event != "news" {
		t.Fatalf("it is told %q %s: %v", m.event, m.data, err)
	}
	return n
}

// ids names the parts.
func (n news) ids() string {
	var all []string
	for _, p := range n.Parts {
		all = append(all, p.ID)
	}
	return strings.Join(all, " ")
}

// text is all that it is told.
func (n news) text() string {
	all := []string{n.Main}
	for _, p := range n.Parts {
		all = append(all, p.HTML)
	}
	return strings.Join(all, "\n")
}

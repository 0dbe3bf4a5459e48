package page_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"plexha/plugin/status/door"
	"plexha/plugin/status/page"
	"plexha/zones/timeline"
)

// query is what the page asks /live with, from what the page itself has.
func query(t *testing.T, d page.Doc) string {
	t.Helper()
	var b bytes.Buffer
	if err := page.Render(&b, d); err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`data-look="(.*?)" data-state="(.*?)"`).FindSubmatch(b.Bytes())
	if m == nil {
		t.Fatal("the page does not say what it is")
	}
	return fmt.Sprintf("?look=%s&state=%s", m[1], m[2])
}

// live opens the page of a scene, and returns what it is told.
func live(t *testing.T, s *scene) (messages <-chan told, end func()) {
	t.Helper()
	c, end, _ := serve(t, func(w http.ResponseWriter, r *http.Request) error { return page.NewStudio(s.now).Live(w, r, s.news) })
	messages = listen(t, c, query(t, s.now()), nil)
	synctest.Wait()
	if first := read(messages); len(first) != 1 || first[0].news(t).Main != "" || first[0].news(t).At.IsZero() {
		t.Fatalf("a page that is up to date is told %v", first)
	}
	return messages, end
}

// one returns the only message that there is to read.
func one(t *testing.T, messages <-chan told) told {
	t.Helper()
	synctest.Wait()
	all := read(messages)
	if len(all) != 1 {
		t.Fatalf("it is told %d messages: %v", len(all), all)
	}
	return all[0]
}

// TestLiveBegins: a page that is not up to date is told all of it, and one of another version of the program to be
// loaded again.
func TestLiveBegins(t *testing.T) {
	fresh := query(t, small())
	look, state, _ := strings.Cut(fresh, "&state=")
	for _, tc := range []struct {
		name, query, last string // the last message's id
		event             string
		all               bool
	}{
		{name: "up to date", query: fresh, event: "news"},
		{name: "stale", query: look + "&state=123", event: "news", all: true},
		{name: "back, after it had been told more", query: look + "&state=123", last: state, event: "news"},
		{name: "back, and stale", query: fresh, last: "123", event: "news", all: true},
		{name: "of another version", query: "?look=123&state=" + state, event: "reload"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(small())
				c, _, _ := serve(t, func(w http.ResponseWriter, r *http.Request) error { return page.NewStudio(s.now).Live(w, r, s.news) })
				m := one(t, listen(t, c, tc.query, map[string]string{"Last-Event-ID": tc.last}))
				if m.event != tc.event {
					t.Fatalf("it is told %v", m)
				}
				if m.event == "news" && (strings.Contains(m.news(t).Main, "plex1 is down") != tc.all || m.id != state) {
					t.Errorf("it is told %v, want all: %v", m, tc.all)
				}
			})
		})
	}
}

// TestLiveTellsWhatChanges, and no more than that.
func TestLiveTellsWhatChanges(t *testing.T) {
	for _, tc := range []struct {
		name string
		with func(*page.Doc)
		ids  string // of the parts that are told
		want string // is in them
		main bool   // all is told
	}{
		{
			name: "a row",
			with: func(d *page.Doc) { d.Clusters[0].Sections[0].Rows[1].Cells[2].Text = "slow" },
			ids:  "c0-nodes-1", want: ">slow</td>",
		},
		{
			name: "the headline, and what is not well",
			with: func(d *page.Doc) { d.Clusters[0].Judge(nil, noon) },
			ids:  "c0-head c0-troubles", want: "all is well",
		},
		{
			name: "another row",
			with: func(d *page.Doc) {
				rows := &d.Clusters[0].Sections[0].Rows
				*rows = append(*rows, page.Row{Cells: []page.Cell{{Text: "plex3"}, {}, {}, {}}})
			},
			ids: "c0-nodes", want: "plex3",
		},
		{
			name: "the first row",
			with: func(d *page.Doc) { d.Clusters[0].Sections[1].Rows = []page.Row{{Cells: []page.Cell{{Text: "plex3"}}}} },
			ids:  "c0-empty", want: "plex3",
		},
		{
			name: "a note",
			with: func(d *page.Doc) { d.Clusters[0].Sections[0].Note = "Nobody serves." },
			ids:  "c0-nodes", want: "Nobody serves.",
		},
		{
			name: "another section",
			with: func(d *page.Doc) {
				d.Clusters[0].Sections = append(d.Clusters[0].Sections, page.Section{Name: "more", Title: "More"})
			},
			main: true, want: "c0-more",
		},
		{
			name: "another cluster",
			with: func(d *page.Doc) { d.Clusters = append(d.Clusters, page.Cluster{Zone: "other.test"}) },
			main: true, want: "other.test",
		},
		{
			name: "no cluster",
			with: func(d *page.Doc) { d.Clusters = nil },
			main: true, want: "No cluster is shown here",
		},
		{
			name: "events that begin anew",
			with: func(d *page.Doc) { d.Clusters[0].Events = d.Clusters[0].Events[:1] },
			main: true, want: "plex2 is up",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(small())
				messages, _ := live(t, s)
				s.change(tc.with)
				n := one(t, messages).news(t)
				if n.ids() != tc.ids || (n.Main != "") != tc.main {
					t.Errorf("parts %q and main %q are told", n.ids(), n.Main)
				}
				if text := n.text(); !strings.Contains(text, tc.want) {
					t.Errorf("%q is not in %s", tc.want, text)
				}
			})
		})
	}
}

// TestLiveTitle: it says how things are while another page is looked at.
func TestLiveTitle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(small())
		messages, _ := live(t, s)
		s.change(func(d *page.Doc) { d.Clusters[0].Judge(nil, noon) })
		if got := one(t, messages).news(t).Title; got != "all is well - home.test" {
			t.Errorf("got %q", got)
		}
	})
}

// TestLiveEvents: those that are new are told, the newest first.
func TestLiveEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(small())
		messages, _ := live(t, s)
		s.change(func(d *page.Doc) {
			c := &d.Clusters[0]
			c.Events = append(slices.Clone(c.Events), timeline.Event{Seq: 3, At: noon, Level: timeline.Info, Text: "third"},
				timeline.Event{Seq: 4, At: noon, Level: timeline.Doubt, Text: "fourth"})
		})
		n := one(t, messages).news(t)
		want := "<li class=\"doubt\"><time>2026-11-22 12:00:00Z</time> fourth\n<li><time>2026-11-22 12:00:00Z</time> third\n"
		if len(n.Parts) > 0 || len(n.Events) != 1 || n.Events[0].ID != "c0-events" || n.Events[0].HTML != want {
			t.Errorf("got %+v", n)
		}
	})
}

// TestLiveIsCoalesced: the first change goes out at once, the others ten times a second, and the last one always.
func TestLiveIsCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(small())
		messages, _ := live(t, s)
		begin := time.Now()
		const changes = 200
		for i := range changes {
			s.change(func(d *page.Doc) { d.Clusters[0].Sections[0].Note = fmt.Sprint("change ", i+1, ".") })
			synctest.Wait()
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		all := read(messages)
		if len(all) < 9 || len(all) > 11 {
			t.Errorf("%d messages in a second", len(all))
		}
		if first := all[0]; !first.at.Equal(begin) || !strings.Contains(first.data, "change 1.") {
			t.Errorf("the first one came after %v: %s", first.at.Sub(begin), first.data)
		}
		if last := all[len(all)-1]; !strings.Contains(last.data, fmt.Sprint("change ", changes, ".")) {
			t.Errorf("the last one is %s", last.data)
		}
	})
}

// TestManyLookAtOnePage: it is drawn for all of them together, and none is told less for that.
func TestManyLookAtOnePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const readers = 50
		s := newScene(small())
		var drawn atomic.Int64
		studio := page.NewStudio(func() page.Doc {
			drawn.Add(1)
			time.Sleep(10 * time.Millisecond)
			return s.now()
		})
		var news [readers]chan struct{}
		var messages [readers]<-chan told
		for i := range readers {
			news[i] = make(chan struct{}, 1)
			c, _, _ := serve(t, func(w http.ResponseWriter, r *http.Request) error { return studio.Live(w, r, news[i]) })
			messages[i] = listen(t, c, query(t, s.now()), nil)
		}
		time.Sleep(time.Second)
		drawn.Store(0)
		s.change(func(d *page.Doc) { d.Clusters[0].Sections[0].Note = "Changed." })
		for i := range readers {
			news[i] <- struct{}{}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := drawn.Load(); got < 1 || got > 2 {
			t.Errorf("it is drawn %d times", got)
		}
		for i := range readers {
			if all := read(messages[i]); len(all) != 2 || !strings.Contains(all[1].data, "Changed.") {
				t.Errorf("reader %d is told %v", i, all)
			}
		}
	})
}

// TestLiveBeats: while nothing happens it is told so, for longer than any other request may take.
func TestLiveBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(small())
		messages, _ := live(t, s)
		s.change(func(*page.Doc) {})
		time.Sleep(61 * time.Second)
		synctest.Wait()
		all := read(messages)
		if len(all) != 4 {
			t.Fatalf("%d messages in a minute: %v", len(all), all)
		}
		for i, m := range all {
			if n := m.news(t); n.Main != "" || len(n.Parts) > 0 || !n.At.Equal(m.at) {
				t.Errorf("beat %d is %+v", i, n)
			}
		}
	})
}

// TestLiveEndsWithTheServer, at once.
func TestLiveEndsWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		messages, end := live(t, newScene(small()))
		begin := time.Now()
		end()
		synctest.Wait()
		if _, isOpen := <-messages; isOpen {
			t.Error("it goes on")
		}
		if took := time.Since(begin); took > 50*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

// TestLiveEndsWithThePage.
func TestLiveEndsWithThePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(small())
		c, _, done := serve(t, func(w http.ResponseWriter, r *http.Request) error { return page.NewStudio(s.now).Live(w, r, s.news) })
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/"+query(t, s.now()), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case <-done:
		default:
			t.Error("it goes on")
		}
	})
}

// TestSlowReaderIsDropped: one that takes nothing for ten seconds.
func TestSlowReaderIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(small())
		ended := make(chan error, 1)
		srv := door.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ended <- page.NewStudio(s.now).Live(w, r, s.news)
		}))
		l := &pipes{conns: make(chan net.Conn), ended: make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		ours, theirs := net.Pipe()
		l.conns <- theirs
		begin := time.Now()
		if _, err := fmt.Fprintf(ours, "GET /%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", query(t, s.now())); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil {
			t.Error("it ends without an error")
		}
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("it is dropped after %v", took)
		}
		srv.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		_ = ours.Close()
	})
}

package page_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/plugin/status/door"
	"plexha/plugin/status/page"
	"plexha/zones/timeline"
)

// logs are those of two zones: a.test with three events, b.test with one between them.
func logs() []page.Log {
	a, b := &timeline.Timeline{}, &timeline.Timeline{}
	for i, text := range []string{"first", "second", "third"} {
		a.Add(timeline.Event{At: noon.Add(time.Duration(2*i) * time.Second), Level: timeline.Info, Kind: timeline.State, Text: text})
	}
	b.Add(timeline.Event{At: noon.Add(time.Second), Level: timeline.Info, Kind: timeline.State, Text: "other"})
	return []page.Log{{Zone: "a.test", Timeline: a}, {Zone: "b.test", Timeline: b}}
}

// TestEventsJSON: what a query leaves out is left out, and the rest is in the order in which it happened.
func TestEventsJSON(t *testing.T) {
	for _, tc := range []struct {
		name, query string
		status      int
		want        string // texts, or words of the error
	}{
		{"all zones", "", 200, "first other second third"},
		{"one", "?zone=a.test", 200, "first second third"},
		{"one, as the DNS writes it", "?zone=A.test.", 200, "first second third"},
		{"after an event", "?zone=a.test&after=1", 200, "second third"},
		{"after the last", "?zone=a.test&after=3", 200, ""},
		{"after one that is yet to come, of an earlier process", "?zone=a.test&after=300", 200, "first second third"},
		{"a zone that is not there", "?zone=x.test", 404, `there is no zone "x.test": want one of a.test b.test`},
		{"after what is no number", "?after=yesterday", 400, `reading after "yesterday": want the number of an event`},
		{"a query that is none", "?zone=%zz", 400, "reading the query"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			err := page.EventsJSON(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events.json"+tc.query, http.NoBody), logs())
			if no, ok := errors.AsType[*door.Refusal](err); ok {
				if no.Status != tc.status || !strings.Contains(no.Why, tc.want) {
					t.Errorf("got %d %s, want %d %s", no.Status, no.Why, tc.status, tc.want)
				}
				return
			}
			var got struct {
				Version int
				Events  []struct{ Zone, Text string }
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || tc.status != 200 || got.Version != page.EventsVersion {
				t.Fatalf("%v: %s", err, w.Body)
			}
			var texts []string
			for _, e := range got.Events {
				texts = append(texts, e.Text)
			}
			if strings.Join(texts, " ") != tc.want || got.Events == nil {
				t.Errorf("got %v, want %s", texts, tc.want)
			}
		})
	}
}

// TestEntry: each event says whose it is.
func TestEntry(t *testing.T) {
	w := httptest.NewRecorder()
	if err := page.EventsJSON(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events.json?zone=b.test", http.NoBody), logs()); err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := any(map[string]any{"version": 1.0, "events": []any{map[string]any{
		"zone": "b.test", "seq": 1.0, "at": "2026-11-22T12:00:01Z", "level": "info", "kind": "state", "text": "other",
	}}})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEventsOfOneZone come by their numbers, by which who lost the connection goes on: two that happen at once may be
// taken down the other way round.
func TestEventsOfOneZone(t *testing.T) {
	log := &timeline.Timeline{}
	for i, text := range []string{"first", "second"} {
		log.Add(timeline.Event{At: noon.Add(time.Duration(-i) * time.Millisecond), Text: text})
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events.json", http.NoBody)
	if err := page.EventsJSON(w, r, []page.Log{{Zone: "a.test", Timeline: log}}); err != nil {
		t.Fatal(err)
	}
	if got := w.Body.String(); strings.Index(got, "first") > strings.Index(got, "second") {
		t.Errorf("got\n%s\nwant the first one first", got)
	}
}

// entries are the texts of messages, with their ids.
func entries(t *testing.T, messages []told) string {
	t.Helper()
	var all []string
	for i, m := range messages {
		var e struct{ Zone, Text string }
		if m.event == "beat" {
			all = append(all, fmt.Sprint("beat ", i+1))
			continue
		}
		if err := json.Unmarshal([]byte(m.data), &e); err != nil || e.Zone == "" || m.event != "" {
			t.Fatalf("%v: %v", err, m)
		}
		all = append(all, strings.TrimSuffix(e.Text+"#"+m.id, "#"))
	}
	return strings.Join(all, " ")
}

// TestEvents: what has happened is told at once, and what happens when it does.
func TestEvents(t *testing.T) {
	for _, tc := range []struct {
		name, query string
		last        string // the id of the last message before the connection was lost
		begin, then string
	}{
		{name: "all zones, whose numbers say nothing", begin: "first other second third", then: "more"},
		{name: "one zone", query: "?zone=a.test", begin: "first#1 second#2 third#3", then: "more#4"},
		{name: "after an event", query: "?zone=a.test&after=2", begin: "third#3", then: "more#4"},
		{name: "after the last", query: "?zone=a.test&after=3", then: "more#4"},
		{name: "back after the connection was lost", query: "?zone=a.test&after=1", last: "2", begin: "third#3", then: "more#4"},
		{name: "back after a restart", query: "?zone=a.test", last: "200", begin: "first#1 second#2 third#3", then: "more#4"},
		{name: "the other zone", query: "?zone=b.test", begin: "other#1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				of := logs()
				c, _, _ := serve(t, func(w http.ResponseWriter, r *http.Request) error { return page.Events(w, r, of) })
				messages := listen(t, c, tc.query, map[string]string{"Last-Event-ID": tc.last})
				synctest.Wait()
				if got := entries(t, read(messages)); got != tc.begin {
					t.Errorf("it begins with %q, want %q", got, tc.begin)
				}
				of[0].Timeline.Add(timeline.Event{At: time.Now(), Text: "more"})
				synctest.Wait()
				if got := entries(t, read(messages)); got != tc.then {
					t.Errorf("it goes on with %q, want %q", got, tc.then)
				}
				time.Sleep(31 * time.Second)
				synctest.Wait()
				if got := entries(t, read(messages)); got != "beat 1 beat 2" {
					t.Errorf("while nothing happens it says %q", got)
				}
			})
		})
	}
}

// TestEventsAreRefusedBeforeTheStream begins.
func TestEventsAreRefusedBeforeTheStream(t *testing.T) {
	w := httptest.NewRecorder()
	err := page.Events(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events?zone=x.test", http.NoBody), logs())
	if no, ok := errors.AsType[*door.Refusal](err); !ok || no.Status != http.StatusNotFound || w.Body.Len() > 0 {
		t.Errorf("got %v, %s", err, w.Body)
	}
}

// TestHead: who asks only for the head of a stream is not kept waiting.
func TestHead(t *testing.T) {
	for name, show := range map[string]func(http.ResponseWriter, *http.Request) error{
		"live":   func(w http.ResponseWriter, r *http.Request) error { return page.NewStudio(small).Live(w, r, nil) },
		"events": func(w http.ResponseWriter, r *http.Request) error { return page.Events(w, r, logs()) },
	} {
		w := httptest.NewRecorder()
		if err := show(w, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/", http.NoBody)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if kind := w.Header().Get("Content-Type"); kind != "text/event-stream" {
			t.Errorf("%s is %q", name, kind)
		}
	}
}

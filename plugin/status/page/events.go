package page

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"plexha/plugin/status/door"
	"plexha/zones/timeline"
)

// EventsVersion is that of what [EventsJSON] answers. It grows when something is renamed or taken away.
const EventsVersion = 1

// Log is the timeline of a zone.
type Log struct {
	Zone     string // as a person writes it
	Timeline *timeline.Timeline
}

// Entry is an event of a zone.
type Entry struct {
	Zone string `json:"zone"`
	timeline.Event
}

// EventsJSON answers with what has happened, oldest first. The query's zone picks one log of several, and after
// leaves out what came before the event of that number and itself. A number that there is not yet, of a program that
// was restarted since, leaves out nothing.
func EventsJSON(w http.ResponseWriter, r *http.Request, logs []Log) error {
	readers, err := open(r, logs)
	if err != nil {
		return err
	}
	return door.WriteJSON(w, struct {
		Version int     `json:"version"`
		Events  []Entry `json:"events"`
	}{EventsVersion, append([]Entry{}, readAll(readers)...)})
}

// Events streams what EventsJSON answers, and all that happens from then on, until the request ends. If one zone is
// read, the numbers are the messages' ids, so that who lost the connection goes on where it was.
func Events(w http.ResponseWriter, r *http.Request, logs []Log) error {
	readers, err := open(r, logs)
	if err != nil {
		return err
	}
	s, err := newStream(w)
	if err != nil || r.Method == http.MethodHead {
		return err
	}
	news, end := subscribe(r.Context(), readers)
	defer end()
	ticks := time.NewTicker(beat)
	defer ticks.Stop()
	for {
		if err := s.tellEvents(readAll(readers), len(readers) == 1); err != nil {
			return err
		}
		select {
		case <-news:
		case <-ticks.C:
			if err := s.beat(); err != nil {
				return err
			}
		case <-r.Context().Done():
			return nil
		}
	}
}

func (s *stream) tellEvents(entries []Entry, numbered bool) error {
	var all []event
	for _, e := range entries {
		next := event{data: e}
		if numbered {
			next.id = strconv.FormatUint(e.Seq, 10)
		}
		all = append(all, next)
	}
	return s.tell(all...)
}

// reader reads one log from where it is.
type reader struct {
	Log

	after uint64
}

// open returns readers of what a request asks for.
func open(r *http.Request, logs []Log) ([]*reader, error) {
	if err := r.ParseForm(); err != nil {
		return nil, door.Refuse(http.StatusBadRequest, "reading the query: %v", err)
	}
	after, err := readAfter(r)
	if err != nil {
		return nil, err
	}
	if zone := r.Form.Get("zone"); zone != "" {
		if logs, err = pick(logs, zone); err != nil {
			return nil, err
		}
	}
	var readers []*reader
	for _, log := range logs {
		readers = append(readers, &reader{log, after})
	}
	return readers, nil
}

// readAfter returns the number of the last event that is known to whoever asks. A browser that connects again says it
// itself.
func readAfter(r *http.Request) (uint64, error) {
	text := r.Header.Get("Last-Event-Id")
	if text == "" {
		text = r.Form.Get("after")
	}
	if text == "" {
		return 0, nil
	}
	after, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, door.Refuse(http.StatusBadRequest, "reading after %q: want the number of an event", text)
	}
	return after, nil
}

func pick(logs []Log, zone string) ([]Log, error) {
	zone = strings.ToLower(strings.TrimSuffix(zone, "."))
	var names []string
	for _, log := range logs {
		if log.Zone == zone {
			return []Log{log}, nil
		}
		names = append(names, log.Zone)
	}
	return nil, door.Refuse(http.StatusNotFound, "there is no zone %q: want one of %s", zone, strings.Join(names, " "))
}

// readAll returns what is new, oldest first.
func readAll(readers []*reader) []Entry {
	var all []Entry
	for _, r := range readers {
		for _, e := range r.Timeline.Since(r.after) {
			all = append(all, Entry{r.Zone, e})
			r.after = e.Seq
		}
	}
	if len(readers) > 1 { // the numbers of one are in order already, by which who lost the connection goes on
		slices.SortStableFunc(all, func(a, b Entry) int { return a.At.Compare(b.At) })
	}
	return all
}

// subscribe returns a channel that holds a value whenever one of the logs has grown.
func subscribe(ctx context.Context, readers []*reader) (news <-chan struct{}, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	out := make(chan struct{}, 1)
	var ended sync.WaitGroup
	for _, r := range readers {
		ch, unsubscribe := r.Timeline.Subscribe()
		ended.Go(func() {
			defer unsubscribe()
			for {
				select {
				case <-ch:
				case <-ctx.Done():
					return
				}
				select {
				case out <- struct{}{}:
				default: // there is news already
				}
			}
		})
	}
	return out, func() {
		cancel()
		ended.Wait()
	}
}

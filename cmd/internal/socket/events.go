package socket

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"plexha/zones/timeline"
)

// silence bounds how long a stream may say nothing: a live one gives a sign every 15 s.
const silence = 45 * time.Second

// maxLine bounds a line of a stream, which holds one event.
const maxLine = 1 << 20

var (
	errSilence = fmt.Errorf("no sign of life for %v", silence)
	errEnded   = errors.New("the stream has ended")
)

// Event is one thing that has happened to a cluster.
type Event struct {
	Zone string `json:"zone"`

	timeline.Event
}

// Events returns what has happened, oldest first. An empty zone means all.
func (c Client) Events(ctx context.Context, zone string) ([]Event, error) {
	var answer struct {
		Version int
		Events  []Event
	}
	if err := c.ask(ctx, http.MethodGet, "/events.json", ofZone(zone), &answer); err != nil {
		return nil, err
	}
	return answer.Events, nil
}

// Follow does something with each event that there is and that comes, until ctx ends or the instance does. The
// error is never nil.
func (c Client) Follow(ctx context.Context, zone string, do func(Event) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(silence, func() { cancel(errSilence) })
	defer watchdog.Stop()
	res, err := c.send(ctx, http.MethodGet, "/events", ofZone(zone))
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // only read
	if res.StatusCode != http.StatusOK {
		return c.refusal(res)
	}
	err = stream(res.Body, func() { watchdog.Reset(silence) }, do)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("%s: %w", c.asking(), err)
}

// stream reads server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), whose data is one
// line of JSON each. The error is never nil.
func stream(r io.Reader, alive func(), do func(Event) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		alive()
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue
		}
		var e Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return fmt.Errorf("reading an event: %w", err)
		}
		if err := do(e); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errEnded
}

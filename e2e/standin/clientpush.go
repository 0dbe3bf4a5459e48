package standin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// notificationTimeout bounds how long an app waits for a notification that its timeline must cause at once.
const notificationTimeout = 10 * time.Second

// listener is an app's websocket or event stream.
type listener struct {
	node          string
	notifications chan notification // closed when nothing more comes
	close         func()            // returns when it has ended
}

// listen returns the action that opens it. Plex Web gives nothing but its token; the app on a television has an
// event stream.
func (c Client) listen() action {
	if c.Kind == TVApp {
		return action{"events", (*Playback).openEvents}
	}
	return action{"websocket", (*Playback).openWebsocket}
}

func (b *Playback) openWebsocket(ctx context.Context) {
	const path = "/:/websockets/notifications"
	s := Step{Name: b.doing, Method: http.MethodGet, Path: path}
	query := url.Values{"X-Plex-Token": {b.client.Token}}
	ws, answer, err := DialWebsocket(ctx, b.http, b.base+path+"?"+query.Encode(), nil)
	s.Status, s.Node, s.RetryAfter = answer.Status, answer.Header.Get("X-Backend"), answer.Header.Get("Retry-After")
	if err != nil {
		s.Err = err.Error()
	} else {
		b.listener = newListener(s.Node, ws.Read, func() { _ = ws.Close() }) // it is over in any case
	}
	b.steps = append(b.steps, s)
}

// openEvents opens an event stream, which outlives ctx as long as the playback does.
func (b *Playback) openEvents(ctx context.Context) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a := ask{path: "/:/eventsource/notifications", ids: idsHeader, query: url.Values{"filters": {"playing"}}}
	s := Step{Name: b.doing, Method: http.MethodGet, Path: a.path}
	resp, err := b.openStream(ctx, a)
	if resp != nil {
		s.Status, s.Node, s.RetryAfter = resp.StatusCode, resp.Header.Get("X-Backend"), resp.Header.Get("Retry-After")
	}
	if err != nil {
		s.Err = err.Error()
		cancel()
	} else {
		lines := bufio.NewScanner(resp.Body)
		b.listener = newListener(s.Node, func() ([]byte, error) { return nextEvent(lines) }, func() {
			cancel()
			_ = resp.Body.Close() // it is over in any case
		})
	}
	b.steps = append(b.steps, s)
}

// openStream returns an answer whose body is still to be read, if it is one of status 200.
func (b *Playback) openStream(ctx context.Context, a ask) (*http.Response, error) {
	req, err := b.request(ctx, http.MethodGet, a)
	if err != nil {
		return nil, err
	}
	resp, err := b.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return resp, fmt.Errorf("%s, want 200", resp.Status)
	}
	return resp, nil
}

// nextEvent returns the data of the next event.
func nextEvent(lines *bufio.Scanner) ([]byte, error) {
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			return []byte(data), nil
		}
	}
	if lines.Err() != nil {
		return nil, lines.Err()
	}
	return nil, io.EOF
}

// newListener reads notifications until there is an error, as there must be after hangUp.
func newListener(node string, read func() ([]byte, error), hangUp func()) *listener {
	l := &listener{node: node, notifications: make(chan notification, 256)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(l.notifications)
		for {
			b, err := read()
			if err != nil {
				return
			}
			var c notificationContainer
			if json.NewDecoder(bytes.NewReader(b)).Decode(&c) != nil {
				return
			}
			select {
			case l.notifications <- c.NotificationContainer:
			default: // nobody waits for any
			}
		}
	}()
	l.close = func() {
		hangUp()
		<-ended
	}
	return l
}

// awaitNotification waits until the server tells the app what the app has told in its timeline.
func (b *Playback) awaitNotification(ctx context.Context) {
	s := Step{Name: b.doing, Method: "LISTEN"}
	if err := b.heard(ctx); err != nil {
		s.Err = err.Error()
	}
	b.steps = append(b.steps, s)
}

func (b *Playback) heard(ctx context.Context) error {
	if b.listener == nil {
		return errors.New("there is no websocket or event stream")
	}
	if b.told == "" {
		return errors.New("no server has taken the timeline")
	}
	if b.told != b.listener.node {
		return fmt.Errorf("%s got the timeline, and %s is listened to", b.told, b.listener.node)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, notificationTimeout, errors.New("no word of the timeline"))
	defer cancel()
	for {
		select {
		case n, ok := <-b.listener.notifications:
			if !ok {
				return errors.New("the stream has ended")
			}
			if n.isAbout(b.client.ID, b.film.RatingKey) {
				return nil
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// isAbout tells whether it is about that client's playback of that film.
func (n notification) isAbout(client, ratingKey string) bool {
	for _, p := range n.Playing {
		if p.Client == client && p.RatingKey == ratingKey {
			return true
		}
	}
	return false
}

package standin_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"plexha/e2e/standin"
)

const notifications = "/:/websockets/notifications?X-Plex-Token=" + ownerToken

// dial opens a websocket.
func dial(t *testing.T, url string) *standin.Websocket {
	t.Helper()
	ws, answer, err := standin.DialWebsocket(t.Context(), newHTTP(t), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	if got := answer.Header.Get("X-Backend"); got != "plex1" {
		t.Errorf("X-Backend: got %q, want plex1", got)
	}
	return ws
}

func newTalkative(t *testing.T) (*standin.Plex, string) {
	t.Helper()
	plex := standin.NewPlexServer(standin.PlexOptions{Name: "plex1", Owner: ownerToken, PushEvery: time.Millisecond})
	return plex, startPlex(t, plex)
}

func TestWebsocketTellsOfTheTranscoder(t *testing.T) {
	for _, path := range []string{"websockets", "websocket"} {
		_, base := newTalkative(t)
		ws := dial(t, base+strings.Replace(notifications, "websockets", path, 1))
		text, err := ws.Read()
		if want := `{"NotificationContainer":{"type":"transcodeSession.update","size":0}}`; string(text) != want || err != nil {
			t.Errorf("%s: got %s, %v, want %s", path, text, err, want)
		}
	}
}

// readAll reads a websocket to its end in the background, as one that pings must.
func readAll(t *testing.T, ws *standin.Websocket) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if _, err := ws.Read(); err != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		_ = ws.Close()
		wg.Wait()
	})
}

func TestWebsocketAnswersPings(t *testing.T) {
	_, base := newTalkative(t)
	ws := dial(t, base+notifications)
	readAll(t, ws)
	for _, payload := range []string{"are you there", "still?", ""} {
		if err := ws.Ping(t.Context(), payload); err != nil {
			t.Errorf("%q: %v", payload, err)
		}
	}
}

// Lengths are written in three ways: RFC 6455 section 5.2.
func TestWebsocketTakesTextsOfAnyLength(t *testing.T) {
	_, base := newTalkative(t)
	ws := dial(t, base+notifications)
	readAll(t, ws)
	for _, n := range []int{0, 125, 126, 1<<16 - 1, 1 << 16, 1 << 19} {
		if err := ws.Write(make([]byte, n)); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		if err := ws.Ping(t.Context(), "understood?"); err != nil {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	_ = ws.Write(make([]byte, 1<<21)) // it may hang up before it has all
	if err := ws.Ping(t.Context(), "too long?"); err == nil {
		t.Error("2 MiB are taken")
	}
}

func TestWebsocketWantsAToken(t *testing.T) {
	_, base := newTalkative(t)
	_, answer, err := standin.DialWebsocket(t.Context(), newHTTP(t), base+"/:/websockets/notifications", nil)
	if err == nil || answer.Status != http.StatusUnauthorized {
		t.Errorf("got %d, %v, want 401", answer.Status, err)
	}
}

func TestCloseEndsWebsockets(t *testing.T) {
	plex, base := newTalkative(t)
	ws := dial(t, base+notifications)
	if _, err := ws.Read(); err != nil { // it is listening
		t.Fatal(err)
	}
	if got := plex.Listeners(); got != 1 {
		t.Errorf("listeners: got %d, want 1", got)
	}
	plex.Close()
	var err error
	for err == nil {
		_, err = ws.Read()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want a farewell", err)
	}
}

func TestEventStream(t *testing.T) {
	_, base := newTalkative(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/:/eventsource/notifications", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = owned()
	resp, err := newHTTP(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("type: got %q", got)
	}
	lines := bufio.NewScanner(resp.Body)
	for _, want := range []string{"event: notification", `data: {"NotificationContainer":{"type":"transcodeSession.update","size":0}}`, ""} {
		if !lines.Scan() || lines.Text() != want {
			t.Errorf("got %q, want %q", lines.Text(), want)
		}
	}
}

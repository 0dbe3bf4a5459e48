package standin_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
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

// tape is a connection from which only what is on it is read.
type tape struct{ io.Reader }

func (tape) Write(b []byte) (int, error) { return len(b), nil }

func (tape) Close() error { return nil }

// upgrader agrees to a websocket, and then sends what it holds.
type upgrader []byte

func (u upgrader) RoundTrip(req *http.Request) (*http.Response, error) {
	sum := sha1.Sum([]byte(req.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return &http.Response{
		Status: "101 Switching Protocols", StatusCode: http.StatusSwitchingProtocols, Request: req,
		Header: http.Header{"Sec-Websocket-Accept": {base64.StdEncoding.EncodeToString(sum[:])}},
		Body:   tape{bytes.NewReader(u)},
	}, nil
}

// The frames of RFC 6455 section 5.7.
func TestWebsocketReads(t *testing.T) {
	tests := []struct {
		name  string
		bytes string
		want  string
		err   error
	}{
		{"a text", "\x81\x05Hello", "Hello", nil},
		{"a masked one", "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "Hello", nil},
		{"one in two pieces", "\x01\x03Hel\x80\x02lo", "Hello", nil},
		{"with a ping between them", "\x01\x03Hel\x89\x01x\x80\x02lo", "Hello", nil},
		{"a length in two bytes", "\x81\x7e\x00\x05Hello", "Hello", nil},
		{"a length in eight bytes", "\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x05Hello", "Hello", nil},
		{"a farewell", "\x88\x02\x03\xe8", "", io.EOF},
		{"half a text", "\x81\x05Hel", "", io.ErrUnexpectedEOF},
		{"half a length", "\x81\x7e\x00", "", io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ws, _, err := standin.DialWebsocket(t.Context(), &http.Client{Transport: upgrader(tt.bytes)}, "http://plex1/", nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ws.Read(); string(got) != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v, want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func FuzzWebsocket(f *testing.F) {
	f.Add([]byte("\x81\x05Hello\x88\x02\x03\xe8"))
	f.Add([]byte("\x01\x03Hel\x89\x01x\x80\x82\x01\x02\x03\x04lo"))
	f.Add([]byte("\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xffHello"))
	f.Fuzz(func(t *testing.T, frames []byte) {
		ws, _, err := standin.DialWebsocket(t.Context(), &http.Client{Transport: upgrader(frames)}, "http://plex1/", nil)
		if err != nil {
			t.Fatal(err)
		}
		read := 0
		for err == nil {
			var text []byte
			text, err = ws.Read()
			read += len(text)
		}
		if read > len(frames) {
			t.Errorf("read %d bytes of text from %d", read, len(frames))
		}
	})
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

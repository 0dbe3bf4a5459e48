package socket_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"plexha/cmd/internal/socket"
)

// TestStream takes the events of a stream, and nothing else that stands in it.
func TestStream(t *testing.T) {
	for _, tc := range []struct{ name, stream, texts, err string }{
		{"nothing", "", "", "the stream has ended"},
		{"two events", "id: 1\ndata: {\"text\":\"one\"}\n\ndata: {\"text\":\"two\"}\n\n", "one two", "the stream has ended"},
		{"signs of life", ": here\n\n: here\n\ndata:{\"text\":\"one\"}\r\n\r\n", "one", "the stream has ended"},
		{"no JSON", "data: {\"text\":\"one\"}\n\ndata: oh\n", "one", "reading an event: invalid character 'o' looking for beginning of value"},
		{"a line without an end", "data: \"" + strings.Repeat("x", 2<<20), "", "bufio.Scanner: token too long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var texts []string
			alive := 0
			err := socket.Stream(strings.NewReader(tc.stream), func() { alive++ }, func(e socket.Event) error {
				texts = append(texts, e.Text)
				return nil
			})
			if got := strings.Join(texts, " "); got != tc.texts || err == nil || err.Error() != tc.err {
				t.Errorf("got %q, %v, want %q, %s", got, err, tc.texts, tc.err)
			}
			if lines := strings.Count(tc.stream, "\n"); alive != lines {
				t.Errorf("%d signs of life in %d lines", alive, lines)
			}
		})
	}
}

// FuzzStream: whatever an instance sends, it ends in an error, and each event is one that can be shown again.
func FuzzStream(f *testing.F) {
	f.Add("id: 1\ndata: {\"zone\":\"home.test\",\"seq\":1,\"at\":\"2026-11-22T20:00:00Z\",\"text\":\"one\"}\n\n")
	f.Add(": here\r\n\r\ndata: oh\n")
	f.Fuzz(func(t *testing.T, text string) {
		err := socket.Stream(strings.NewReader(text), func() {}, func(e socket.Event) error {
			_, err := json.Marshal(e)
			return err
		})
		if err == nil {
			t.Error("it ends without an error")
		}
	})
}

// TestFollow asks for the events of a zone until the caller has enough, or the instance has none.
func TestFollow(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.String() {
		case "GET /events?zone=home.test":
			_, _ = io.WriteString(w, "data: {\"text\":\"one\"}\n\ndata: {\"text\":\"two\"}\n\n")
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = fmt.Fprintf(w, `{"error": "no %s"}`, r.URL)
		}
	}))
	t.Cleanup(srv.Close)
	clients, err := socket.At(srv.URL + "/")
	if err != nil || len(clients) != 1 {
		t.Fatalf("got %v, %v", clients, err)
	}
	enough := errors.New("enough")
	var texts []string
	err = clients[0].Follow(t.Context(), "home.test", func(e socket.Event) error {
		if texts = append(texts, e.Text); len(texts) == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || strings.Join(texts, " ") != "one two" {
		t.Errorf("got %q, %v", texts, err)
	}
	err = clients[0].Follow(t.Context(), "other.test", nil)
	if refused, ok := errors.AsType[*socket.RefusedError](err); !ok || refused.Status != http.StatusNotFound ||
		err.Error() != srv.URL+" answers: no /events?zone=other.test" {
		t.Errorf("got %v", err)
	}
}

package standin_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"plexha/e2e/standin"
)

const identity = "0123456789abcdef0123456789abcdef01234567"

func get(t *testing.T, url, accept string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestPlex(t *testing.T) {
	tests := []struct {
		name   string
		mode   standin.Mode
		path   string
		accept string
		code   int
		body   string // a part of it
	}{
		{"identity is XML", standin.OK, "/identity", "", 200, `machineIdentifier="` + identity + `"`},
		{"or JSON", standin.OK, "/identity", "application/json", 200, `"machineIdentifier":"` + identity + `"`},
		{"the root asks for a token", standin.OK, "/", "", 401, ""},
		{"the web app is elsewhere", standin.OK, "/web", "", 301, "/web/index.html"},
		{"maintenance on every path", standin.Starting, "/identity", "", 503, `title="Maintenance"`},
		{"an error", standin.Error500, "/identity", "", 500, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plex := standin.NewPlex(identity)
			plex.SetMode(tt.mode)
			srv := httptest.NewServer(plex)
			defer srv.Close()
			resp, body := get(t, srv.URL+tt.path, tt.accept)
			if resp.StatusCode != tt.code || !strings.Contains(body, tt.body) {
				t.Errorf("got %d %q, want %d with %q", resp.StatusCode, body, tt.code, tt.body)
			}
			if got := resp.Header.Get("X-Plex-Protocol"); got != "1.0" {
				t.Errorf("X-Plex-Protocol: got %q, want 1.0", got)
			}
		})
	}
}

func TestPlexImpostor(t *testing.T) {
	plex := standin.NewPlex(identity)
	srv := httptest.NewServer(plex)
	defer srv.Close()
	other := strings.Repeat("f", 40)
	plex.SetIdentity(other)
	if _, body := get(t, srv.URL+"/identity", ""); !strings.Contains(body, other) {
		t.Errorf("got %q, want the other identity", body)
	}
}

func TestProxy(t *testing.T) {
	tests := []struct {
		mode standin.Mode
		path string
		code int
		body string
	}{
		{standin.OK, "/.plexha/ready", 200, "ready\n"},
		{standin.Starting, "/.plexha/ready", 503, "starting\n"},
		{standin.Error500, "/.plexha/ready", 500, ""},
		{standin.OK, "/identity", 421, "misdirected\n"},
	}
	for _, tt := range tests {
		t.Run(string(tt.mode)+tt.path, func(t *testing.T) {
			proxy := standin.NewProxy()
			proxy.SetMode(tt.mode)
			srv := httptest.NewServer(proxy)
			defer srv.Close()
			if resp, body := get(t, srv.URL+tt.path, ""); resp.StatusCode != tt.code || body != tt.body {
				t.Errorf("got %d %q, want %d %q", resp.StatusCode, body, tt.code, tt.body)
			}
		})
	}
}

func TestHang(t *testing.T) {
	plex := standin.NewPlex(identity)
	plex.SetMode(standin.Hang)
	srv := httptest.NewServer(plex)
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/identity", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := srv.Client().Do(req); err == nil {
		resp.Body.Close()
		t.Errorf("got %s, want no answer", resp.Status)
	}
	plex.SetMode(standin.OK)
	if resp, _ := get(t, srv.URL+"/identity", ""); resp.StatusCode != 200 {
		t.Errorf("after it was let go: got %s, want 200", resp.Status)
	}
}

func TestParseMode(t *testing.T) {
	for _, want := range []standin.Mode{standin.OK, standin.Starting, standin.Error500, standin.Hang} {
		if got, err := standin.ParseMode(string(want)); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if _, err := standin.ParseMode("sleepy"); err == nil {
		t.Error("got no error for a mode that there is not")
	}
}

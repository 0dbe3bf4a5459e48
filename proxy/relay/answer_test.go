package relay_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/proxy/relay"
)

func TestHeadersForOneConnectionStay(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack() // net/http would write a Connection of its own
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: keep-alive, x-between-us\r\nX-Between-Us: 1\r\n"+
			"Keep-Alive: timeout=20\r\nAlt-Svc: h3=\":32400\"\r\nX-Plex-Protocol: 1.0\r\nX-Twice: a\r\nX-Twice: b\r\n"+
			"Content-Length: 0\r\n\r\n")
	}})
	got := s.get("/")
	for _, name := range []string{"X-Between-Us", "Keep-Alive", "Alt-Svc", "Via", "Server"} {
		if v := got.Header.Values(name); v != nil {
			t.Errorf("%s came through: %q", name, v)
		}
	}
	if diff := cmp.Diff(got.Header.Values("X-Twice"), []string{"a", "b"}); diff != "" {
		t.Errorf("X-Twice (-got +want):\n%s", diff)
	}
	if got.Header.Get("X-Plex-Protocol") != "1.0" {
		t.Error("X-Plex-Protocol did not come through")
	}
}

func TestWhatANodeIsToldOfTheClient(t *testing.T) {
	var got http.Header
	var host string
	s := newStage(t, nil, handlers{"plex1": func(_ http.ResponseWriter, r *http.Request) { got, host = r.Header.Clone(), r.Host }})
	s.get("/", "X-Real-IP", "203.0.113.9", "X-Forwarded-For", "203.0.113.9", "Forwarded", "for=203.0.113.9", "X-Forwarded-Port", "1",
		"Accept-Encoding", "identity", "Connection", "X-Real-IP, X-Forwarded-For")
	want := map[string]string{
		"X-Real-Ip": "127.0.0.1", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http",
		"X-Forwarded-Host": "plex.home.example", "Forwarded": "", "X-Forwarded-Port": "", "Accept-Encoding": "identity",
	}
	for name, value := range want {
		if got.Get(name) != value {
			t.Errorf("%s: %q, want %q", name, got.Get(name), value)
		}
	}
	if host != "plex.home.example" {
		t.Errorf("Host %q, want what the client sent", host)
	}
}

func TestAnswersWithoutABody(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/304":
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(http.StatusNotModified)
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		default:
			w.Header().Set("Content-Length", "12345")
			if r.Method != http.MethodHead {
				_, _ = w.Write(make([]byte, 12345))
			}
		}
	}})
	if got := s.must(s.request(http.MethodHead, "/film", nil)); got.Status != 200 || got.Header.Get("Content-Length") != "12345" || got.Body != "" {
		t.Errorf("HEAD: got %v of length %s", got, got.Header.Get("Content-Length"))
	}
	if got := s.get("/304"); got.Status != 304 || got.Header.Get("Etag") != `"x"` {
		t.Errorf("304: got %v", got)
	}
	if got := s.get("/204"); got.Status != 204 {
		t.Errorf("204: got %v", got)
	}
}

func TestTrailersComeThrough(t *testing.T) {
	for name, announce := range map[string]bool{"announced": true, "not announced": false} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, nil, handlers{"plex1": func(w http.ResponseWriter, _ *http.Request) {
				key := http.TrailerPrefix + "X-Sum"
				if announce {
					w.Header().Set("Trailer", "X-Sum")
					key = "X-Sum"
				}
				_, _ = io.WriteString(w, "body")
				_ = http.NewResponseController(w).Flush()
				w.Header().Set(key, "42")
			}})
			res, err := s.client.Do(s.request(http.MethodGet, "/", nil))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if got := readAll(t, res.Body); got != "body" {
				t.Errorf("body %q", got)
			}
			if got := res.Trailer.Get("X-Sum"); got != "42" {
				t.Errorf("trailer %q, want 42", got)
			}
		})
	}
}

func TestInformationalAnswersComeThrough(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "body")
	}})
	var hints []int
	req := s.request(http.MethodGet, "/", nil)
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { hints = append(hints, code); return nil },
	}))
	if got := s.must(req); got.Body != "body" {
		t.Errorf("got %v", got)
	}
	if diff := cmp.Diff(hints, []int{http.StatusEarlyHints}); diff != "" {
		t.Errorf("informational answers (-got +want):\n%s", diff)
	}
}

func TestSwitchThatNobodyAskedForIsNoAnswer(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	}})
	if got := s.get("/library"); got.Status != http.StatusBadGateway {
		t.Errorf("got %s, want 502", got)
	}
}

func TestUploadWaitsForTheNodesWord(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, n)
	}})
	req := s.request(http.MethodPut, "/upload", bytes.NewReader(make([]byte, 1<<20)))
	req.Header.Set("Expect", "100-continue")
	if got := s.must(req); got.Body != "1048576" {
		t.Errorf("the node got %s bytes, want 1048576", got.Body)
	}
}

func TestAnswerThatBreaksOffIsNotTakenForWhole(t *testing.T) {
	for name, length := range map[string]string{"with a length": "100", "chunked": ""} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, nil, handlers{"plex1": func(w http.ResponseWriter, _ *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				_, _ = io.WriteString(w, "part")
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}})
			res, err := s.client.Do(s.request(http.MethodGet, "/", nil))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err == nil || string(body) != "part" {
				t.Errorf("got %q and error %v, want the part and an error", body, err)
			}
		})
	}
}

func TestBytesGoOutAsTheyCome(t *testing.T) {
	for name, length := range map[string]string{"with a length": "6", "chunked": ""} {
		t.Run(name, func(t *testing.T) {
			next := make(chan struct{})
			s := newStage(t, nil, handlers{"plex1": func(w http.ResponseWriter, _ *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				flush := http.NewResponseController(w).Flush
				_ = flush() // the headers alone
				for _, part := range []string{"on", "tw", "th"} {
					<-next
					_, _ = io.WriteString(w, part)
					_ = flush()
				}
			}})
			res, err := s.client.Do(s.request(http.MethodGet, "/", nil))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			for _, want := range []string{"on", "tw", "th"} {
				next <- struct{}{} // the node sends the next part only when the client has the last one
				got := make([]byte, 2)
				if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != want {
					t.Fatalf("got %q, %v, want %q", got, err, want)
				}
			}
		})
	}
}

func TestSmallAnswerLeavesInOneWrite(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write(make([]byte, 1000))
	}})
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: plex.home.example\r\n\r\n")
	got := make([]byte, 64<<10)
	n, err := conn.Read(got)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(got[:n])), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || len(body) != 1000 {
		t.Errorf("the first packet held %d bytes of the body, %v, want all 1000", len(body), err)
	}
}

func TestLargeAnswerArrivesWhole(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	s := newStage(t, nil, handlers{"plex1": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(want)))
		_, _ = w.Write(want)
	}})
	if got := s.get("/film"); got.Body != string(want) {
		t.Errorf("got %d bytes, or others, want %d", len(got.Body), len(want))
	}
	until(t, "all large buffers are given back", func() bool { return relay.LargeBuffers() == 0 })
}

func TestCookieTellsABrowserItsNode(t *testing.T) {
	page := func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".html") {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
		} else {
			w.Header().Set("Content-Type", "text/xml")
		}
		if strings.HasPrefix(r.URL.Path, "/broken/") {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}
	s := newStage(t, nil, handlers{"plex1": page, "plex2": page})
	for _, c := range []struct {
		name, target string
		headers      []string
		want         bool
	}{
		{"a page", "/web/index.html", nil, true},
		{"an answer to a client that says who it is", "/hubs", []string{"X-Plex-Client-Identifier", "tv"}, true},
		{"an answer to a token alone", "/photo/:/transcode?X-Plex-Token=t", nil, false},
		{"anything else", "/web/chunk.js", nil, false},
		{"a page that says that its node is broken", "/broken/index.html", nil, false},
		{"a node's own name, which has one node", "//plex1.home.example/web/index.html", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := s.get(c.target, c.headers...)
			want := ""
			if c.want {
				want = "plexha_node=" + got.Node + "; Path=/; HttpOnly; SameSite=Lax"
			}
			if diff := cmp.Diff(got.Header.Get("Set-Cookie"), want); diff != "" {
				t.Fatalf("cookie (-got +want):\n%s", diff)
			}
			again := s.get(c.target, append(c.headers, "Cookie", "a=b; plexha_node="+got.Node)...)
			if cookie := again.Header.Get("Set-Cookie"); cookie != "" {
				t.Errorf("the cookie was set again: %s", cookie)
			}
		})
	}
}

func TestPageFollowsTheCookie(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": says("one"), "plex2": says("two")})
	for _, name := range []string{"plex1", "plex2"} {
		for i := range 8 {
			if got := s.get("/web/"+strings.Repeat("x", i), "Cookie", "plexha_node="+name); got.Node != name {
				t.Fatalf("got %v with the cookie of %s", got, name)
			}
		}
	}
}

package e2e_test

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"plexha/e2e/internal/gate"
)

// ticker reads an endless answer of numbered lines.
type ticker struct {
	what  string
	close func() error
	last  atomic.Int64 // the number read last
	ended chan struct{}
	why   error // read after ended
}

// follow reads the lines of body in the background.
func follow(what string, body io.Reader, end func() error) *ticker {
	k := &ticker{what: what, close: end, ended: make(chan struct{})}
	k.last.Store(-1)
	go func() {
		defer close(k.ended)
		lines := bufio.NewScanner(body)
		for lines.Scan() {
			n, err := strconv.ParseInt(strings.TrimPrefix(lines.Text(), "data: "), 10, 64)
			if err != nil || n != k.last.Load()+1 {
				k.why = fmt.Errorf("after %d came %q", k.last.Load(), lines.Text())
				return
			}
			k.last.Store(n)
		}
		k.why = fmt.Errorf("the end came after %d: %w", k.last.Load(), lines.Err())
	}()
	return k
}

// alive reports whether another line comes soon.
func (k *ticker) alive() bool {
	const soon = 5 * time.Second
	before := k.last.Load()
	for began := time.Now(); time.Since(began) < soon; time.Sleep(10 * time.Millisecond) {
		select {
		case <-k.ended:
			return false
		default:
			if k.last.Load() > before {
				return true
			}
		}
	}
	return false
}

// stream asks for an endless answer of that type.
func (f *front) stream(tb testing.TB, mediaType, path string, edits ...edit) *ticker {
	tb.Helper()
	r := f.request(http.MethodGet, path, http.NoBody, append(edits, with(fault{Ticks: mediaType, Every: 50 * time.Millisecond}))...)
	res, err := f.client.Do(r)
	if err != nil {
		tb.Fatalf("%s: %v", mediaType, err)
	}
	if res.StatusCode != http.StatusOK {
		tb.Fatalf("%s: %s", mediaType, res.Status)
	}
	tb.Cleanup(func() { res.Body.Close() })
	return follow(mediaType, res.Body, res.Body.Close)
}

// websocket opens one whose node writes a line at that pace.
func (f *front) websocket(tb testing.TB, every time.Duration, edits ...edit) *ticker {
	tb.Helper()
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(tb.Context(), "tcp", f.addr.String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	r := f.request(http.MethodGet, "/:/websockets/notifications", nil, append(edits,
		with(fault{Ticks: "websocket", Every: every}), header("Connection", "Upgrade"), header("Upgrade", "websocket"),
		header("Sec-WebSocket-Version", "13"), header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="))...)
	if err := r.Write(conn); err != nil {
		tb.Fatal(err)
	}
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, r)
	if err != nil {
		tb.Fatalf("websocket: %v", err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		tb.Fatalf("websocket: %s", res.Status)
	}
	return follow("websocket", in, conn.Close)
}

// kept says which streams have lived.
type kept struct{ alive, dead []string }

func (k kept) String() string { return fmt.Sprintf("alive: %q, dead: %q", k.alive, k.dead) }

func (k *kept) look(tickers ...*ticker) {
	for _, s := range tickers {
		if s.alive() {
			k.alive = append(k.alive, s.what)
			continue
		}
		why := "it stands still"
		select {
		case <-s.ended:
			why = s.why.Error()
		default:
		}
		k.dead = append(k.dead, s.what+": "+why)
	}
}

// TestStreamsLiveThroughReloads opens a stream of each kind and reloads ten times.
func TestStreamsLiveThroughReloads(t *testing.T) {
	t.Parallel()
	got := compare(t, stageConfig{nodes: 3}, func(t *testing.T, s *stage) (k kept) {
		plain := s.front.stream(t, "video/x-matroska", s.front.pathOn("plex1"))
		events := s.front.stream(t, "text/event-stream", s.front.pathOn("plex2"))
		socket := s.front.websocket(t, 50*time.Millisecond)
		for i := range 10 {
			s.front.reload(t, 1+i)
			time.Sleep(100 * time.Millisecond)
		}
		k.look(plain, events, socket)
		return k
	}, writeUp, tuned, ours)
	if k := got[ours]; len(k.dead) > 0 {
		t.Errorf("plexproxy: %s", k)
	}
	if k := got[writeUp]; len(k.dead) == 0 {
		t.Errorf("the write-up's Caddy: %s: no longer the fault that it was", k)
	}
}

// TestHTTP2LivesThroughReloads: streams that share one connection, and new requests meanwhile.
func TestHTTP2LivesThroughReloads(t *testing.T) {
	t.Parallel()
	s := newStage(t, ours, stageConfig{tls: true})
	var streams []*ticker
	for i := range 5 {
		streams = append(streams, s.front.stream(t, "video/x-matroska", fmt.Sprintf("/library/parts/%d/0/film.mkv", i)))
	}
	for i := range 10 {
		s.front.reload(t, 1+i)
		a := s.front.get("/library/sections")
		if a.status != http.StatusOK || a.proto != "HTTP/2.0" {
			t.Errorf("after reload %d: %s by %s, want 200 by HTTP/2.0", 1+i, a, a.proto)
		}
	}
	var k kept
	k.look(streams...)
	if len(k.dead) > 0 {
		t.Error(k)
	}
}

// TestFirstBytesAtOnce: a film whose bytes trickle in begins when the first have come. The node holds the second half
// back until the client has some of the first, or for long enough.
func TestFirstBytesAtOnce(t *testing.T) {
	t.Parallel()
	got := compare(t, stageConfig{}, func(t *testing.T, s *stage) beginning {
		came := make(chan struct{})
		var early atomic.Bool
		half := fault{Length: 3000}.atMoment(t, atHalf, func() {
			select {
			case <-came:
				early.Store(true)
			case <-time.After(5 * time.Second):
			}
		})
		res, err := s.front.client.Do(s.front.request(http.MethodGet, "/library/parts/1/0/film.mkv", http.NoBody, with(half)))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.ReadFull(res.Body, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		close(came)
		rest, err := io.ReadAll(res.Body) // the node goes on when early has been set
		return beginning{early.Load(), 1 + len(rest), err}
	}, writeUp, tuned, ours)
	if b := got[ours]; !b.early || b.got != 3000 {
		t.Errorf("plexproxy: %s, want all, and the first before the rest", b)
	}
	if b := got[writeUp]; b.early {
		t.Errorf("the write-up's Caddy: %s: no longer the fault that it was", b)
	}
}

// beginning is how a film has begun.
type beginning struct {
	early bool // before the node had sent all
	got   int
	err   error
}

func (b beginning) String() string {
	return fmt.Sprintf("%d bytes (%v), the first before the rest was sent: %t", b.got, b.err, b.early)
}

// TestPausedClient stops reading in the middle of a film, as a player does that is paused.
func TestPausedClient(t *testing.T) {
	gate.Need(t, minutes)
	t.Parallel()
	got := compare(t, stageConfig{}, func(t *testing.T, s *stage) film {
		const size, pause = 64 << 20, 75 * time.Second // more than all the sockets' buffers hold
		r := s.front.request(http.MethodGet, "/library/parts/1/0/film.mkv", http.NoBody, with(fault{Length: size}))
		res, err := s.front.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		first := make([]byte, patternLength<<12)
		if _, err := io.ReadFull(res.Body, first); err != nil {
			t.Fatal(err)
		}
		time.Sleep(pause)
		rest, ours := readContent(res.Body)
		return film{got: rest + int64(len(first)), of: size, right: ours && bytes.Equal(first, content(len(first)))}
	}, tuned, ours)
	if f := got[ours]; f.got != f.of || !f.right {
		t.Errorf("plexproxy: %s", f)
	}
	if f := got[tuned]; f.got == f.of {
		t.Errorf("the tuned Caddy: %s: no longer the fault that it was", f)
	}
}

type film struct {
	got, of int64
	right   bool
}

func (f film) String() string { return fmt.Sprintf("%d of %d bytes, right: %t", f.got, f.of, f.right) }

// TestIdleWebsocket says nothing for 80 s, longer than any usual timeout.
func TestIdleWebsocket(t *testing.T) {
	gate.Need(t, minutes)
	t.Parallel()
	got := compare(t, stageConfig{}, func(t *testing.T, s *stage) (k kept) {
		const idle = 80 * time.Second
		socket := s.front.websocket(t, idle)
		time.Sleep(idle - 2*time.Second)
		k.look(socket)
		return k
	}, tuned, ours)
	if k := got[ours]; len(k.dead) > 0 {
		t.Errorf("plexproxy: %s", k)
	}
}

// TestRanges: players seek.
func TestRanges(t *testing.T) {
	t.Parallel()
	s := newStage(t, ours, stageConfig{})
	const size = 100_000
	tests := []struct {
		name   string
		edits  []edit
		method string
		status int
		want   []byte
	}{
		{name: "from the middle", edits: []edit{header("Range", "bytes=1000-1999")}, status: 206, want: content(size)[1000:2000]},
		{name: "the last bytes", edits: []edit{header("Range", "bytes=-71")}, status: 206, want: content(size)[size-71:]},
		{name: "beyond the end", edits: []edit{header("Range", "bytes=100000-")}, status: 416},
		{
			name: "of the same film", edits: []edit{header("Range", "bytes=0-70"), header("If-Range", `"film"`)},
			status: 206, want: content(71),
		},
		{name: "of another film", edits: []edit{header("Range", "bytes=0-70"), header("If-Range", `"other"`)}, status: 200, want: content(size)},
		{name: "only the headers", method: http.MethodHead, status: 200, want: []byte{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			method := cmp.Or(tt.method, http.MethodGet)
			a := s.front.do(method, "/library/parts/1/0/film.mkv", http.NoBody, append(tt.edits, with(fault{Length: size}))...)
			if a.status != tt.status || !a.whole {
				t.Fatalf("%s, want %d", a, tt.status)
			}
			if tt.want != nil && !bytes.Equal(a.body, tt.want) {
				t.Errorf("%d bytes, want %d, or others", len(a.body), len(tt.want))
			}
			if tt.method == http.MethodHead && a.header.Get("Content-Length") != strconv.Itoa(size) {
				t.Errorf("Content-Length %q, want %d", a.header.Get("Content-Length"), size)
			}
		})
	}
	t.Run("several", func(t *testing.T) {
		a := s.front.get("/library/parts/1/0/film.mkv", header("Range", "bytes=0-70,1000-1070"), with(fault{Length: size}))
		if a.status != http.StatusPartialContent {
			t.Fatalf("%s, want 206", a)
		}
		_, params, err := mime.ParseMediaType(a.header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		parts := multipart.NewReader(bytes.NewReader(a.body), params["boundary"])
		for _, want := range [][]byte{content(size)[:71], content(size)[1000:1071]} {
			part, err := parts.NextPart()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(part); err != nil || !bytes.Equal(got, want) {
				t.Errorf("a part of %d bytes (%v), want %d", len(got), err, len(want))
			}
		}
	})
}

// upload is what a large upload has cost.
type upload struct {
	status  int
	arrived int64
	right   bool
	took    time.Duration
	memory  int64 // bytes that the proxy's high-water mark has risen by
}

func (u upload) String() string {
	return fmt.Sprintf("%d: %d bytes, right: %t, in %s, memory +%.1f MB", u.status, u.arrived, u.right,
		u.took.Round(time.Millisecond), float64(u.memory)/1e6)
}

// TestLargeUpload: a proxy passes it on as it comes.
func TestLargeUpload(t *testing.T) {
	t.Parallel()
	const size = 256 << 20
	for _, chunked := range []bool{false, true} {
		t.Run(fmt.Sprintf("chunked=%t", chunked), func(t *testing.T) {
			t.Parallel()
			got := compare(t, stageConfig{}, func(t *testing.T, s *stage) upload {
				before := highWater(t, s.front.proc)
				r := s.front.request(http.MethodPut, "/upload", io.LimitReader(&endless{}, size))
				if !chunked {
					r.ContentLength = size
				}
				a := s.front.send(s.front.client, r)
				if a.status != http.StatusOK {
					t.Fatalf("%s: %s", s.maker, a)
				}
				j := a.seen(t)
				return upload{a.status, j.Body, j.BodyIsOurs, a.took, highWater(t, s.front.proc) - before}
			}, tuned, ours)
			if u := got[ours]; u.arrived != size || !u.right || u.memory > 32<<20 {
				t.Errorf("plexproxy: %s, want %d bytes and 32 MB of memory at most", u, size)
			}
		})
	}
}

// endless is a body of [content] without an end.
type endless struct{ at int }

// Read implements [io.Reader].
func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, pattern[e.at:])
	e.at = (e.at + n) % patternLength
	return n, nil
}

// highWater returns the most memory that a process has had, in bytes.
func highWater(tb testing.TB, p *process) int64 {
	tb.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err != nil {
				tb.Fatal(err)
			}
			return kb << 10
		}
	}
	tb.Fatal("/proc tells no high-water mark")
	return 0
}

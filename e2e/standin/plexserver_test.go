package standin_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plexha/e2e/standin"
)

// want is what a request is answered with.
type want struct {
	code   int
	header http.Header // a part of it
	body   string      // a part of it
}

// send makes a request and returns the answer, read to its end.
func send(t *testing.T, method, target string, header http.Header, body io.Reader) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	resp, err := newHTTP(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func check(t *testing.T, resp *http.Response, body string, w want) {
	t.Helper()
	if resp.StatusCode != w.code || !strings.Contains(body, w.body) {
		t.Errorf("got %s %.300q, want %d with %q", resp.Status, body, w.code, w.body)
	}
	for k, v := range w.header {
		if diff := cmp.Diff(v, resp.Header.Values(k)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", k, diff)
		}
	}
}

// owned is the owner's token, as apps put it in headers.
func owned() http.Header { return http.Header{"X-Plex-Token": {ownerToken}} }

const part = "/library/parts/1001/1700000000/file.mkv" // of plex1

func TestPlexAnswers(t *testing.T) {
	with := func(kv ...string) http.Header {
		h := owned()
		for p := range slices.Chunk(kv, 2) {
			h.Set(p[0], p[1])
		}
		return h
	}
	tests := []struct {
		name   string
		method string
		path   string
		header http.Header
		want   want
	}{
		{"it says its name to who may know", "GET", "/", owned(), want{200, nil, `machineIdentifier="1111`}},
		{"and hangs up on others", "GET", "/", nil, want{401, http.Header{"Cache-Control": {"no-cache"}}, "Unauthorized"}},
		{"a token in the query will do", "GET", "/?X-Plex-Token=" + guestToken, nil, want{200, nil, `friendlyName="plex1"`}},
		{"JSON to who wants it", "GET", "/", with("Accept", "application/json"), want{200, nil, `"friendlyName":"plex1"`}},
		{"the library is for users", "GET", "/library/sections", nil, want{401, nil, ""}},
		{"a foreign token is none", "GET", "/library/sections?X-Plex-Token=x", nil, want{401, nil, ""}},
		{"sections are numbered from its base", "GET", "/library/sections", owned(), want{200, nil, `<Directory key="1"`}},
		{"another server's section", "GET", "/library/sections/8/all", owned(), want{404, nil, ""}},
		{"an item", "GET", "/library/metadata/8", owned(), want{200, nil, `title="Film 007"`}},
		{"no such item", "GET", "/library/metadata/21", owned(), want{404, nil, ""}},
		{"the owner asks who watches, at one of his devices", "GET", "/status/sessions?X-Plex-Token=" + deviceToken, nil, want{200, nil, ""}},
		{"a guest asks who watches", "GET", "/status/sessions?X-Plex-Token=" + guestToken, nil, want{403, nil, ""}},
		{"segments ask for no token", "GET", "/video/:/transcode/universal/session/s/0/header", nil, want{404, nil, ""}},
		{"nor do older ones", "GET", "/video/:/transcode/universal/dash/s/0/initial.mp4", nil, want{404, nil, ""}},
		{"a start without decision", "GET", "/video/:/transcode/universal/start.mpd?session=s", owned(), want{400, nil, ""}},
		{"a file without decision", "GET", part, owned(), want{503, nil, "no decision"}},
		{"a stamp of another server", "GET", "/library/parts/1001/1700007000/file.mkv", owned(), want{404, nil, ""}},
		{
			"a queue for another server", "POST", "/playQueues?uri=server://2/com.plexapp.plugins.library/library/metadata/1", owned(),
			want{404, nil, ""},
		},
		{"a download that is not ready", "GET", "/downloadQueue/1/item/1/media", owned(), want{503, http.Header{"Retry-After": {"1"}}, ""}},
		{"the choice of a stream", "PUT", "/library/parts/1001?audioStreamID=3", owned(), want{200, nil, ""}},
		{"of no file", "PUT", "/library/parts/8001?audioStreamID=3", owned(), want{404, nil, ""}},
		{"a picture out of a file", "GET", "/library/parts/1001/indexes/sd/5000", owned(), want{200, nil, "\xff\xd8"}},
		{"of no file either", "GET", "/library/parts/8001/indexes/sd/5000", owned(), want{404, nil, ""}},
		{"Plex Web", "GET", "/web/index.html", nil, want{200, http.Header{"Content-Type": {"text/html"}}, "/web/js/chunk-0-"}},
		{"its page in a browser", "GET", "/web/index.html", nil, want{200, nil, "<h1>plex1</h1>"}},
		{"a browser without a token", "GET", "/", http.Header{"Accept": {"text/html,*/*"}}, want{200, nil, "<h1>plex1</h1>"}},
		{"a file of another Plex Web", "GET", "/web/js/chunk-0-0000000000.js", nil, want{404, nil, ""}},
		{"a timeline without a state", "GET", "/:/timeline?ratingKey=1&time=1", owned(), want{400, nil, ""}},
		{"a timeline of no item", "GET", "/:/timeline?ratingKey=99&time=1&state=playing", owned(), want{404, nil, ""}},
		{"watched", "GET", "/:/scrobble?key=1", owned(), want{200, nil, ""}},
		{"not watched", "PUT", "/:/unscrobble?key=1", owned(), want{200, nil, ""}},
		{"rated", "PUT", "/:/rate?key=1&rating=8", owned(), want{200, nil, ""}},
		{"no websocket without a handshake", "GET", "/:/websockets/notifications", owned(), want{400, nil, "handshake"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plex1, _ := newPlexes(t)
			resp, body := send(t, tt.method, startPlex(t, plex1)+tt.path, tt.header, http.NoBody)
			check(t, resp, body, tt.want)
			for k, v := range map[string]string{"X-Plex-Protocol": "1.0", "X-Backend": "plex1"} {
				if got := resp.Header.Get(k); got != v {
					t.Errorf("%s: got %q, want %q", k, got, v)
				}
			}
		})
	}
}

// One number is two films at two servers, and one film has two numbers.
func TestNumbersMeanSomethingAtOneServer(t *testing.T) {
	plex1, plex2 := newPlexes(t)
	_, at1 := send(t, "GET", startPlex(t, plex1)+"/library/metadata/8", owned(), http.NoBody)
	_, at2 := send(t, "GET", startPlex(t, plex2)+"/library/metadata/8", owned(), http.NoBody)
	if !strings.Contains(at1, "Film 007") || !strings.Contains(at2, "Film 000") {
		t.Errorf("item 8: got %s and %s, want films 7 and 0", at1, at2)
	}
}

func TestOpenAdministration(t *testing.T) {
	plex := standin.NewPlexServer(standin.PlexOptions{Identity: identity, Open: true})
	resp, body := send(t, "GET", startPlex(t, plex)+"/library/sections", nil, http.NoBody)
	check(t, resp, body, want{200, nil, "Films"})
}

func TestUnclaimed(t *testing.T) {
	plex := standin.NewPlexServer(standin.PlexOptions{Identity: identity, Unclaimed: true})
	base := startPlex(t, plex)
	resp, body := send(t, "GET", base+"/identity", nil, http.NoBody)
	check(t, resp, body, want{200, nil, `claimed="0"`})
	resp, body = send(t, "GET", base+"/identity", http.Header{"Accept": {"application/json"}}, http.NoBody)
	check(t, resp, body, want{200, nil, `"claimed":false`})
}

func TestFilesInPieces(t *testing.T) {
	plex := standin.NewPlexServer(standin.PlexOptions{Identity: identity, Owner: ownerToken, FilmSize: 1000})
	base := startPlex(t, plex)
	whole, all := send(t, "GET", base+part, owned(), http.NoBody)
	check(t, whole, all, want{200, http.Header{"Content-Length": {"1000"}, "Accept-Ranges": {"bytes"}}, ""})
	tests := []struct {
		name    string
		rng     string
		ifRange string
		code    int
		body    string
	}{
		{"from the start", "bytes=0-9", "", 206, all[:10]},
		{"the end", "bytes=-10", "", 206, all[990:]},
		{"to the end", "bytes=500-", "", 206, all[500:]},
		{"of the same file", "bytes=500-", whole.Header.Get("Etag"), 206, all[500:]},
		{"of a file that is another one now", "bytes=500-", `"other"`, 200, all},
		{"beyond the end", "bytes=1000-", "", 416, "invalid range: failed to overlap\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := owned()
			h.Set("Range", tt.rng)
			if tt.ifRange != "" {
				h.Set("If-Range", tt.ifRange)
			}
			resp, body := send(t, "GET", base+part, h, http.NoBody)
			if resp.StatusCode != tt.code || body != tt.body {
				t.Errorf("got %d and %d bytes, want %d and %d", resp.StatusCode, len(body), tt.code, len(tt.body))
			}
		})
	}
}

// A decision is the client's who asked for it, and a session is one server's.
func TestWhatOnlyItKnows(t *testing.T) {
	plex1, _ := newPlexes(t)
	base := startPlex(t, plex1)
	const universal = "/video/:/transcode/universal/"
	ids := "&session=s&X-Plex-Client-Identifier=c&X-Plex-Session-Identifier=p&X-Plex-Token=" + ownerToken
	steps := []struct {
		name   string
		method string
		path   string
		want   want
	}{
		{"a decision", "GET", universal + "decision?path=/library/metadata/1&protocol=dash" + ids, want{200, nil, `generalDecisionCode="1001"`}},
		{"no segment before the start", "GET", universal + "session/s/0/0.m4s", want{404, nil, ""}},
		{"the file is free now", "HEAD", part + "?" + ids, want{200, nil, ""}},
		{"not for another client", "HEAD", part + "?X-Plex-Client-Identifier=d&X-Plex-Token=" + ownerToken, want{503, nil, ""}},
		{"the start", "GET", universal + "start.mpd?" + ids, want{200, nil, `media="session/s/$RepresentationID$/$Number$.m4s"`}},
		{"a segment", "GET", universal + "session/s/0/0.m4s", want{200, http.Header{"Content-Length": {"16384"}}, ""}},
		{"an older player's", "GET", universal + "dash/s/0/0.m4s", want{200, nil, ""}},
		{"the transcoder works", "GET", "/transcode/sessions?" + ids, want{200, nil, `<TranscodeSession key="s" protocol="dash"`}},
		{"nobody is watching yet", "GET", "/status/sessions?" + ids, want{200, nil, `size="0"`}},
		{"a timeline", "POST", "/:/timeline?ratingKey=1&time=1000&state=playing" + ids, want{200, nil, ""}},
		{"somebody is", "GET", "/status/sessions?" + ids, want{200, nil, `<Player machineIdentifier="c" state="playing">`}},
		{"it is remembered", "GET", "/hubs/sections/1/continueWatching/items?" + ids, want{200, nil, `viewOffset="1000"`}},
		{"alive", "GET", universal + "ping?" + ids, want{200, nil, ""}},
		{"no life without a session", "GET", universal + "ping?session=x&X-Plex-Token=" + ownerToken, want{404, nil, ""}},
		{"a stop", "GET", "/:/timeline?ratingKey=1&time=2000&state=stopped" + ids, want{200, nil, ""}},
		{"no segment after it", "GET", universal + "session/s/0/1.m4s", want{404, nil, ""}},
		{"the item goes", "DELETE", "/library/metadata/1?" + ids, want{200, nil, ""}},
		{"it is gone", "GET", "/library/metadata/1?" + ids, want{404, nil, ""}},
		{"a guest deletes nothing", "DELETE", "/library/metadata/2?X-Plex-Token=" + guestToken, want{403, nil, ""}},
	}
	for _, s := range steps {
		resp, body := send(t, s.method, base+s.path, nil, http.NoBody)
		t.Run(s.name, func(t *testing.T) { check(t, resp, body, s.want) })
	}
}

func TestFaults(t *testing.T) {
	tests := []struct {
		name  string
		fault standin.Fault
		path  string
		want  want
	}{
		{"a status for some paths", standin.Fault{Prefix: "/web/", Status: 500}, "/web/index.html", want{500, nil, ""}},
		{"not for others", standin.Fault{Prefix: "/hubs/", Status: 500}, "/web/index.html", want{200, nil, ""}},
		{"the bandwidth of a file", standin.Fault{Prefix: "/library/parts/", Status: 509}, part, want{509, nil, ""}},
		{"late", standin.Fault{Delay: time.Millisecond}, "/identity", want{200, nil, identity}},
		{"slow, and whole", standin.Fault{Rate: 10_000_000}, "/web/index.html", want{200, nil, "<!DOCTYPE html>"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plex := standin.NewPlexServer(standin.PlexOptions{Identity: identity, Faults: []standin.Fault{tt.fault}})
			resp, body := send(t, "GET", startPlex(t, plex)+tt.path, nil, http.NoBody)
			check(t, resp, body, tt.want)
		})
	}
}

func TestFaultHappensAFewTimes(t *testing.T) {
	plex := standin.NewPlex(identity)
	plex.SetFaults(standin.Fault{Status: 500, Times: 2}, standin.Fault{Status: 502, Times: 1})
	base := startPlex(t, plex)
	var got []int
	for range 4 {
		resp, _ := send(t, "GET", base+"/identity", nil, http.NoBody)
		got = append(got, resp.StatusCode)
	}
	if diff := cmp.Diff([]int{500, 500, 502, 200}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFaultCutsABody(t *testing.T) {
	plex := standin.NewPlexServer(standin.PlexOptions{Owner: ownerToken, Faults: []standin.Fault{{Prefix: "/library/parts/", Cut: 50_000}}})
	req, err := http.NewRequestWithContext(t.Context(), "GET", startPlex(t, plex)+part, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = owned()
	resp, err := newHTTP(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); n != 50_000 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %d bytes, %v, want 50000 and an unexpected end", n, err)
	}
}

// What it does not answer, it lets go when the client is gone or it is closed.
func TestFaultHangs(t *testing.T) {
	for name, gone := range map[string]func(*standin.Plex, context.CancelFunc){
		"until the client is gone": func(_ *standin.Plex, cancel context.CancelFunc) { cancel() },
		"until it is closed":       func(p *standin.Plex, _ context.CancelFunc) { p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			plex := standin.NewPlex(identity)
			plex.SetFaults(standin.Fault{Hang: true})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "GET", startPlex(t, plex)+"/identity", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(20*time.Millisecond, func() { gone(plex, cancel) })
			if resp, err := newHTTP(t).Do(req); err == nil {
				resp.Body.Close()
				t.Errorf("got %s, want no answer", resp.Status)
			}
		})
	}
}

func TestJournal(t *testing.T) {
	plex1, _ := newPlexes(t)
	base := startPlex(t, plex1)
	send(t, "GET", base+"/library/sections?X-Plex-Client-Identifier=c", owned(), http.NoBody)
	send(t, "GET", base+"/video/:/transcode/universal/session/s1/0/header", nil, http.NoBody)
	send(t, "GET", base+"/:/timeline?X-Plex-Session-Identifier=p&session=s2", nil, http.NoBody)
	send(t, "DELETE", base+"/library/metadata/1?transcodeSessionId=s3", owned(), http.NoBody)
	req, err := http.NewRequestWithContext(t.Context(), "POST", base+"/library/metadata/2/posters", io.LimitReader(zeros{}, 3<<20))
	if err != nil {
		t.Fatal(err)
	}
	req.Header, req.Trailer = owned(), http.Header{"X-Sum": {"7"}}
	resp, err := newHTTP(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()

	sections := standin.Request{Method: "GET", Path: "/library/sections", Query: "X-Plex-Client-Identifier=c", Status: 200, Client: "c"}
	sections.Token = ownerToken
	wanted := []standin.Request{
		sections,
		{Method: "GET", Path: "/video/:/transcode/universal/session/s1/0/header", Session: "s1", Status: 404},
		{Method: "GET", Path: "/:/timeline", Query: "X-Plex-Session-Identifier=p&session=s2", Playback: "p", Session: "s2", Status: 401},
		{Method: "DELETE", Path: "/library/metadata/1", Query: "transcodeSessionId=s3", Session: "s3", Token: ownerToken, Status: 200},
		{
			Method: "POST", Path: "/library/metadata/2/posters", Token: ownerToken, Status: 200,
			Body: 3 << 20, Trailer: http.Header{"X-Sum": {"7"}},
		},
	}
	got := plex1.Journal()
	if diff := cmp.Diff(wanted, got, cmpopts.IgnoreFields(standin.Request{}, "At", "Proto", "Host", "Header")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var writes []bool
	for _, r := range got {
		writes = append(writes, r.Writes())
	}
	if diff := cmp.Diff([]bool{false, false, true, true, true}, writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if plex1.Forget(); len(plex1.Journal()) != 0 {
		t.Error("it forgets nothing")
	}
}

// zeros reads as zeros for ever.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// A body that it will not take need not be sent.
func TestExpectContinue(t *testing.T) {
	plex1, _ := newPlexes(t)
	base := startPlex(t, plex1)
	tests := []struct {
		name  string
		token string
		code  int
		sent  bool
	}{
		{"wanted", ownerToken, 200, true},
		{"not from a stranger", "x", 401, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := &zerosOnce{Reader: io.LimitReader(zeros{}, 1000)}
			h := http.Header{"X-Plex-Token": {tt.token}, "Expect": {"100-continue"}}
			req, err := http.NewRequestWithContext(t.Context(), "POST", base+"/library/metadata/1/posters", asked)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = h
			transport := &http.Transport{ExpectContinueTimeout: time.Minute}
			defer transport.CloseIdleConnections()
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != tt.code || asked.read != tt.sent {
				t.Errorf("got %s, body sent: %t, want %d, %t", resp.Status, asked.read, tt.code, tt.sent)
			}
		})
	}
}

// zerosOnce notes that it was read.
type zerosOnce struct {
	io.Reader

	read bool
}

func (z *zerosOnce) Read(b []byte) (int, error) { z.read = true; return z.Reader.Read(b) }

func TestServeHTTPSOnly(t *testing.T) {
	plex := standin.NewPlexServer(standin.PlexOptions{Identity: identity, HTTPS: true})
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- plex.Serve(ctx, l) }()

	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	hc := &http.Client{Transport: transport}
	resp, err := hc.Get("https://" + l.Addr().String() + "/identity")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp, err := hc.Get("http://" + l.Addr().String() + "/identity"); err == nil || !errors.Is(err, io.EOF) {
		t.Errorf("plain HTTP: got %v, %v, want it to hang up", resp, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestParsePlexOptions(t *testing.T) {
	o := standin.PlexOptions{Name: "plex1", Guests: []string{"g"}, IDBase: 7, Faults: []standin.Fault{{Prefix: "/x", Delay: time.Second}}}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	got, err := standin.ParsePlexOptions(string(text))
	if diff := cmp.Diff(o, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := standin.ParsePlexOptions(`{"Names": "plex1"}`); err == nil || !strings.Contains(err.Error(), "Names") {
		t.Errorf("got %v, want it to name the unknown field", err)
	}
}

// TestRemote steers a stand-in in a process of its own.
func TestRemote(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), envPlex+`={"Name": "plex1", "Identity": "`+identity+`", "Control": true}`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { // it ends with its input
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ready := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if !ready {
		t.Fatalf("got %q, %v, want where it listens", line, err)
	}
	base := "http://" + addr
	steer(t, standin.Remote{Base: base, HTTP: newHTTP(t)}, base)
}

// steer tries all that a remote can do.
func steer(t *testing.T, remote standin.Remote, base string) {
	t.Helper()
	identityIs := func(w want) {
		t.Helper()
		resp, body := send(t, "GET", base+"/identity", nil, http.NoBody)
		check(t, resp, body, w)
	}
	ctx := t.Context()
	identityIs(want{200, nil, identity})
	for _, s := range []struct {
		name string
		do   func() error
		want want
	}{
		{"mode", func() error { return remote.SetMode(ctx, standin.Starting) }, want{503, nil, "Maintenance"}},
		{"mode back", func() error { return remote.SetMode(ctx, standin.OK) }, want{200, nil, identity}},
		{"identity", func() error { return remote.SetIdentity(ctx, "other") }, want{200, nil, `machineIdentifier="other"`}},
		{"faults", func() error { return remote.SetFaults(ctx, standin.Fault{Prefix: "/identity", Status: 500}) }, want{500, nil, ""}},
	} {
		if err := s.do(); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		identityIs(s.want)
	}
	requests, err := remote.Journal(ctx)
	if err != nil || len(requests) != 5 || requests[0].Path != "/identity" || requests[4].Status != 500 {
		t.Errorf("journal: got %+v, %v, want 5 requests", requests, err)
	}
	if n, err := remote.Listeners(ctx); n != 0 || err != nil {
		t.Errorf("listeners: got %d, %v, want none", n, err)
	}
	if err := remote.Forget(ctx); err != nil {
		t.Error(err)
	}
	if requests, err := remote.Journal(ctx); len(requests) != 0 || err != nil {
		t.Errorf("journal: got %+v, %v, want it empty", requests, err)
	}
	if err := remote.SetMode(ctx, "sleepy"); err == nil || !strings.Contains(err.Error(), "sleepy") {
		t.Errorf("got %v, want an unknown mode", err)
	}
}

// Without Control, what a remote asks for is a path like any other.
func TestNoRemote(t *testing.T) {
	plex := standin.NewPlex(identity)
	if err := (standin.Remote{Base: startPlex(t, plex), HTTP: newHTTP(t)}).SetMode(t.Context(), standin.Hang); err == nil {
		t.Error("it obeys")
	}
}

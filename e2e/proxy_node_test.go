package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plexha/e2e/standin"
)

// The headers between a client and a faulty node, through whatever proxy is between them.
const (
	headerFault = "X-Fault" // of requests: a fault as JSON
	headerNode  = "X-Node"  // of answers: which node gave it
)

// fault is what a client asks a node to do with this very request, so that no fault of one test is seen by
// another. The zero value answers at once with what the node has seen of the request.
type fault struct {
	Only    string        // the one node that obeys; empty: each
	Unread  bool          // the request's body is not read before the answer
	Before  time.Duration // from the request to the answer's first header
	Status  int           // 200 if zero
	Length  int           // of the answer's body, which [content] makes; its Content-Length unless Chunked
	Chunked bool          //
	Pieces  int           // the body goes out in so many pieces ...
	Every   time.Duration // ... at this pace
	Ticks   string        // an endless answer of numbered lines of this type, at the pace Every; "websocket": after 101
	At      moment        // when Tell is told
	Tell    string        // HOST:PORT that is dialed at that moment; the node goes on when that hangs up
}

// moment is one in the life of a request.
type moment string

const (
	atHeaders moment = "headers" // the request's headers were read
	atBody    moment = "body"    // its body was read
	atHalf    moment = "half"    // half the answer's body is out
)

// seen is what a node has seen of a request.
type seen struct {
	Node       string
	Method     string
	URI        string
	Host       string
	Header     http.Header
	Body       int64 // bytes
	BodyIsOurs bool  // they were those of [content]
}

// faultyNode is a Plex server that does to a request of these tests' own what that asks for. Others' requests it
// serves as a Plex server does.
type faultyNode struct {
	name string
	plex *standin.Plex

	badEvery atomic.Int64 // every so many-th probe fails; 0: none
	probes   atomic.Int64

	mu      sync.Mutex
	journal []seen
}

func newFaultyNode(name, identity string) *faultyNode {
	number, _ := strconv.Atoi(identity[:1])
	return &faultyNode{name: name, plex: standin.NewPlexServer(standin.PlexOptions{
		Name: name, Identity: identity, Owner: secret, IDBase: number * 10_000, Control: true,
	})}
}

// userAgent is what these tests' own requests say.
const userAgent = "plexha-test"

// ServeHTTP implements [http.Handler].
func (n *faultyNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(headerNode, n.name)
	switch r.URL.Path {
	case "/-faulty/bad-probes":
		every, _ := strconv.ParseInt(r.FormValue("every"), 10, 64)
		n.badEvery.Store(every)
		return
	case "/-faulty/journal":
		n.mu.Lock()
		defer n.mu.Unlock()
		_ = json.NewEncoder(w).Encode(n.journal)
		return
	case "/identity":
		if every := n.badEvery.Load(); every > 0 && n.probes.Add(1)%every == 0 {
			http.Error(w, "Internal Server Error", http.StatusInternalServerError)
			return
		}
	}
	if r.UserAgent() == userAgent {
		n.serve(w, r)
	} else {
		n.plex.ServeHTTP(w, r)
	}
}

func (n *faultyNode) serve(w http.ResponseWriter, r *http.Request) {
	var f fault
	if err := json.Unmarshal([]byte(r.Header.Get(headerFault)), &f); err != nil || f.Only != "" && f.Only != n.name {
		f = fault{}
	}
	if f.At == atHeaders {
		f.tell()
	}
	s := n.note(r, f)
	if f.At == atBody {
		f.tell()
	}
	select {
	case <-time.After(f.Before):
	case <-r.Context().Done():
		return
	}
	switch {
	case f.Ticks == "websocket":
		n.tickHijacked(w, f)
	case f.Ticks != "":
		w.Header().Set("Content-Type", f.Ticks)
		f.tick(w, http.NewResponseController(w).Flush, r.Context().Done())
	case f.Length > 0:
		f.answer(w, r)
	case r.URL.Path == "/" && f.Status == 0:
		n.answerRoot(w)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(f.status())
		_ = json.NewEncoder(w).Encode(s)
	}
}

// note reads the request's body and keeps what it has seen.
func (n *faultyNode) note(r *http.Request, f fault) seen {
	s := seen{Node: n.name, Method: r.Method, URI: r.RequestURI, Host: r.Host, Header: r.Header}
	n.mu.Lock()
	at := len(n.journal)
	n.journal = append(n.journal, s)
	n.mu.Unlock()
	if !f.Unread {
		s.Body, s.BodyIsOurs = readContent(r.Body)
	}
	n.mu.Lock()
	n.journal[at] = s
	n.mu.Unlock()
	return s
}

// answerRoot says who it is, as a Plex server does to whom it knows.
func (n *faultyNode) answerRoot(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/xml;charset=utf-8")
	fmt.Fprintf(w, `<MediaContainer machineIdentifier=%q friendlyName=%q></MediaContainer>`, n.plex.Identity(), n.name)
}

func (f fault) status() int { return max(f.Status, http.StatusOK) }

// atMoment makes it call do when the request is at that moment in the node. The node waits until that is done.
func (f fault) atMoment(tb testing.TB, m moment, do func()) fault {
	tb.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		do()
	}()
	f.At, f.Tell = m, l.Addr().String()
	return f
}

// tell dials the test that waits for this moment, and waits until it hangs up.
func (f fault) tell() {
	conn, err := net.DialTimeout("tcp", f.Tell, 10*time.Second)
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.Copy(io.Discard, conn)
}

// answer sends the body that was asked for, at the pace that was asked for. At once, it is as a file: with
// ranges.
func (f fault) answer(w http.ResponseWriter, r *http.Request) {
	body := content(f.Length)
	if f.Pieces == 0 && !f.Chunked && f.Status == 0 && f.At != atHalf {
		w.Header().Set("Etag", `"film"`)
		http.ServeContent(w, r, "film.mkv", time.Time{}, bytes.NewReader(body))
		return
	}
	if !f.Chunked {
		w.Header().Set("Content-Length", strconv.Itoa(f.Length))
	}
	w.WriteHeader(f.status())
	pieces := max(f.Pieces, 2)
	for i := range pieces {
		if i == pieces/2 && f.At == atHalf {
			f.tell()
		}
		_, _ = w.Write(body[i*f.Length/pieces : (i+1)*f.Length/pieces])
		_ = http.NewResponseController(w).Flush()
		select {
		case <-time.After(f.Every):
		case <-r.Context().Done():
			return
		}
	}
}

// tick writes numbered lines until the client leaves.
func (f fault) tick(w io.Writer, flush func() error, gone <-chan struct{}) {
	for i := 0; ; i++ {
		if _, err := fmt.Fprintf(w, "data: %d\n", i); err != nil || flush() != nil {
			return
		}
		select {
		case <-time.After(f.Every):
		case <-gone:
			return
		}
	}
}

// tickHijacked takes the connection over, as for a websocket, and writes numbered lines to it. What proxies do
// to the bytes after a 101 does not depend on what they mean.
func (n *faultyNode) tickHijacked(w http.ResponseWriter, f fault) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%s: %s\r\n\r\n",
		headerNode, n.name)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, buf)
	}()
	f.tick(conn, func() error { return nil }, gone)
}

// pattern is what the bodies of these tests are made of. A prime length shows a misplaced piece.
var pattern = bytes.Repeat([]byte("plexha: 0123456789 ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxy"), 900)

const patternLength = 71

// content returns the first n bytes that every body of these tests has.
func content(n int) []byte {
	return bytes.Repeat(pattern, 1+n/len(pattern))[:n]
}

// readContent reads all, and tells whether it is what [content] makes.
func readContent(r io.Reader) (n int64, ours bool) {
	buf := make([]byte, len(pattern)-patternLength)
	ours = true
	for {
		got, err := r.Read(buf)
		at := int(n % patternLength)
		ours = ours && bytes.Equal(buf[:got], pattern[at:at+got])
		n += int64(got)
		if err != nil {
			return n, ours
		}
	}
}

// startFaultyNode starts the faulty node plexN, at an address of its own.
func startFaultyNode(tb testing.TB, n int) *standIn {
	tb.Helper()
	addr := netip.AddrFrom4([4]byte{127, 0, byte(n), 1})
	s := &standIn{
		tb: tb, kind: fmt.Sprintf("faulty plex%d %s", n, strings.Repeat(strconv.Itoa(n), 40)),
		addr: netip.AddrPortFrom(addr, freePort(tb, addr)),
	}
	s.start()
	return s
}

// journalOf asks a node what it has seen.
func journalOf(tb testing.TB, s *standIn) []seen {
	tb.Helper()
	var journal []seen
	if err := json.Unmarshal(askNode(tb, s, "/-faulty/journal"), &journal); err != nil {
		tb.Fatal(err)
	}
	return journal
}

// failProbes makes every so many-th probe of a node fail.
func failProbes(tb testing.TB, s *standIn, every int) {
	tb.Helper()
	askNode(tb, s, "/-faulty/bad-probes?every="+strconv.Itoa(every))
}

// askNode asks a node past all proxies.
func askNode(tb testing.TB, s *standIn, path string) []byte {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, "http://"+s.addr.String()+path, http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("User-Agent", userAgent)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

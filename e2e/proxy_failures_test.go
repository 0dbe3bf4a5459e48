package e2e_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// tally counts answers by what came of them.
type tally struct {
	whole, failed int
	slowest       time.Duration
	example       string // of a failure
}

func (c *tally) add(a answer) {
	c.slowest = max(c.slowest, a.took)
	if a.status/100 == 2 && a.whole {
		c.whole++
		return
	}
	c.failed++
	c.example = a.String()
}

// join adds what another one has counted.
func (c *tally) join(other tally) {
	c.whole += other.whole
	c.failed += other.failed
	c.slowest = max(c.slowest, other.slowest)
	c.example = cmp.Or(c.example, other.example)
}

// String implements [fmt.Stringer].
func (c tally) String() string {
	s := fmt.Sprintf("%d of %d whole, the slowest after %s", c.whole, c.whole+c.failed, c.slowest.Round(time.Millisecond))
	if c.failed > 0 {
		s += "; " + c.example
	}
	return s
}

// each asks n times at once, and counts the answers.
func each(n int, ask func(i int) answer) (c tally) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			a := ask(i)
			mu.Lock()
			defer mu.Unlock()
			c.add(a)
		})
	}
	wg.Wait()
	return c
}

// TestTwentyStreams: the write-up lets one request at a time through to each node.
func TestTwentyStreams(t *testing.T) {
	t.Parallel()
	got := compare(t, stageConfig{}, func(t *testing.T, s *stage) tally {
		film := with(fault{Length: 200_000, Pieces: 100, Every: 100 * time.Millisecond})
		return each(20, func(i int) answer {
			return s.front.get(fmt.Sprintf("/library/parts/%d/0/film.mkv", i), film)
		})
	}, writeUp, tuned, ours)
	if c := got[ours]; c.whole != 20 {
		t.Errorf("plexproxy: %s", c)
	}
	if c := got[writeUp]; c.whole > 4 {
		t.Errorf("the write-up's Caddy: %s: no longer the fault that it was", c)
	}
}

// diversion is what an error did to others' requests.
type diversion struct {
	diverted, of int
	lost         tally
}

func (d diversion) String() string {
	return fmt.Sprintf("%d of %d diverted; %s", d.diverted, d.of, d.lost)
}

// TestOneErrorDivertsNobody: a server error is the answer to one request, and no sign that the node is ill.
func TestOneErrorDivertsNobody(t *testing.T) {
	t.Parallel()
	tests := map[string]edit{
		"500":               with(fault{Status: http.StatusInternalServerError}),
		"6 s until headers": with(fault{Before: 6 * time.Second}), // a transcode may take that long to begin
	}
	for name, bad := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := compare(t, stageConfig{}, func(t *testing.T, s *stage) diversion {
				path := s.front.pathOn("plex1")
				s.front.get(path, bad)
				d := diversion{of: 20}
				for range d.of {
					a := s.front.get(path)
					d.lost.add(a)
					if a.node() != "plex1" {
						d.diverted++
					}
				}
				return d
			}, writeUp, ours)
			if d := got[ours]; d.diverted > 0 || d.lost.failed > 0 {
				t.Errorf("plexproxy: %s", d)
			}
			if d := got[writeUp]; d.diverted != d.of {
				t.Errorf("the write-up's Caddy: %s: no longer the fault that it was", d)
			}
		})
	}
}

// TestErrorsOfAllNodesAreNoOutage: anybody who can make a request fail could end the service for all.
func TestErrorsOfAllNodesAreNoOutage(t *testing.T) {
	t.Parallel()
	got := compare(t, stageConfig{}, func(t *testing.T, s *stage) tally {
		bad := with(fault{Status: http.StatusInternalServerError})
		paths := []string{s.front.pathOn("plex1"), s.front.pathOn("plex2")}
		for _, path := range paths {
			s.front.get(path, bad)
		}
		return each(10, func(i int) answer { return s.front.get(paths[i%2]) })
	}, writeUp, tuned, ours)
	if c := got[ours]; c.failed > 0 {
		t.Errorf("plexproxy: %s", c)
	}
	if c := got[writeUp]; c.failed == 0 {
		t.Errorf("the write-up's Caddy: %s: no longer the fault that it was", c)
	}
}

// TestDeadNode: what a dead node would have got goes elsewhere, whatever its method, since nothing of it has
// reached that node. A write on a connection that was kept to it may have, and so the writes come after a read.
func TestDeadNode(t *testing.T) {
	t.Parallel()
	tests := map[string]func(f *front, path string) tally{
		"GET": func(f *front, path string) tally {
			return each(20, func(int) answer { return f.get(path) })
		},
		"POST": func(f *front, path string) tally {
			c := each(1, func(int) answer { return f.get(path) })
			c.join(each(20, func(int) answer { return f.post(path, 1000) }))
			return c
		},
	}
	for method, ask := range tests {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			got := compare(t, stageConfig{}, func(t *testing.T, s *stage) tally {
				path := s.front.pathOn("plex1")
				s.nodes[0].kill()
				return ask(s.front, path)
			}, writeUp, tuned, ours)
			if c := got[ours]; c.failed > 0 || c.slowest > 3*time.Second { // one that waits for the node does so for 5 s
				t.Errorf("plexproxy: %s, want all within 3s", c)
			}
		})
	}
}

// TestNodeKilledInMidAnswer: no proxy can hide it, but the client must not take a half for the whole.
func TestNodeKilledInMidAnswer(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fault{
		"with Content-Length": {Only: "plex1", Length: 200_000},
		"chunked":             {Only: "plex1", Length: 200_000, Chunked: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := compare(t, stageConfig{}, func(t *testing.T, s *stage) answer {
				path := s.front.pathOn("plex1")
				return s.front.get(path, with(f.atMoment(t, atHalf, s.nodes[0].kill)))
			}, tuned, ours)
			if a := got[ours]; a.status != http.StatusOK || a.whole || len(a.body) < 50_000 {
				t.Errorf("plexproxy: %s, want it cut after what the node had sent", a)
			}
		})
	}
}

// TestNodeKilledBeforeItAnswers: a read is asked of another node, a write never is once a node may have it.
func TestNodeKilledBeforeItAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		method string
		size   int
		f      fault
		at     moment
		saved  bool
	}{
		{"GET", http.MethodGet, 0, fault{Only: "plex1"}, atHeaders, true},
		{"POST 64 KB before its body", http.MethodPost, 64 << 10, fault{Only: "plex1", Unread: true}, atHeaders, false},
		{"POST 64 KB after its body", http.MethodPost, 64 << 10, fault{Only: "plex1"}, atBody, false},
		{"POST 4 MB before its body", http.MethodPost, 4 << 20, fault{Only: "plex1", Unread: true}, atHeaders, false},
		{"POST 4 MB after its body", http.MethodPost, 4 << 20, fault{Only: "plex1"}, atBody, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := compare(t, stageConfig{}, func(t *testing.T, s *stage) answer {
				path := s.front.pathOn("plex1")
				f := tt.f.atMoment(t, tt.at, s.nodes[0].kill)
				a := s.front.do(tt.method, path, bytes.NewReader(content(tt.size)), with(f))
				for _, j := range journalOf(t, s.nodes[1]) {
					if j.Method == http.MethodPost {
						t.Errorf("%s: plex2 got the POST as well", s.maker)
					}
				}
				return a
			}, writeUp, ours)
			switch a := got[ours]; {
			case tt.saved && (a.status != http.StatusOK || a.node() != "plex2"):
				t.Errorf("plexproxy: %s, want 200 from plex2", a)
			case !tt.saved && (a.status < 502 || a.status > 504 || a.header.Get("Retry-After") == ""):
				t.Errorf("plexproxy: %s, want 502 to 504 with Retry-After", a)
			}
		})
	}
}

// abandoned is what became of uploads that nobody read to their end.
type abandoned struct{ failed, answeredTwice int }

func (a abandoned) String() string {
	return fmt.Sprintf("%d uploads cut short, %d of them answered twice", a.failed, a.answeredTwice)
}

// TestBodyIsNeverTakenForARequest ends a node during uploads. Nobody reads the rest of their bodies, which must
// not be taken for the connection's next requests: past all that a proxy decides by, they may say anything.
func TestBodyIsNeverTakenForARequest(t *testing.T) {
	t.Parallel()
	got := compare(t, stageConfig{}, func(t *testing.T, s *stage) (sum abandoned) {
		path := s.front.pathOn("plex1")
		f := with(fault{Only: "plex1", Unread: true}.atMoment(t, atHeaders, s.nodes[0].kill))
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				failed, twice := s.front.abandon(t, path, f)
				mu.Lock()
				defer mu.Unlock()
				if failed {
					sum.failed++
				}
				if twice {
					sum.answeredTwice++
				}
			})
		}
		wg.Wait()
		return sum
	}, tuned, ours)
	if a := got[ours]; a.failed == 0 || a.answeredTwice > 0 {
		t.Errorf("plexproxy: %s, want some cut short and none answered twice", a)
	}
}

// abandon sends an upload, and tells whether it has failed and whether there was a second answer.
func (f *front) abandon(t *testing.T, path string, edits ...edit) (failed, twice bool) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", f.addr.String(), 10*time.Second)
	if err != nil {
		t.Error(err)
		return false, false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	r := f.request(http.MethodPost, path, bytes.NewReader(content(4<<20)), edits...)
	var sending sync.WaitGroup
	sending.Go(func() { _ = r.Write(conn) }) // whether it could be sent is not asked
	defer sending.Wait()
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, r)
	if err != nil {
		return true, false
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	rest, _ := io.ReadAll(in) // until it hangs up, or the second is over
	return res.StatusCode != http.StatusOK, len(rest) > 0
}

// TestRestartedNode: connections that were kept to a node are dead when that comes back. A POST that finds one
// is not lost, since nothing of it reached the node.
func TestRestartedNode(t *testing.T) {
	t.Parallel()
	got := compare(t, stageConfig{}, func(t *testing.T, s *stage) tally {
		const n = 5
		path := s.front.pathOn("plex1")
		warm := each(n, func(int) answer { return s.front.post(path, 1000, with(fault{Before: 200 * time.Millisecond})) })
		if warm.failed > 0 {
			t.Fatalf("before the restart: %s", warm)
		}
		s.nodes[0].kill()
		s.nodes[0].start()
		eventually(t, 20*time.Second, func() error {
			if a := s.front.get(path); a.node() != "plex1" {
				return fmt.Errorf("after the restart: %s", a)
			}
			return nil
		})
		return each(n, func(int) answer { return s.front.post(path, 1000) })
	}, writeUp, ours)
	if c := got[ours]; c.failed > 0 {
		t.Errorf("plexproxy: %s", c)
	}
}

// TestFlapsEvictNobody: probes that fail one at a time, with good ones between, say nothing.
func TestFlapsEvictNobody(t *testing.T) {
	t.Parallel()
	// None of the probes between fails because a busy machine is slow.
	got := compare(t, stageConfig{lines: []string{"timeout 10s"}}, func(t *testing.T, s *stage) diversion {
		path := s.front.pathOn("plex1")
		failProbes(t, s.nodes[0], 3)
		d := diversion{of: 120}
		for range d.of {
			a := s.front.get(path)
			d.lost.add(a)
			if a.node() != "plex1" {
				d.diverted++
			}
			time.Sleep(100 * time.Millisecond)
		}
		return d
	}, tuned, ours)
	if d := got[ours]; d.diverted > 0 || d.lost.failed > 0 {
		t.Errorf("plexproxy: %s", d)
	}
	if d := got[tuned]; d.diverted == 0 {
		t.Errorf("the tuned Caddy: %s: no longer the fault that it was", d)
	}
}

// frozen is what became of a frozen node's requests.
type frozen struct {
	reads tally  // bound to no node
	bound answer // a segment
	root  answer // the next GET / of the client that it belongs to
	again tally  // that client's next playback
}

func (f frozen) String() string {
	return fmt.Sprintf("unbound: %s | segment: %s | then GET /: %s | new playback: %s", f.reads, f.bound, f.root, f.again)
}

// TestFrozenNode stops a node in the way that shows least: its kernel goes on accepting connections. It runs
// alone, since the time is bounded: a probe begins at worst 2 s after the freeze and is given up 1 s later, and
// the one that confirms it began 250 ms after it.
func TestFrozenNode(t *testing.T) {
	const bound = 3500 * time.Millisecond
	makers := []maker{writeUp, tuned, ours}
	var got map[maker]frozen
	var f frozen
	rounds := 0
	inTime(t, func() error {
		rounds++
		var results map[maker]frozen
		// By a name of its own: that of a second subtest "on" has a # in it, and so have its folders, at which a line of
		// a Corefile ends.
		t.Run(fmt.Sprint("round ", rounds), func(t *testing.T) { results = compare(t, stageConfig{}, askFrozen, makers...) })
		if results == nil {
			t.FailNow()
		}
		if got == nil {
			got, makers = results, []maker{ours}
		}
		if f = results[ours]; f.reads.slowest > bound || f.root.took > 3*time.Second {
			return fmt.Errorf("plexproxy: %s, want what is unbound within %s, and GET / within 3s", f, bound)
		}
		return nil
	})
	if f.reads.failed > 0 {
		t.Errorf("plexproxy: unbound: %s, want all", f.reads)
	}
	if f.bound.status != http.StatusServiceUnavailable || f.bound.header.Get("Retry-After") == "" {
		t.Errorf("plexproxy: a segment: %s, want 503 with Retry-After", f.bound)
	}
	if f.root.node() != "plex2" || !bytes.Contains(f.root.body, []byte(strings.Repeat("2", 40))) {
		t.Errorf("plexproxy: GET /: %s, want plex2's identity", f.root)
	}
	if f.again.failed > 0 {
		t.Errorf("plexproxy: a new playback: %s", f.again)
	}
	if f := got[writeUp]; f.reads.failed == 0 && f.bound.status != 0 { // which of them hangs is chance
		t.Errorf("the write-up's Caddy: %s: no longer the fault that it was", f)
	}
}

func askFrozen(t *testing.T, s *stage) (f frozen) {
	path, client, patience := s.front.pathOn("plex1"), "any", 6*time.Second // stock Caddy's client would wait for ever
	if s.maker == ours {
		client, patience = s.front.clientOn("plex1"), time.Minute
		if first := s.play(client, "session-1"); first.failed > 0 {
			t.Fatalf("before the freeze: %s", first)
		}
	}
	var wg sync.WaitGroup
	arrived := make(chan struct{})
	waiting := fault{Only: "plex1", Before: time.Minute}.atMoment(t, atHeaders, func() { close(arrived) })
	var early answer
	wg.Go(func() { early = s.front.get(path, with(waiting), within(patience)) })
	<-arrived
	s.freeze(0)
	wg.Go(func() { f.reads = each(9, func(int) answer { return s.front.get(path, within(patience)) }) })
	f.bound = s.front.get("/video/:/transcode/universal/session/session-1/0/9.m4s", within(patience))
	f.root = s.front.get("/", by(client), within(patience))
	f.again = s.play(client, "session-2")
	wg.Wait()
	f.reads.add(early)
	return f
}

// inTime measures, and again, up to twice, if a time is beyond its bound while the machine is late itself. The error
// of the last measurement fails the test.
func inTime(t *testing.T, measure func() error) {
	t.Helper()
	for again := 2; ; again-- {
		late := lateness(t)
		err := measure()
		most := late()
		if err == nil {
			return
		}
		if again == 0 || most < 100*time.Millisecond {
			t.Error(err)
			return
		}
		t.Logf("the machine is overloaded (a timer was %s late), once more: %v", most, err)
	}
}

// lateness watches how late the machine lets timers fire, and returns a function that ends it and tells the worst.
func lateness(tb testing.TB) func() time.Duration {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	var worst time.Duration
	var wg sync.WaitGroup
	wg.Go(func() {
		const nap = 10 * time.Millisecond
		for ctx.Err() == nil {
			began := time.Now()
			time.Sleep(nap)
			worst = max(worst, time.Since(began)-nap)
		}
	})
	return func() time.Duration {
		cancel()
		wg.Wait()
		return worst
	}
}

// freeze stops a node, and returns when it stands still: a signal takes its time.
func (s *stage) freeze(node int) {
	s.tb.Helper()
	s.nodes[node].freeze()
	stat := fmt.Sprintf("/proc/%d/stat", s.nodes[node].proc.cmd.Process.Pid)
	eventually(s.tb, 5*time.Second, func() error {
		if b, err := os.ReadFile(stat); err != nil || !bytes.Contains(b, []byte(") T ")) {
			return fmt.Errorf("not stopped: %s (%w)", b, err)
		}
		return nil
	})
}

// play plays a film as a browser does, and counts the steps; one that another node answers than the decision's
// has failed.
func (s *stage) play(client, session string) (c tally) {
	s.tb.Helper()
	const patience = 5 * time.Second
	universal := "/video/:/transcode/universal/"
	query := "?session=" + session + "&X-Plex-Session-Identifier=" + session
	decision := s.front.get(universal+"decision"+query, by(client), within(patience))
	c.add(decision)
	step := func(a answer) {
		if a.node() != decision.node() {
			a.status, a.err = 0, errors.New("it is not the decision's node")
		}
		c.add(a)
	}
	step(s.front.get(universal+"start.mpd"+query, by(client), within(patience)))
	for i := range 4 {
		step(s.front.get(fmt.Sprintf("%ssession/%s/0/%d.m4s", universal, session, i), within(patience)))
	}
	step(s.front.get("/:/timeline?state=playing&time=1000&X-Plex-Session-Identifier="+session, by(client), within(patience)))
	return c
}

// TestTranscodeStaysWhole: the write-up's policy spreads the segments of a film over the nodes, of which one
// alone has them.
func TestTranscodeStaysWhole(t *testing.T) {
	t.Parallel()
	got := compare(t, stageConfig{}, func(t *testing.T, s *stage) (c tally) {
		for i := range 20 {
			one := s.play(fmt.Sprintf("browser-%d", i), fmt.Sprintf("session-%d", i))
			if one.failed > 0 {
				c.failed++
				c.example = one.example
			} else {
				c.whole++
			}
			c.slowest = max(c.slowest, one.slowest)
		}
		return c
	}, writeUp, ours)
	if c := got[ours]; c.failed > 0 {
		t.Errorf("plexproxy: %s", c)
	}
	if c := got[writeUp]; c.whole > 4 {
		t.Errorf("the write-up's Caddy: %s: no longer the fault that it was", c)
	}
}

// losses is what a node's end under load has cost.
type losses struct {
	asked, hidden, cut int
	lost               []string // no byte of the answer had come
	slowest            time.Duration
}

func (l losses) String() string {
	s := fmt.Sprintf("%d asked, %d answered, the slowest after %s, %d cut in mid-answer, %d lost",
		l.asked, l.hidden, l.slowest.Round(time.Millisecond), l.cut, len(l.lost))
	if len(l.lost) > 0 {
		s += "; " + l.lost[0]
	}
	return s
}

// TestNodeKilledUnderLoad asks 200 times a second for 10 s, kills a node after 3 s and starts it again after 6.
func TestNodeKilledUnderLoad(t *testing.T) {
	got := compare(t, stageConfig{}, func(t *testing.T, s *stage) (l losses) {
		const pace, length = 5 * time.Millisecond, 10 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), length)
		defer cancel()
		var mu sync.Mutex
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(length * 3 / 10)
			s.nodes[0].kill()
			time.Sleep(length * 3 / 10)
			s.nodes[0].start()
		})
		every(ctx, pace, func(i int) {
			l.asked++
			wg.Go(func() {
				a := s.front.get(fmt.Sprintf("/library/metadata/%d", i), with(fault{Length: 20_000, Pieces: 4, Every: 10 * time.Millisecond}))
				mu.Lock()
				defer mu.Unlock()
				l.slowest = max(l.slowest, a.took)
				switch {
				case a.status == http.StatusOK && a.whole:
					l.hidden++
				case a.status == http.StatusOK && len(a.body) > 0:
					l.cut++
				default:
					l.lost = append(l.lost, a.String())
				}
			})
		})
		wg.Wait()
		return l
	}, writeUp, tuned, ours)
	if l := got[ours]; len(l.lost) > 0 {
		t.Errorf("plexproxy: %s: %q", l, l.lost)
	}
}

package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"plexha/e2e/standin"
)

// cinema is a house with both programs before it, in which somebody watches a film.
type cinema struct {
	*pages

	house  *house
	client standin.Client
	film   *standin.Playback
	node   string    // which plays it
	sure   time.Time // from when on plexproxy has seen all that plays
}

// firstLook is how long a plexproxy that has just begun may not have heard of a playback: its app gives a sign by then.
const firstLook = 30 * time.Second

// newCinema begins a film, and returns in the middle of it.
func newCinema(t *testing.T, kind standin.Kind, until string) *cinema {
	t.Helper()
	h := newHouse(t, 2)
	c := &cinema{pages: newPages(t, h.standIns()), house: h, client: h.viewer(kind, 0)}
	c.sure = time.Now().Add(firstLook)
	c.film = c.client.Begin(c.proxy.front.device(), c.proxy.front.url())
	t.Cleanup(c.film.Close)
	if err := c.film.Until(patient(t), until); err != nil {
		t.Fatal(err)
	}
	on := c.film.Report().Nodes()
	if len(on) != 1 {
		t.Fatalf("the film is on %q, want one node", on)
	}
	c.node = on[0]
	return c
}

// plexctl runs a command of the person's with the Corefile of plexproxy.
func (c *cinema) plexctl(args ...string) *process {
	c.tb.Helper()
	args = append(args, "-conf", c.proxy.file())
	return startProcess(c.tb, "", exec.CommandContext(context.Background(), programs.path(c.tb, "plexctl"), args...))
}

// does waits for the end of a command, which must have that exit code.
func (c *cinema) does(p *process, code int) {
	c.tb.Helper()
	if got := exitCode(p.wait(c.tb, firstLook+10*time.Second)); got != code {
		c.tb.Errorf("%s: exit code %d, want %d:\n%s", strings.Join(p.cmd.Args[1:], " "), got, code, p.output)
	}
}

// waitsFor waits until a command has said the words, and fails the test if it has ended without them.
func (c *cinema) waitsFor(p *process, words string) {
	c.tb.Helper()
	eventually(c.tb, 20*time.Second, func() error {
		ended := false
		select {
		case <-p.done:
			ended = true
		default:
		}
		switch {
		case p.output.count(words) > 0:
			return nil
		case ended:
			c.tb.Fatalf("%s has ended: %v\n%s", strings.Join(p.cmd.Args[1:], " "), p.err, p.output)
		}
		return fmt.Errorf("it does not say %q:\n%s", words, p.output)
	})
}

// bothHave waits until both programs have that order for a node; empty: none.
func (c *cinema) bothHave(node, order string) {
	c.tb.Helper()
	for _, program := range programsShown {
		eventually(c.tb, 20*time.Second, func() error { return c.ordered(program, node, order) })
	}
}

// newcomers returns the nodes on which new clients are: those of the house from one number up to another, none of
// which has come before.
func (c *cinema) newcomers(from, to int) (nodes []string) {
	c.tb.Helper()
	for i := from; i < to; i++ {
		a := c.get("/", c.house.viewer(standin.StrictApp, i))
		if a.status != http.StatusOK {
			c.tb.Errorf("a new client: %s", a)
		}
		nodes = append(nodes, a.header.Get("X-Backend"))
	}
	return nodes
}

// get asks as a client's app does.
func (c *cinema) get(path string, client standin.Client) answer {
	return c.proxy.front.get(path, header("X-Plex-Client-Identifier", client.ID), header("X-Plex-Token", client.Token))
}

// say has the film's app say how it is.
func (c *cinema) say(state string) {
	c.tb.Helper()
	var film string // its path on this node
	for _, s := range c.film.Report().Steps {
		if s.Name == "metadata" {
			film = s.Path
		}
	}
	query := url.Values{"ratingKey": {path.Base(film)}, "key": {film}, "state": {state}, "time": {"9000"}, "duration": {"20000"}}
	a := c.get("/:/timeline?"+query.Encode(), c.client)
	if a.status != http.StatusOK || a.header.Get("X-Backend") != c.node {
		c.tb.Fatalf("timeline with state %s: %s, want 200 from %s", state, a, c.node)
	}
}

// TestDrainWaitsForAPlayback: a drain lets a film come to its end, sends new clients elsewhere, and returns when the
// film has stopped.
func TestDrainWaitsForAPlayback(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind standin.Kind
		half string // the step in the middle
	}{
		{standin.DirectPlay, "second half"},
		{standin.PlexWeb, "timeline 9s"},
		{standin.TVApp, "timeline 9s"},
	} {
		t.Run(string(tt.kind), func(t *testing.T) {
			t.Parallel()
			c := newCinema(t, tt.kind, tt.half)
			drain := c.plexctl("drain", c.node, "-wait", "-why", "new disk")
			c.waitsFor(drain, "1 playback that plexproxy sees; what goes past the proxy is invisible")
			c.bothHave(c.node, "drain")
			if nodes := c.newcomers(0, 20); slices.Contains(nodes, c.node) {
				t.Errorf("while %s is drained new clients go to %q", c.node, nodes)
			}
			if err := c.film.Until(patient(t), "stopped"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second) // it asks every second
			select {
			case <-drain.done:
				t.Fatalf("it has ended before the film: %v\n%s", drain.err, drain.output)
			default:
			}
			if on := c.house.whole(t, c.film.Finish(patient(t))); on != c.node {
				t.Errorf("the film ended on %s, and began on %s", on, c.node)
			}
			due := time.Now()
			if c.sure.After(due) {
				due = c.sure
			}
			c.does(drain, 0)
			t.Logf("returned after:\n%s", drain.output)
			if late := time.Since(due); late > 15*time.Second { // it asks every second
				t.Errorf("it returned %s after it knew of the film's end", late)
			}
			c.bothHave(c.node, "drain") // the order outlives the command

			c.does(c.plexctl("undrain", c.node), 0)
			c.bothHave(c.node, "")
			if nodes := c.newcomers(20, 60); !slices.Contains(nodes, c.node) {
				t.Errorf("after undrain no new client goes to %s", c.node)
			}
		})
	}
}

// TestDrainDoesNotWaitForEver: a film that is paused is waited for as well, until the time is up or the person has
// had enough. The order stays.
func TestDrainDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	c := newCinema(t, standin.DirectPlay, "second half")
	c.say("paused")
	drain := c.plexctl("drain", c.node, "-wait", "-timeout", "3s")
	c.waitsFor(drain, "1 playback, 1 of them paused")
	began := time.Now()
	c.does(drain, 3)
	if took := time.Since(began); took > 15*time.Second { // the machine may be busy; without the timeout it would go on
		t.Errorf("it took %s to give up after 3s", took)
	}
	c.bothHave(c.node, "drain")

	drain = c.plexctl("drain", c.node, "-wait")
	c.waitsFor(drain, "1 playback, 1 of them paused")
	c.say("playing")
	c.waitsFor(drain, c.node+": 1 playback\n")
	drain.signal(t, syscall.SIGINT)
	c.does(drain, 1)
	if drain.output.count("the order stays") == 0 {
		t.Errorf("interrupted it says:\n%s", drain.output)
	}
	c.bothHave(c.node, "drain")

	c.say("stopped")
	c.does(c.plexctl("drain", c.node, "-wait"), 0) // nobody plays
}

// TestDrainOfTheLastNode: somebody has to play.
func TestDrainOfTheLastNode(t *testing.T) {
	t.Parallel()
	c := newCinema(t, standin.DirectPlay, "second half")
	for _, node := range []string{"plex1", "plex2"} {
		c.does(c.plexctl("drain", node), 0)
		c.bothHave(node, "drain")
	}
	c.newcomers(0, 4) // fails the test unless they are answered
	if on := c.house.whole(t, c.film.Finish(patient(t))); on != c.node {
		t.Errorf("the film ended on %s, and began on %s", on, c.node)
	}
}

package demo_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"plexha/cmd/internal/demo"
)

// child runs demo.Child until its input is closed.
type child struct {
	in   *io.PipeWriter
	code chan int
}

func startChild(t *testing.T, programs demo.Programs, args ...string) child {
	t.Helper()
	in, w := io.Pipe()
	c := child{w, make(chan int, 1)}
	go func() { c.code <- demo.Child(t.Context(), args, in, io.Discard, io.Discard, programs) }()
	t.Cleanup(func() { w.Close() })
	return c
}

// get asks until somebody listens.
func get(t *testing.T, url string) string {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		body, err := tryGet(url)
		if err == nil {
			return body
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal(err)
		}
	}
}

func tryGet(url string) (string, error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestChildIsAStandIn(t *testing.T) {
	place, err := demo.FreePlace(t.Context(), demo.Inside.Addr(), 19300)
	if err != nil {
		t.Fatal(err)
	}
	c := startChild(t, demo.Programs{}, "plex", place.String(), `{"Identity": "abc"}`)
	if got, want := get(t, "http://"+place.String()+"/identity"), `machineIdentifier="abc"`; !strings.Contains(got, want) {
		t.Errorf("%q, want %q in it", got, want)
	}
	c.in.Close()
	if code := <-c.code; code != 0 {
		t.Errorf("exit code %d after the end of its input, want 0", code)
	}
}

func TestChildIsAProgram(t *testing.T) {
	var got []string
	as := func(name string) demo.Program {
		return func(args []string, _, _ io.Writer) int { got = append([]string{name}, args...); return 7 }
	}
	for _, name := range []string{"plexdns", "plexproxy"} {
		c := startChild(t, demo.Programs{Plexdns: as("plexdns"), Plexproxy: as("plexproxy")}, name, "-conf", "Corefile")
		if code := <-c.code; code != 7 || strings.Join(got, " ") != name+" -conf Corefile" {
			t.Errorf("exit code %d with %q, want 7 with %s -conf Corefile", code, got, name)
		}
	}
}

// A parent that is killed cannot end its children.
func TestChildEndsWithItsParent(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	waits := func([]string, io.Writer, io.Writer) int { <-release; return 7 }
	c := startChild(t, demo.Programs{Plexdns: waits}, "plexdns")
	c.in.Close()
	if code := <-c.code; code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

func TestChildOfNobody(t *testing.T) {
	for _, args := range [][]string{nil, {"plex"}, {"butler"}, {"plex", "no address", "{}"}, {"plex", "127.0.0.1:0", "no options"}} {
		c := startChild(t, demo.Programs{}, args...)
		if code := <-c.code; code != 1 {
			t.Errorf("%q: exit code %d, want 1", args, code)
		}
	}
}

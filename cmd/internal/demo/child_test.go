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

func startChild(t *testing.T, plexdns demo.Program, args ...string) child {
	t.Helper()
	in, w := io.Pipe()
	c := child{w, make(chan int, 1)}
	go func() { c.code <- demo.Child(t.Context(), args, in, io.Discard, io.Discard, plexdns) }()
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
	for _, tc := range []struct {
		name string
		args []string
		path string
		want string
	}{
		{"plex", []string{"plex", "ADDRESS", "abc"}, "/identity", `machineIdentifier="abc"`},
		{"proxy", []string{"proxy", "ADDRESS"}, "/.plexha/ready", "ready"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			place, err := demo.FreePlace(t.Context(), demo.Inside.Addr(), 19300)
			if err != nil {
				t.Fatal(err)
			}
			tc.args[1] = place.String()
			c := startChild(t, nil, tc.args...)
			if got := get(t, "http://"+place.String()+tc.path); !strings.Contains(got, tc.want) {
				t.Errorf("%s: %q, want %q in it", tc.path, got, tc.want)
			}
			c.in.Close()
			if code := <-c.code; code != 0 {
				t.Errorf("exit code %d after the end of its input, want 0", code)
			}
		})
	}
}

func TestChildIsPlexdns(t *testing.T) {
	var got []string
	plexdns := func(args []string, _, _ io.Writer) int { got = args; return 7 }
	c := startChild(t, plexdns, "plexdns", "-conf", "Corefile")
	if code := <-c.code; code != 7 || strings.Join(got, " ") != "-conf Corefile" {
		t.Errorf("exit code %d with %q, want 7 with -conf Corefile", code, got)
	}
}

// A parent that is killed cannot end its children.
func TestChildEndsWithItsParent(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	c := startChild(t, func([]string, io.Writer, io.Writer) int { <-release; return 7 }, "plexdns")
	c.in.Close()
	if code := <-c.code; code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

func TestChildOfNobody(t *testing.T) {
	for _, args := range [][]string{nil, {"plex"}, {"proxy", "1", "2"}, {"butler"}, {"plex", "no address", "1"}} {
		c := startChild(t, nil, args...)
		if code := <-c.code; code != 1 {
			t.Errorf("%q: exit code %d, want 1", args, code)
		}
	}
}

package main

import (
	"bufio"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
)

// clientCount is how many clients there are: more than a home has, few enough that each comes often.
const clientCount = 500

// kinds are the shapes of requests, and how the target of one that the i-th client sends begins.
var kinds = map[string]struct {
	path    string
	unbound bool // says nothing of the client, as Plex Web's requests for its own files
}{
	"bound":   {path: "/library/metadata/%d?checkFiles=1&includeExtras=1&includeRelated=1&"},
	"unbound": {path: "/web/js/chunk-%d-plex-4.116.1-a94b9c1.js", unbound: true},
	"part":    {path: "/library/parts/%d/1700000000/file.mkv?"},
	"trickle": {path: "/library/parts/%d/1700000000/trickle.mkv?"},
}

// targets prints one request target for each client. What a bound one says of its client is what Plex Web says
// with each request.
func targets(kind string, w io.Writer) error {
	k, ok := kinds[kind]
	if !ok {
		return fmt.Errorf("no requests of kind %q", kind)
	}
	for i := range clientCount {
		target := fmt.Sprintf(k.path, i)
		if !k.unbound {
			target += clientQuery(i)
		}
		if _, err := fmt.Fprintln(w, target); err != nil {
			return err
		}
	}
	return nil
}

// clientQuery is how Plex Web of the i-th client describes itself.
func clientQuery(i int) string {
	pairs := [][2]string{
		{"Product", "Plex Web"},
		{"Version", "4.116.1"},
		{"Client-Identifier", fmt.Sprintf("client%04dabcdefghijklm", i)},
		{"Platform", "Chrome"},
		{"Platform-Version", "120.0"},
		{"Features", "external-media,indirect-media,hub-style-list"},
		{"Model", "bundled"},
		{"Device", "Linux"},
		{"Device-Name", "Chrome"},
		{"Device-Screen-Resolution", "1280x720,1280x720"},
		{"Token", fmt.Sprintf("token%04dABCDEFGHIJK", i)},
		{"Language", "en"},
	}
	var b strings.Builder
	for n, p := range pairs {
		if n > 0 {
			b.WriteByte('&')
		}
		b.WriteString("X-Plex-" + p[0] + "=" + url.QueryEscape(p[1]))
	}
	return b.String()
}

// readLines returns the lines of a file.
func readLines(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var lines []string
	s := bufio.NewScanner(f)
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	return lines, s.Err()
}

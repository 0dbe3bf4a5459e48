package e2e_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"plexha/e2e/standin"
)

// spill is a secret that may have been spilled.
type spill string

// in returns the forms of the secret that a text holds: as it is, percent-encoded throughout, in base 64 as a part of
// whatever, in hexadecimal, and in any letter case.
func (s spill) in(text string) (found []string) {
	low := strings.ToLower(text)
	for _, form := range s.forms() {
		if strings.Contains(text, form) || strings.Contains(low, strings.ToLower(form)) {
			found = append(found, form)
		}
	}
	return found
}

func (s spill) forms() []string {
	var percent strings.Builder
	for _, b := range []byte(s) {
		percent.WriteString("%" + hex.EncodeToString([]byte{b}))
	}
	forms := []string{string(s), url.QueryEscape(string(s)), percent.String(), hex.EncodeToString([]byte(s))}
	// What base 64 makes of a text depends on where in it the secret begins; its ends depend on what is beside it.
	for shift := range 3 {
		coded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat(" ", shift) + string(s)))
		forms = append(forms, coded[(shift*8+5)/6:len(coded)-1])
	}
	return forms
}

func TestSpillIsSeen(t *testing.T) {
	for _, text := range []string{
		"x sesame-1 y", "SESAME-1", "%73%65%73%61%6D%65%2d%31", "736573616d652d31",
		base64.StdEncoding.EncodeToString([]byte(`{"token":"sesame-1"}`)), base64.URLEncoding.EncodeToString([]byte("..sesame-1..")),
	} {
		if len(spill("sesame-1").in(text)) == 0 {
			t.Errorf("it is not seen in %s", text)
		}
	}
	if found := spill("sesame-1").in("session-1 c2Vzc2lvbi0x"); len(found) > 0 {
		t.Errorf("seen where it is not: %q", found)
	}
}

// TestNothingIsSpilled makes all the noise that there may be: apps of all kinds, a node that dies amid it, requests that
// are no requests, an authority that can't be reached. Then it looks for every secret in all that the process has ever
// written, or shows to whom it may concern.
func TestNothingIsSpilled(t *testing.T) {
	t.Parallel()
	h, c := newHouse(t, 3), newCLI(t)
	access := filepath.Join(c.dir, "access.log")
	const otherToken = "1f1f1f1f-bbbb-4ccc-8ddd-9876543210fe"
	tokenFile := filepath.Join(c.dir, "duckdns.token")
	writeFile(t, tokenFile, otherToken+"\n")
	admin := filepath.Join(c.dir, "admin")
	c.write(c.block(h, "tls off", "listen http://"+c.plain.String(), "access_log "+access, "duckdns token_file "+tokenFile) +
		c.blockOf("cottage.duckdns.org", h, "tls acme mail@example.com dns ca https://127.0.0.1:1/dir", "duckdns token "+duckToken,
			"listen "+c.tls.String()) +
		c.blockOf("lan.test", h, "tls off", "listen http://"+c.plain.String(), "access_log stdout"))
	c.start("-admin", admin)
	n := &noise{t: t, house: h, cli: c, front: &front{tb: t, addr: c.plain, scheme: "http"}}
	n.front.client = &http.Client{Transport: n.front.transport()}
	n.front.awaitNode()
	n.playbacks()
	n.oddities()
	for _, words := range []string{"node plex1 of home.duckdns.org is down", "could not get certificate"} {
		c.says(words)
	}

	texts := map[string]string{
		"-print-config": n.told("-print-config"), "-check": n.told("-check"), "-version": n.told("-version"),
		"metrics": n.page("tcp", c.status.String(), "/metrics"), "status.json": n.page("tcp", c.status.String(), "/.plexha/status.json"),
		"the status page": n.page("tcp", c.status.String(), "/"), "ready": n.page("tcp", c.plain.String(), "/.plexha/ready"),
		"the administration": n.page("unix", admin, "/config/"),
	}
	if info, err := os.Stat(admin); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the administration's socket: %v, %v, want it for this user alone", info.Mode(), err)
	}
	n.front.client.CloseIdleConnections()
	c.proc.endWell(t)
	c.ended = true
	texts["the log"] = c.proc.output.String()
	for name, text := range files(t, c.dir) {
		if name != c.file() && name != tokenFile {
			texts[name] = text
		}
	}
	for what, text := range texts {
		for _, s := range []spill{secret, duckToken, otherToken} {
			if what == "the administration" && s == duckToken {
				continue // it is for who may read the Corefile, where this one stands
			}
			if found := s.in(text); len(found) > 0 {
				t.Errorf("%s holds %s as %q", what, s, found)
			}
		}
	}

	// There was something to hide.
	for what, want := range map[string]int{"the log": 50, access: 500} {
		if got := strings.Count(texts[what], "[redacted]"); got < want {
			t.Errorf("%s: something was taken out %d times, want %d or more:\n%.5000s", what, got, want, texts[what])
		}
	}
	if !strings.Contains(texts["the administration"], "plexha_duckdns") || !strings.Contains(texts["metrics"], "plexha_proxy_requests_total") {
		t.Error("the administration or the metrics show too little")
	}
	if pins := texts[filepath.Join(c.dir, "home.duckdns.org.pins")]; len(pins) < 1000 {
		t.Errorf("%d bytes of pins", len(pins))
	}
}

// noise is who makes it.
type noise struct {
	t     *testing.T
	house *house
	cli   *cli
	front *front
}

// playbacks plays with all kinds of apps while plex1 dies.
func (n *noise) playbacks() {
	n.t.Helper()
	ctx := patient(n.t)
	var all []*standin.Playback
	for _, kind := range standin.Kinds() {
		for i := range 9 {
			b := n.house.viewer(kind, i).Begin(n.front.device(), n.front.url())
			steps := b.Steps()
			if err := b.Until(ctx, steps[len(steps)*(i+1)/11]); err != nil {
				n.t.Fatal(err)
			}
			all = append(all, b)
		}
	}
	n.house.nodes[0].kill()
	defer n.house.nodes[0].start(n.t)
	short, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	failed := 0
	for _, b := range all {
		if b.Finish(short).Whole() != nil {
			failed++
		}
	}
	if failed == 0 || failed == len(all) {
		n.t.Errorf("%d of %d playbacks failed, while one node of three was killed", failed, len(all))
	}
}

// oddities sends what only the confused and the curious send. No answer matters.
func (n *noise) oddities() {
	n.t.Helper()
	const token = "X-Plex-Token=" + secret
	var wg sync.WaitGroup
	for _, target := range []string{
		"/?" + token, "/photo/:/transcode?url=%252Fx%253FX-Plex-Token%253D" + secret, "/%zz?" + token, "/x?" + token + "&" + token,
		"http://plex1.home.duckdns.org/y?" + token, "/:/websockets/notifications?" + token, "//x?" + strings.Repeat("a", 70_000) + token,
		"/library/sections?x-plex-TOKEN=" + secret, "/z?%58-Plex-Token=" + secret, "*?" + token,
	} {
		for _, head := range []string{
			"X-Plex-Token: " + secret, "Cookie: a=" + secret, "Authorization: Bearer " + secret, "Referer: http://x/?" + token,
			"X-Plex-Token : " + secret, "Upgrade: websocket\r\nConnection: Upgrade", "Content-Length: " + token, "X-Plex-Token: " + secret + "\x00",
		} {
			wg.Go(func() {
				for _, host := range []string{siteName, "plex1.home.duckdns.org", "plex.lan.test", "example.org", "a b"} {
					n.raw(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", target, host, head))
				}
			})
		}
	}
	wg.Wait()
}

// raw sends bytes to both listeners, and waits for the first byte of what comes back.
func (n *noise) raw(request string) {
	for _, addr := range []string{n.cli.plain.String(), n.cli.tls.String()} {
		conn, err := (&net.Dialer{}).DialContext(n.t.Context(), "tcp", addr)
		if err != nil {
			n.t.Error(err)
			return
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, request)
		_, _ = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
}

// told returns what the program says with those arguments.
func (n *noise) told(args ...string) string {
	n.t.Helper()
	r := n.cli.run(args...)
	if r.code != 0 {
		n.t.Errorf("%q: code %d: %s", args, r.code, r.stderr)
	}
	return r.stdout + r.stderr
}

// page returns what an address answers.
func (n *noise) page(network, addr, path string) string {
	n.t.Helper()
	t := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}
	_, body := ask(n.t, &http.Client{Transport: t, Timeout: 10 * time.Second}, "http://127.0.0.1"+path)
	return body
}

// files returns what the files of a folder hold, by their paths.
func files(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		all[path] = string(content)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

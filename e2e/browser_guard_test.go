package e2e_test

import (
	"context"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"plexha/e2e/standin"
)

// requestFrom asks from within a network namespace, or from here if that is empty, and does not follow where it is
// sent.
func requestFrom(tb testing.TB, ns, method, address string, edits ...edit) (status int, body []byte) {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), method, address, http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range edits {
		e(r)
	}
	// The transport would dial on a thread of its own, which is in no namespace of ours.
	conn, err := dialFrom(tb, ns, r.URL.Host)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	client := &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		tb.Fatal(err)
	}
	return resp.StatusCode, body
}

// dialFrom opens a connection from within a network namespace, or from here if that is empty.
func dialFrom(tb testing.TB, ns, address string) (conn net.Conn, err error) {
	tb.Helper()
	dial := func() error {
		conn, err = (&net.Dialer{Timeout: 5 * time.Second}).DialContext(tb.Context(), "tcp", address)
		return nil
	}
	if ns != "" {
		inNamespace(tb, ns, dial)
	} else {
		_ = dial() // err has it
	}
	return conn, err
}

// servePlex starts a node in the test's own process.
func servePlex(tb testing.TB, addr netip.AddrPort, identity string) {
	tb.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(tb.Context(), "tcp", addr.String())
	if err != nil {
		tb.Fatal(err)
	}
	server := httptest.NewUnstartedServer(standin.NewPlex(identity))
	_ = server.Listener.Close()
	server.Listener = l
	server.Start()
	tb.Cleanup(server.Close)
}

// TestPageOfAnotherSite: a page from elsewhere can not give an order with the operator's browser, by a form or by a
// script, nor read what ours shows, even if its name leads to this machine.
func TestPageOfAnotherSite(t *testing.T) {
	t.Parallel()
	b := theBrowser(t)
	p := newPages(t, twoNodes(t))
	p.each(t, func(t *testing.T, program, address string) {
		trap := httptest.NewServer(trapFor(address))
		defer trap.Close()
		for _, host := range []string{elsewhere, "127.0.0.1"} { // another site, and another origin of the same one
			site := strings.Replace(trap.URL, "127.0.0.1", host, 1)
			tab := b.blank(t, phone)
			tab.visit(site + "/form")
			tab.do(click("#win"))
			tab.shows(10*time.Second, `location.href.startsWith(%q) && /origin|site|page/.test(document.body.innerText)`, address)
			tab.visit(site + "/script")
			tab.shows(10*time.Second, `document.getElementById('done').innerText.startsWith('rejected ')`)
			if want := address + "order?name=plex1&order=down"; !slices.Contains(tab.asked(), want) {
				t.Errorf("the trap has not asked for %s, but for %q", want, tab.asked())
			}
		}
		if err := p.ordered(program, "plex1", ""); err != nil {
			t.Error(err)
		}

		rebound := b.blank(t, phone)
		rebound.visit(strings.Replace(address, "127.0.0.1", elsewhere, 1))
		if text := eval[string](rebound, `document.body.innerText`); strings.Contains(text, "plex1") || !strings.Contains(text, elsewhere) {
			t.Errorf("by a name that is not ours the page says:\n%s", text)
		}
		for _, path := range []string{"/", "/status.json", "/events.json"} {
			status, body := p.request(http.MethodGet, p.urls[program]+path, host(elsewhere))
			if status != http.StatusMisdirectedRequest || strings.Contains(string(body), "plex1") {
				t.Errorf("GET %s of %s: %d, want 421: %s", path, elsewhere, status, body)
			}
		}
	})
}

// trapFor serves pages that give an order at an address: one when its button is pressed, another one by itself.
func trapFor(address string) http.HandlerFunc {
	order := address + "order?name=plex1&order=down"
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/form" {
			fmt.Fprintf(w, `<!doctype html><form method="post" action="%s"><button id="win">Win!</button></form>`, html.EscapeString(order))
			return
		}
		fmt.Fprintf(w, `<!doctype html><img src="%s"><p id="done"></p><script>
			const read = fetch(%q).then(r => r.text());
			const write = fetch(%q, {method: "POST", mode: "no-cors", credentials: "include"});
			Promise.allSettled([read, write]).then(all => document.getElementById("done").innerText = all.map(r => r.status).join(" "));
		</script>`, html.EscapeString(order), address+"status.json", order)
	}
}

// host names another host than that which is asked.
func host(name string) edit { return func(r *http.Request) { r.Host = name } }

// TestPublicPage: with `public` others see the page, and change nothing.
func TestPublicPage(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "Corefile")
	pagesAt := map[string]string{"plexdns": "198.18.0.1:8053", "plexproxy": "198.18.0.1:8054"}
	writeFile(t, file, fmt.Sprintf(`%s:5300 {
    bind 127.0.0.1
    errors
    plex {
        node     plex1 127.0.0.1:9
        internal 127.0.0.0/8
        uplink   wan 203.0.113.7
        tls      off
        listen   http://127.0.0.1:8080
        proxy    127.0.0.1:8080
        state    %s
        status   %s public
        proxy_status %s public
    }
}
`, zoneShown, dir, pagesAt["plexdns"], pagesAt["plexproxy"]))
	for _, program := range programsShown {
		cmd := exec.Command(programs.path(t, program), "-conf", file)
		cmd.Env = append(os.Environ(), "HOME="+dir)
		proc := startProcess(t, n.here, cmd)
		t.Cleanup(func() { proc.endWell(t) })
	}
	outsider := startBrowser(t, n.there)
	t.Cleanup(outsider.stop)
	for program, at := range pagesAt {
		awaitPort(t, n.there, at)
		address := "http://" + at + "/"
		tab := outsider.open(t, phone, address)
		tab.shows(10*time.Second, `document.querySelector('.headline').innerText.includes('plex1')`)
		tab.atAGlance(phone)
		if buttons := eval[int](tab, `document.querySelectorAll('button, form').length`); buttons > 0 {
			t.Errorf("%s: others are shown %d buttons and forms", program, buttons)
		}
		tab.picture(program + "-public")
		for _, path := range []string{"order?name=plex1&order=drain", "detect", "duckdns"} {
			if program == "plexproxy" && !strings.HasPrefix(path, "order") {
				continue
			}
			if status, body := requestFrom(t, n.there, http.MethodPost, address+path); status != http.StatusForbidden {
				t.Errorf("%s: POST %s of others: %d, want 403: %s", program, path, status, body)
			}
		}
		if status, body := requestFrom(t, n.there, http.MethodGet, address+"events.json"); status != http.StatusOK {
			t.Errorf("%s: events.json of others: %d, want 200: %s", program, status, body)
		}
	}
}

// awaitPort waits until somebody listens there.
func awaitPort(tb testing.TB, ns, address string) {
	tb.Helper()
	eventually(tb, 20*time.Second, func() error {
		conn, err := dialFrom(tb, ns, address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"plexha/zones/timeline"
)

// zoneShown is the zone as a person writes it.
var zoneShown = strings.TrimSuffix(zone, ".")

// pages is a cluster with both programs, which show it in their pages and share a state folder.
type pages struct {
	tb    testing.TB
	home  *home
	proxy *plexproxy
	urls  map[string]string // of the pages, by program
}

// programsShown are the programs that have pages, in the order of the tests.
var programsShown = []string{"plexdns", "plexproxy"}

// newPages starts the programs before some nodes, and returns when both know how these are.
func newPages(tb testing.TB, nodes []*standIn) *pages {
	tb.Helper()
	h := &home{tb: tb, nodes: nodes, dns: newPlexdns(tb)}
	p := &pages{tb: tb, home: h, proxy: newPlexproxy(tb, h)}
	status := netip.AddrPortFrom(inside, freePort(tb, inside))
	p.urls = map[string]string{"plexdns": "http://" + status.String(), "plexproxy": "http://" + p.proxy.status.String()}
	p.proxy.start()
	h.dns.write(h.corefile(homeConfig{exact: true, lines: []string{
		"tls off", "internal 127.0.0.0/8", "external 127.9.9.0/24", "uplink wan " + uplink.String(),
		"state " + p.proxy.dir, "status " + status.String(), "proxy " + p.proxy.front.addr.String(),
	}}))
	h.dns.start()
	for _, program := range programsShown {
		eventually(tb, 20*time.Second, func() error {
			for i := range nodes {
				if err := p.tells(program, fmt.Sprintf("node plex%d", 1+i), "up"); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return p
}

// tells returns nil if the program's timeline has told that a subject has come to a state.
func (p *pages) tells(program, subject, state string) error {
	if len(p.events(program, subject, state)) == 0 {
		return fmt.Errorf("%s has not told that %s is %s", program, subject, state)
	}
	return nil
}

// events returns when a subject came to a state, as the program's timeline has it.
func (p *pages) events(program, subject, state string) (at []time.Time) {
	p.tb.Helper()
	for _, e := range p.timeline(program) {
		if e.Kind == timeline.State && e.Subject == subject && e.To == state {
			at = append(at, e.At)
		}
	}
	return at
}

// timeline returns the program's events, oldest first.
func (p *pages) timeline(program string) []timeline.Event {
	p.tb.Helper()
	status, body := p.request(http.MethodGet, p.urls[program]+"/events.json")
	var shown struct{ Events []timeline.Event }
	if err := json.Unmarshal(body, &shown); err != nil || status != http.StatusOK {
		p.tb.Fatalf("asking for events: %d: %v\n%s", status, err, body)
	}
	return shown.Events
}

// request asks, and does not follow where it is sent.
func (p *pages) request(method, address string, edits ...edit) (status int, body []byte) {
	p.tb.Helper()
	return requestFrom(p.tb, "", method, address, edits...)
}

// TestBrowserNotices: what the other tests hold against a page would be noticed.
func TestBrowserNotices(t *testing.T) {
	t.Parallel()
	b := theBrowser(t)
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", "script-src 'nonce-ours'")
		fmt.Fprint(w, `<!doctype html><link rel="icon" href="data:,"><body style="margin: 0">
			<p style="color: #888; background: #999">faint</p><p style="width: 1em; overflow-wrap: anywhere">one letter a line</p>
			<p style="width: 500px; height: 1em">wide</p><img src="http://nobody.example/x.png">
			<script>document.title = "unwanted"</script>
			<script nonce="ours">console.error("an error"); setTimeout(() => { throw new Error("an exception") })</script>`)
	}))
	defer bad.Close()
	tab := b.blank(t, phone)
	tab.visit(bad.URL)
	for _, want := range []string{"security: ", "exception: ", "console: error"} {
		eventually(t, 5*time.Second, func() error { return tab.complained(want) })
	}
	if !slices.Contains(tab.asked(), "http://nobody.example/x.png") {
		t.Errorf("the page asked for %q", tab.asked())
	}
	if eval[string](tab, `document.title`) != "" {
		t.Error("the policy was not followed")
	}
	if w := eval[int](tab, `document.documentElement.scrollWidth`); w != 500 {
		t.Errorf("the page is %d wide, want 500", w)
	}
	for script, want := range map[string]string{contrastScript: "faint", crampedScript: "one letter a line"} {
		if found := eval[[]string](tab, script); !slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("found %q, want what is %q", found, want)
		}
	}
}

// looks are the screens on which a page is looked at.
var looks = []screen{phone, phone.darkly(), smallPhone, desktop, desktop.darkly()}

// each runs a test for each program's page at the same time.
func (p *pages) each(t *testing.T, test func(t *testing.T, program, address string)) {
	t.Helper()
	t.Run("of", func(t *testing.T) {
		for _, program := range programsShown {
			t.Run(program, func(t *testing.T) {
				t.Parallel()
				test(t, program, p.urls[program]+"/")
			})
		}
	})
}

// twoNodes starts two nodes at addresses of their own.
func twoNodes(tb testing.TB) []*standIn {
	tb.Helper()
	var nodes []*standIn
	for i := range 2 {
		addr := netip.AddrFrom4([4]byte{127, 0, byte(1 + i), 1})
		nodes = append(nodes, startPlex(tb, netip.AddrPortFrom(addr, freePort(tb, addr)), fmt.Sprint(1+i)))
	}
	return nodes
}

// row is the expression of a table's row in the page, by the name in its first cell; null if there is none.
func row(section, name string) string {
	return fmt.Sprintf(`([...document.querySelectorAll('section[data-section=%q] tbody tr')].find(r => r.querySelector('th').innerText.split('\n')[0].trim() === %q) ?? null)`,
		section, name)
}

// isIn is the expression that a row has come to a state.
func isIn(name, state string) string {
	return fmt.Sprintf(`(%s?.querySelectorAll('td')[0]?.innerText ?? '').startsWith(%q)`, row("nodes", name), state)
}

// TestPageFollowsHealth: a node's end and return are in an open page within a second of the verdict, without its being
// loaded again. It measures, and so runs alone.
func TestPageFollowsHealth(t *testing.T) {
	b := theBrowser(t)
	p := newPages(t, twoNodes(t))
	tabs := map[string]*tab{}
	for _, program := range programsShown {
		tab := b.open(t, desktop, p.urls[program]+"/")
		tab.shows(10*time.Second, `document.querySelector('.headline').innerText.includes('all is well')`)
		tab.remember(isIn("plex1", "down"))
		tabs[program] = tab
	}
	ends := 0
	inTime(t, func() (late error) {
		ends++
		for _, tab := range tabs {
			eval[bool](tab, `(seen = 0, true)`)
		}
		p.home.nodes[0].kill()
		for program, tab := range tabs {
			tab.shows(10*time.Second, `seen !== 0`)
			at := p.events(program, "node plex1", "down")
			if len(at) != ends {
				t.Fatalf("%s tells of %d ends of plex1, want %d", program, len(at), ends)
			}
			lag := time.UnixMilli(int64(eval[float64](tab, `seen`))).Sub(at[ends-1])
			t.Logf("%s: in the page %s after the verdict", program, lag.Round(time.Millisecond))
			if lag > time.Second || lag < -50*time.Millisecond { // the browser's clock counts in milliseconds
				late = errors.Join(late, fmt.Errorf("%s: in the page %s after the verdict, want within a second", program, lag))
			}
			tab.shows(10*time.Second, `document.querySelector('.headline').innerText.includes('plex1 is down')`)
			tab.shows(10*time.Second, `document.title.includes('plex1')`)
		}
		p.home.nodes[0].start()
		for _, tab := range tabs {
			tab.shows(20*time.Second, `%s`, isIn("plex1", "up"))
			tab.shows(10*time.Second, `document.querySelector('.headline').innerText.includes('all is well')`)
		}
		return late
	})
	for program, tab := range tabs {
		if !eval[bool](tab, `!!window.same`) {
			t.Errorf("%s: the page was loaded again", program)
		}
	}
}

// remember has the page note in `seen` when an expression becomes true, as its parts change, and in `same` that it has
// not been loaded again.
func (t *tab) remember(expression string) {
	t.tb.Helper()
	eval[bool](t, `(() => {
		window.same = true;
		window.seen = 0;
		new MutationObserver(() => { if (!seen && %s) seen = Date.now(); }).observe(document.body, {subtree: true, childList: true, characterData: true});
		return true;
	})()`, expression)
}

// TestPageAtAGlance: whoever opens a page on a phone sees at once whether all is well, or what is not and since when.
func TestPageAtAGlance(t *testing.T) {
	t.Parallel()
	b := theBrowser(t)
	p := newPages(t, twoNodes(t))
	lookAtAll := func(name, words string) {
		t.Run(name, func(t *testing.T) {
			p.each(t, func(t *testing.T, program, address string) {
				tab := b.open(t, phone, address)
				tab.shows(10*time.Second, `document.querySelector('.headline').innerText.includes(%q)`, words)
				tab.shows(10*time.Second, `/since .*\d\d:\d\d:\d\d/.test(document.querySelector('.headline').innerText)`)
				tab.lookedAt(program + "-" + strings.ReplaceAll(name, " ", "-"))
			})
		})
	}
	lookAtAll("all is well", "all is well")
	p.home.nodes[0].kill()
	for _, program := range programsShown {
		eventually(t, 10*time.Second, func() error { return p.tells(program, "node plex1", "down") })
	}
	lookAtAll("a node is down", "plex1 is down")
	p.home.nodes[1].kill()
	for _, program := range programsShown {
		eventually(t, 10*time.Second, func() error { return p.tells(program, "node plex2", "down") })
	}
	lookAtAll("nothing is up", "")
}

// lookedAt looks at the page on all screens, and keeps pictures.
func (t *tab) lookedAt(name string) {
	t.tb.Helper()
	for _, s := range looks {
		t.on(s)
		t.atAGlance(s)
		t.picture(name + "-" + s.name)
	}
}

// atAGlance fails the test unless the page fits the screen, begins with the headline, and can be read.
func (t *tab) atAGlance(s screen) {
	t.tb.Helper()
	if w := eval[int64](t, `innerWidth`); w != s.width {
		t.tb.Errorf("%s: the page makes the screen %d wide", s.name, w)
	}
	if w := eval[int64](t, `document.documentElement.scrollWidth`); w > s.width {
		t.tb.Errorf("%s: the page is %d wide: one has to scroll sideways; too wide: %s", s.name, w,
			eval[[]string](t, `[...document.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > innerWidth).map(e => e.outerHTML.slice(0, 200))`))
	}
	if !eval[bool](t, `[...document.querySelectorAll('.headline, .trouble')].slice(0, 2).every(e => {
		const r = e.getBoundingClientRect();
		return r.top >= 0 && r.bottom <= innerHeight && r.left >= 0 && r.right <= innerWidth && r.height > 0;
	})`) {
		t.tb.Errorf("%s: the headline is not on the first screen", s.name)
	}
	if cramped := eval[[]string](t, crampedScript); len(cramped) > 0 {
		t.tb.Errorf("%s: too few letters a line:\n%s", s.name, strings.Join(cramped, "\n"))
	}
	// WCAG 2.2, 1.4.3, level AA.
	if faint := eval[[]string](t, contrastScript); len(faint) > 0 {
		t.tb.Errorf("%s: too little contrast:\n%s", s.name, strings.Join(faint, "\n"))
	}
	if n := eval[int](t, `document.querySelectorAll('a, button').length`); n == 0 {
		t.tb.Errorf("%s: there is nothing to press", s.name)
	}
}

// crampedScript comes to those texts that have no room: their letters stand below each other.
const crampedScript = `(() => {
	const cramped = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange();
	while (texts.nextNode()) {
		const text = texts.currentNode.data.trim(), e = texts.currentNode.parentElement;
		if (!text || !e.checkVisibility() || e.closest('script, style, noscript, .unseen')) continue;
		range.selectNodeContents(texts.currentNode);
		const lines = new Set([...range.getClientRects()].map(r => Math.round(r.top))).size;
		if (lines > 1 && text.length / lines < 5) cramped.push(lines + " lines of " + text);
	}
	return cramped;
})()`

// contrastScript comes to those texts whose contrast to what is behind them is less than it should be.
const contrastScript = `(() => {
	const parse = c => {
		const m = /^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/.exec(c);
		if (!m) throw new Error("not a color: " + c);
		return {rgb: m.slice(1, 4).map(Number), alpha: m[4] === undefined ? 1 : Number(m[4])};
	};
	const luminance = rgb => {
		const [r, g, b] = rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const over = (top, rgb) => rgb.map((v, i) => top.rgb[i] * top.alpha + v * (1 - top.alpha));
	const behind = e => {
		const layers = [];
		for (; e; e = e.parentElement) layers.unshift(parse(getComputedStyle(e).backgroundColor));
		return layers.reduce((rgb, layer) => over(layer, rgb), matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255]);
	};
	const faint = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	let looked = 0;
	while (texts.nextNode()) {
		const e = texts.currentNode.parentElement;
		if (!texts.currentNode.data.trim() || !e.checkVisibility({opacityProperty: true, visibilityProperty: true}) || e.closest('script, style, noscript')) continue;
		const style = getComputedStyle(e), back = behind(e), front = over(parse(style.color), back);
		const [light, dark] = [luminance(front), luminance(back)].sort((a, b) => b - a);
		const ratio = (light + 0.05) / (dark + 0.05);
		const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
		looked++;
		if (ratio < (large ? 3 : 4.5)) faint.push(ratio.toFixed(2) + " " + e.outerHTML.slice(0, 120));
	}
	if (looked < 20) faint.push("only " + looked + " texts were looked at");
	return faint;
})()`

// TestPageOfManyNodes: 64 nodes and 500 events, with the same promises.
func TestPageOfManyNodes(t *testing.T) {
	t.Parallel()
	b := theBrowser(t)
	p := newPages(t, manyNodes(t, 64))
	orders := filepath.Join(p.proxy.dir, zoneShown+".orders")
	for i := 0; len(p.timeline("plexdns")) < timeline.Kept || len(p.timeline("plexproxy")) < timeline.Kept; i++ {
		want := []string{"drain", ""}[i%2]
		var lines strings.Builder
		for n := range 64 * (1 - i%2) {
			fmt.Fprintf(&lines, "plex%d drain # new disk\n", 1+n)
		}
		writeFile(t, orders, lines.String())
		for _, program := range programsShown {
			eventually(t, 10*time.Second, func() error { return p.ordered(program, "plex64", want) })
		}
	}
	writeFile(t, orders, "plex7 drain\n")
	for _, program := range programsShown {
		eventually(t, 10*time.Second, func() error { return p.ordered(program, "plex7", "drain") })
	}
	p.each(t, func(t *testing.T, program, address string) {
		tab := b.open(t, phone, address)
		tab.shows(10*time.Second, `document.querySelectorAll('section[data-section="nodes"] tbody tr').length === 64`)
		// With as many nodes the oldest may have no room in a page below 100 kB.
		if n := eval[int](tab, `document.querySelectorAll('.events li').length`); n < timeline.Kept*9/10 || n > timeline.Kept {
			t.Errorf("%d events are shown, want %d, or nearly so", n, timeline.Kept)
		}
		tab.lookedAt(program + "-64-nodes")
	})
}

// manyNodes starts nodes in the test's own process.
func manyNodes(tb testing.TB, n int) []*standIn {
	tb.Helper()
	var nodes []*standIn
	for i := range n {
		addr := netip.AddrFrom4([4]byte{127, 3, byte(1 + i), 1})
		nodes = append(nodes, &standIn{tb: tb, addr: netip.AddrPortFrom(addr, freePort(tb, addr))})
		servePlex(tb, nodes[i].addr, fmt.Sprintf("%040x", 1+i))
	}
	return nodes
}

// ordered returns nil if the program's status.json shows that order for a node; empty: none.
func (p *pages) ordered(program, name, order string) error {
	p.tb.Helper()
	_, body := p.request(http.MethodGet, p.urls[program]+"/status.json")
	var shown struct {
		Clusters []struct {
			Nodes []struct{ Name, Order string }
		}
	}
	if err := json.Unmarshal(body, &shown); err != nil {
		return fmt.Errorf("%w: %s", err, body)
	}
	for _, n := range shown.Clusters[0].Nodes {
		if n.Name == name && n.Order == order {
			return nil
		}
	}
	return fmt.Errorf("%s: the order of %s is not %q: %s", program, name, order, body)
}

// TestPageWithoutScripts: who runs none sees the same, anew every ten seconds, and may press the same buttons.
func TestPageWithoutScripts(t *testing.T) {
	t.Parallel()
	b := theBrowser(t)
	p := newPages(t, twoNodes(t))
	p.each(t, func(t *testing.T, program, address string) {
		s := phone.plainly()
		tab := b.open(t, s, address)
		tab.shows(10*time.Second, `%s`, isIn("plex1", "up"))
		tab.atAGlance(s)
		if text := eval[string](tab, `document.body.innerText`); !strings.Contains(text, "all is well") || !strings.Contains(text, "every 10 s") {
			t.Errorf("the page says:\n%s", text)
		}
		tab.picture(program + "-" + s.name)

		own := map[string]string{"plexdns": "plex1", "plexproxy": "plex2"}[program]
		tab.press("drain " + own)
		tab.shows(10*time.Second, `%s.innerText.includes('drain') && location.pathname === '/'`, row("nodes", own))
		eventually(t, 10*time.Second, func() error { return p.ordered(program, own, "drain") })
		made := eval[float64](tab, `performance.timeOrigin`)
		tab.shows(20*time.Second, `performance.timeOrigin > %f`, made)
		tab.press("take back " + own)
		eventually(t, 10*time.Second, func() error { return p.ordered(program, own, "") })
	})
}

// press presses a button with the mouse.
func (t *tab) press(label string) {
	t.tb.Helper()
	t.do(click(fmt.Sprintf("button[aria-label=%q]", label)))
}

// TestPageTakesOrders: a button drains a node, for both programs, and all open pages show it.
func TestPageTakesOrders(t *testing.T) {
	t.Parallel()
	b := theBrowser(t)
	p := newPages(t, twoNodes(t))
	tabs := map[string]*tab{}
	for _, program := range programsShown {
		tabs[program] = b.open(t, phone, p.urls[program]+"/")
		tabs[program].remember(`false`)
	}
	for i, program := range programsShown {
		other, node := programsShown[1-i], fmt.Sprintf("plex%d", 1+i)
		tabs[program].press("drain " + node)
		for _, one := range []string{program, other} {
			tabs[one].shows(5*time.Second, `%s.innerText.includes('drain')`, row("nodes", node))
			eventually(t, 5*time.Second, func() error { return p.ordered(one, node, "drain") })
			// It is as the operator wants it.
			tabs[one].shows(5*time.Second, `document.querySelector('.headline').innerText.includes('all is well')`)
		}
		tabs[other].press("take back " + node)
		for _, one := range programsShown {
			eventually(t, 5*time.Second, func() error { return p.ordered(one, node, "") })
			tabs[one].shows(5*time.Second, `!!document.querySelector('button[aria-label="drain %s"]')`, node)
		}
	}
	for program, tab := range tabs {
		if !eval[bool](tab, `!!window.same`) {
			t.Errorf("%s: the page was loaded again", program)
		}
	}
}

// TestPageTellsOfALostConnection: it says so at once, and comes back by itself.
func TestPageTellsOfALostConnection(t *testing.T) {
	t.Parallel()
	b := theBrowser(t)
	p := newPages(t, twoNodes(t))
	const lost = `(() => { const c = document.getElementById('connection'); return c.checkVisibility() && /lost/i.test(c.innerText); })()`
	p.each(t, func(t *testing.T, program, address string) {
		tab := b.open(t, phone, address)
		tab.shows(10*time.Second, `!(%s) && document.querySelector('.headline').innerText.includes('all is well')`, lost)
		tab.remember(`false`)
		const color = `getComputedStyle(document.querySelector('.headline b')).color`
		well := eval[string](tab, color)
		if program == "plexdns" {
			p.home.dns.stop()
		} else {
			p.proxy.stop()
		}
		tab.shows(5*time.Second, `%s`, lost)
		if eval[string](tab, color) == well {
			t.Error("without a connection the headline has the color of when all is well")
		}
		tab.picture(program + "-lost")
		if program == "plexdns" {
			p.home.dns.launch()
		} else {
			p.proxy.start()
		}
		tab.shows(20*time.Second, `!(%s) && document.querySelector('.headline').innerText.includes('all is well')`, lost)
		if !eval[bool](tab, `!!window.same`) {
			t.Error("the page was loaded again")
		}
		tab.forgive() // that nobody answered meanwhile
	})
}

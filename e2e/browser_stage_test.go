package e2e_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	cdpnetwork "github.com/chromedp/cdproto/network"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"plexha/e2e/internal/gate"
)

// browserTime bounds each step of a browser, on a machine that is busy.
const browserTime = 30 * time.Second

// browser is a headless Chromium with a profile of its own. It looks no name up: those that the tests use lead to
// this machine, all others nowhere.
type browser struct {
	ctx  context.Context // chromedp's handle of it
	stop func()
}

// elsewhere is a name that leads to this machine, as one does of which somebody else is the owner.
const elsewhere = "elsewhere.example"

// theOne is the browser that the tests share.
var theOne struct {
	sync.Mutex

	browser *browser
}

// theBrowser returns the one that the tests share, each with pages of its own.
func theBrowser(tb testing.TB) *browser {
	tb.Helper()
	theOne.Lock()
	defer theOne.Unlock()
	if theOne.browser == nil {
		theOne.browser = startBrowser(tb, "")
	}
	return theOne.browser
}

// closeBrowser ends the one that the tests share.
func closeBrowser() {
	if theOne.browser != nil {
		theOne.browser.stop()
	}
}

// startBrowser starts one, in the network namespace ns if that is not empty. It goes on until it is stopped.
func startBrowser(tb testing.TB, ns string) *browser {
	tb.Helper()
	gate.Need(tb, gate.Tool("chromium"))
	program, err := exec.LookPath("chromium")
	if err != nil {
		tb.Fatal(err)
	}
	own, err := os.MkdirTemp("", "plexha-browser-") //nolint:usetesting // it outlives the test that asks first
	if err != nil {
		tb.Fatal(err)
	}
	said := &output{}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(program), chromedp.DisableGPU, chromedp.CombinedOutput(said),
		chromedp.Env("HOME="+own, "XDG_CONFIG_HOME="+own, "XDG_CACHE_HOME="+own),
		chromedp.Flag("host-resolver-rules", "MAP "+elsewhere+" 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE 198.18.*"),
		chromedp.Flag("no-sandbox", true), // it opens the tests' own pages, and root and containers have none for it
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("disable-features", "Translate,OptimizationHints,MediaRouter,CertificateTransparencyComponentUpdater"),
		chromedp.Flag("no-pings", true),
	)
	if ns != "" {
		options = append(options, chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) { enter(tb, ns, cmd) }))
	}
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	b := &browser{ctx, func() {
		cancel()
		end()
		_ = os.RemoveAll(own)
	}}
	if err := chromedp.Do(ctx); err != nil {
		b.stop()
		tb.Fatalf("starting chromium: %v\n%s", err, said)
	}
	return b
}

// screen is what a page is seen on.
type screen struct {
	name          string
	width, height int64
	dark          bool
	plain         bool // without scripts
}

// The screens of the tests, in CSS pixels. The small phone is the narrowest that people have.
var (
	phone      = screen{name: "phone", width: 360, height: 640}
	smallPhone = screen{name: "small-phone", width: 320, height: 568}
	desktop    = screen{name: "desktop", width: 1280, height: 800}
)

// darkly returns the screen of who has chosen a dark one.
func (s screen) darkly() screen {
	s.dark = true
	s.name += "-dark"
	return s
}

// plainly returns the screen of a browser that runs no script.
func (s screen) plainly() screen {
	s.plain = true
	s.name += "-plain"
	return s
}

// tab is a page of a browser, with what it has done and said.
type tab struct {
	tb     testing.TB
	ctx    context.Context // chromedp's handle of it
	origin string          // from where alone it may fetch

	mu         sync.Mutex
	complaints []string // of the browser: errors of scripts, refusals of the content security policy, failed requests
	requests   []string
}

// open opens a page that shares nothing with others of the browser. At its end the test fails if the page has made
// the browser complain, or has asked anybody but who had served it.
func (b *browser) open(tb testing.TB, s screen, address string) *tab {
	tb.Helper()
	t := b.blank(tb, s)
	u, err := url.Parse(address)
	if err != nil {
		tb.Fatal(err)
	}
	t.origin = u.Scheme + "://" + u.Host
	tb.Cleanup(t.wellBehaved)
	t.visit(address)
	return t
}

// blank opens an empty page.
func (b *browser) blank(tb testing.TB, s screen) *tab {
	tb.Helper()
	t := &tab{tb: tb}
	ctx, stop := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(t.note))
	tb.Cleanup(stop)
	t.ctx = ctx
	if err := chromedp.Do(ctx); err != nil { // its life is that of the context that it is given first
		tb.Fatalf("opening a page: %v", err)
	}
	t.do(call(cdplog.Enable, cdp.Empty{}), call(cdpnetwork.Enable, cdpnetwork.EnableParams{}))
	t.on(s)
	return t
}

// on moves the page to another screen, without loading it again.
func (t *tab) on(s screen) {
	t.tb.Helper()
	scheme := "light"
	if s.dark {
		scheme = "dark"
	}
	t.do(
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		}),
		call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: s.plain}),
		chromedp.EmulateViewport(s.width, s.height),
	)
}

// call makes an action of a command of the protocol.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

// note remembers what the page does.
func (t *tab) note(event any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e := event.(type) {
	case *cdpnetwork.EventRequestWillBeSent:
		t.requests = append(t.requests, e.Request.URL)
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Level == cdplog.EntryLevelWarning {
			t.complaints = append(t.complaints, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *cdpruntime.EventExceptionThrown:
		t.complaints = append(t.complaints, "exception: "+e.ExceptionDetails.Text)
	case *cdpruntime.EventConsoleAPICalled:
		t.complaints = append(t.complaints, fmt.Sprintf("console: %s", e.Type))
	}
}

// complained returns nil if a complaint begins so.
func (t *tab) complained(words string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.complaints {
		if strings.HasPrefix(c, words) {
			return nil
		}
	}
	return fmt.Errorf("the browser complains of %q, want %q", t.complaints, words)
}

// asked returns the URLs that the page has asked for.
func (t *tab) asked() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.requests)
}

// forgive forgets what the browser has complained about so far.
func (t *tab) forgive() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.complaints = nil
}

// wellBehaved fails the test if the page has made the browser complain or has asked somebody else.
func (t *tab) wellBehaved() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.complaints {
		t.tb.Errorf("the browser complains: %s", c)
	}
	for _, r := range t.requests {
		if !strings.HasPrefix(r, t.origin+"/") && !strings.HasPrefix(r, "data:") {
			t.tb.Errorf("the page asks %s", r)
		}
	}
	if len(t.requests) == 0 {
		t.tb.Error("no request of the page was noticed")
	}
}

// do takes some steps in the page.
func (t *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	t.tb.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, browserTime)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.tb.Fatal(err)
	}
}

func (t *tab) visit(address string) {
	t.tb.Helper()
	t.do(chromedp.Navigate(address))
}

// eval returns what an expression of JavaScript comes to in the page. The page's own scripts need not run for it.
func eval[T any](t *tab, expression string, args ...any) T {
	t.tb.Helper()
	v, err := tryEval[T](t, expression, args...)
	if err != nil {
		t.tb.Fatal(err)
	}
	return v
}

func tryEval[T any](t *tab, expression string, args ...any) (T, error) {
	expression = fmt.Sprintf(expression, args...)
	ctx, cancel := context.WithTimeout(t.ctx, browserTime)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		return v, fmt.Errorf("evaluating %s: %w", expression, err)
	}
	return v, nil
}

// shows waits until an expression is true.
func (t *tab) shows(within time.Duration, expression string, args ...any) {
	t.tb.Helper()
	eventually(t.tb, within, func() error {
		ok, err := tryEval[bool](t, expression, args...)
		if err == nil && !ok {
			text, _ := tryEval[string](t, `document.body.innerText`)
			err = fmt.Errorf("not so: %s\nthe page:\n%s", fmt.Sprintf(expression, args...), text)
		}
		return err
	})
}

// picture keeps a picture of the page's first screen among the test's artifacts (go test -artifacts -outputdir DIR).
func (t *tab) picture(name string) {
	t.tb.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, browserTime)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.tb.Fatalf("taking a picture: %v", err)
	}
	if err := os.WriteFile(filepath.Join(t.tb.ArtifactDir(), name+".png"), png, 0o600); err != nil {
		t.tb.Fatal(err)
	}
}

// click presses what a selector finds, with the mouse.
func click(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.CSS(selector))
}

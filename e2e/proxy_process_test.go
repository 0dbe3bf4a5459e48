package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// plexproxy is the program, as a process, with its Corefile.
type plexproxy struct {
	tb    testing.TB
	home  *home
	dir   string
	front *front
	// status is where its own pages are.
	status netip.AddrPort
	lines  []string // further properties of the plex block
	more   []string // one that reload changes
	tls    bool     // with certificates of its own authority, else none
	lean   bool     // as it is released, and without an access log: to be measured beside others
	proc   *process
	ends   bool // it was told to end
}

// newPlexproxy picks a folder and ports for one that serves the home's nodes. It starts nothing.
func newPlexproxy(tb testing.TB, h *home) *plexproxy {
	tb.Helper()
	p := &plexproxy{tb: tb, home: h, dir: tb.TempDir(), front: newFront(tb)}
	p.status = netip.AddrPortFrom(inside, freePort(tb, inside))
	p.front.reload = p.reload
	return p
}

// corefile returns its Corefile.
func (p *plexproxy) corefile() string {
	lines := []string{
		"proxy_status " + p.status.String(), "state " + p.dir, "storage " + filepath.Join(p.dir, "storage"),
		"internal 127.0.0.0/8", "external 127.9.9.0/24", "uplink wan " + uplink.String(),
	}
	if !p.lean {
		lines = append(lines, "access_log "+p.accessLog())
	}
	if p.tls {
		lines = append(lines, "tls internal", "listen "+p.front.addr.String())
	} else {
		lines = append(lines, "tls off", "listen http://"+p.front.addr.String())
	}
	for i, n := range p.home.nodes {
		lines = append(lines, fmt.Sprintf("node plex%d %s", i+1, n.addr))
	}
	return fmt.Sprintf("%s {\n    plex {\n        %s\n    }\n}\n", strings.TrimSuffix(zone, "."),
		strings.Join(slices.Concat(lines, p.lines, p.more), "\n        "))
}

func (p *plexproxy) accessLog() string { return filepath.Join(p.dir, "access.log") }

func (p *plexproxy) file() string { return filepath.Join(p.dir, "Corefile") }

// start starts it and returns when it is ready, and knows that all nodes are up. When the test ends, it must end well,
// and its log must hold no token.
func (p *plexproxy) start() {
	p.tb.Helper()
	writeFile(p.tb, p.file(), p.corefile())
	program := programs.path
	if p.lean {
		program = programs.released
	}
	cmd := exec.CommandContext(context.Background(), program(p.tb, "plexproxy"), "-conf", p.file())
	p.proc = startProcess(p.tb, "", cmd)
	p.front.proc, p.ends = p.proc, false
	p.tb.Cleanup(p.stop)
	eventually(p.tb, 20*time.Second, func() error {
		select {
		case <-p.proc.done:
			p.tb.Fatalf("plexproxy has ended: %v", p.proc.err)
		default:
		}
		if a := p.front.get("/.plexha/ready"); a.status != http.StatusOK {
			return fmt.Errorf("asking whether it is ready: %s: %s", a, a.body)
		}
		_, shown := requestFrom(p.tb, "", http.MethodGet, "http://"+p.status.String()+"/status.json")
		return allUp(bytes.NewReader(shown))
	})
}

// stop ends it.
func (p *plexproxy) stop() {
	p.tb.Helper()
	if p.ends {
		return
	}
	p.ends = true
	p.front.client.CloseIdleConnections()
	p.proc.endWell(p.tb)
	logs := p.proc.output.String()
	if !p.lean {
		access, err := os.ReadFile(p.accessLog())
		if err != nil || len(access) == 0 {
			p.tb.Errorf("the access log holds %d bytes: %v", len(access), err)
		}
		logs += string(access)
	}
	for line := range strings.Lines(logs) {
		if strings.Contains(line, secret) {
			p.tb.Errorf("plexproxy's log holds a token: %s", line)
		}
	}
}

// reload changes the Corefile so that Caddy's configuration becomes another, and returns when that is in force.
func (p *plexproxy) reload(tb testing.TB, n int) {
	tb.Helper()
	const words = "the changed Corefile is taken over"
	before := p.proc.output.count(words)
	p.more = []string{fmt.Sprintf("trusted_proxies 192.0.2.%d", n)}
	writeFile(tb, p.file(), p.corefile())
	eventually(tb, 10*time.Second, func() error {
		if p.proc.output.count(words) == before {
			return errors.New("the Corefile has changed, and nothing was reloaded")
		}
		return nil
	})
}

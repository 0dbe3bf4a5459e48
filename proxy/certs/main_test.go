package certs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"plexha/proxy/certs"
)

// duck is what www.duckdns.org leads to in this process.
var duck = newDuck()

// TestMain leads the process's HTTPS to duck, as an operator would lead it to a proxy: the library has no
// other way in. Both variables are read once, at the first request.
func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "certs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	roots, tunnel := duck.start(dir)
	os.Setenv("HTTPS_PROXY", tunnel)
	os.Setenv("SSL_CERT_FILE", roots)
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	duck.stop()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// locks is a storage of which the modules need only the locks. Those who wait say so.
type locks struct {
	certmagic.Storage

	mu    sync.Mutex
	held  map[string]chan struct{} // closed at the end of a turn
	waits chan string              // gets the lock's name when somebody waits for it
}

func newLocks() *locks { return &locks{held: map[string]chan struct{}{}, waits: make(chan string, 10)} }

// Lock implements [certmagic.Locker].
func (l *locks) Lock(ctx context.Context, name string) error {
	for {
		l.mu.Lock()
		ended, taken := l.held[name]
		if !taken {
			l.held[name] = make(chan struct{})
		}
		l.mu.Unlock()
		if !taken {
			return nil
		}
		l.waits <- name
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Unlock implements [certmagic.Locker].
func (l *locks) Unlock(_ context.Context, name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.held[name])
	delete(l.held, name)
	return nil
}

// free tells whether nobody has a lock.
func (l *locks) free() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held) == 0
}

// storage is the Caddy module that gives the locks of the test that loads it.
type storage struct{ l *locks }

func (s *storage) CertMagicStorage() (certmagic.Storage, error) { return s.l, nil }

// CaddyModule implements [caddy.Module].
func (*storage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.test", New: func() caddy.Module { return &storage{next} }}
}

var next *locks // of the context that newContext makes now

func init() { caddy.RegisterModule(new(storage)) }

// newContext returns a context of Caddy's that has the locks for its storage.
func newContext(t testing.TB, l *locks) caddy.Context {
	t.Helper()
	next = l
	base, err := caddy.ProvisionContext(&caddy.Config{StorageRaw: json.RawMessage(`{"module":"test"}`)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(base)
	t.Cleanup(cancel)
	return ctx
}

// load returns a module that is provisioned and valid.
func load[M caddy.Module](ctx caddy.Context, config map[string]any) (M, error) {
	var m M
	id := string(m.CaddyModule().ID)
	raw, err := json.Marshal(config)
	if err != nil {
		return m, err
	}
	mod, err := ctx.LoadModuleByID(id, raw)
	if err != nil {
		return m, err
	}
	return mod.(M), nil
}

// logs collects what a module logs.
func logs() (*zap.Logger, *observer.ObservedLogs) {
	core, seen := observer.New(zap.DebugLevel)
	return zap.New(core), seen
}

// messages returns the lines that were logged.
func messages(seen *observer.ObservedLogs) []string {
	var out []string
	for _, e := range seen.All() {
		out = append(out, e.Level.String()+": "+e.Message)
	}
	return out
}

var (
	_ caddy.Module           = (*certs.Provider)(nil)
	_ caddy.StorageConverter = (*storage)(nil)
)

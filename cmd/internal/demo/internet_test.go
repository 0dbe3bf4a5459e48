package demo_test

import (
	"context"
	"crypto/x509"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"plexha/cmd/internal/demo"
	"plexha/corefile"
	"plexha/corefile/state"
	"plexha/plugin/duckdns"
	"plexha/plugin/wanip"
	"plexha/zones"
)

// furnish returns a home without plexdns, and what plexdns would read there.
func furnish(t *testing.T, withoutTLS bool) (*demo.Furnished, *corefile.Config) {
	t.Helper()
	f, err := demo.Furnish(t.Context(), t.TempDir(), withoutTLS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	text, err := os.ReadFile(f.Corefile)
	if err != nil {
		t.Fatal(err)
	}
	configs, err := corefile.Read("Corefile", strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return f, configs[0]
}

// The sources agree on the address that the home has.
func TestEchoes(t *testing.T) {
	for name, withoutTLS := range map[string]bool{"with one over TLS": false, "with the router's file": true} {
		t.Run(name, func(t *testing.T) {
			f, cfg := furnish(t, withoutTLS)
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(f.Roots)
			o := wanip.Options{Config: cfg, Sources: wanip.Sources(cfg, wanip.SourceOptions{Roots: roots})}
			for _, m := range []demo.Member{demo.Wan, demo.WanNew, demo.Wan} {
				if err := f.Move(m); err != nil {
					t.Fatal(err)
				}
				got := wanip.Survey(t.Context(), o)[0].IPv4
				if got.Known.Addr != m.Addr() || len(got.Known.By) != 3 {
					t.Errorf("%s by %q, want %s by all three: %s", got.Known.Addr, got.Known.By, m.Addr(), got.Trouble)
				}
			}
		})
	}
}

func TestTrustsByFile(t *testing.T) {
	for goos, want := range map[string]bool{"linux": true, "freebsd": true, "darwin": false, "windows": false} {
		if got := demo.TrustsByFile(goos); got != want {
			t.Errorf("%s: %t, want %t", goos, got, want)
		}
	}
}

// plexdns takes the past for its own: the address is known at once, and DuckDNS has it, so that it is looked at
// and not told.
func TestPast(t *testing.T) {
	f, cfg := furnish(t, false)
	file := func(kind string) string { return state.File(cfg.State.Dir, cfg.Cluster.Origins[0], kind) }

	d := wanip.New(wanip.Options{Config: cfg, StateFile: file("external.json")})
	if err := d.Recall(time.Now()); err != nil {
		t.Error(err)
	}
	if got := d.Reports()[0].IPv4.Known.Addr; got != demo.Wan.Addr() {
		t.Errorf("%s is known, want %s", got, demo.Wan.Addr())
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := duckdns.New(duckdns.Options{
		Config: cfg.DuckDNS, StateFile: file("duckdns.json"),
		Candidates: func() []duckdns.Candidate {
			return []duckdns.Candidate{{Uplink: "wan", Addr: demo.Wan.Addr(), Confirmed: true, Up: true}}
		},
		News:      func() (<-chan struct{}, func()) { return nil, func() {} },
		Publisher: publisher(func(a netip.Addr) { t.Errorf("%s is pushed", a); cancel() }),
		Verifier:  verifier(cancel),
		Refuse:    func(netip.Addr) string { return "" },
	})
	if err := w.Run(ctx); err != nil {
		t.Error(err)
	}
	if got := f.Duck.Record(demo.DuckName).IPv4; got != demo.Wan.Addr() {
		t.Errorf("DuckDNS has %s, want %s", got, demo.Wan.Addr())
	}
}

// publisher is told of pushes.
type publisher func(netip.Addr)

func (p publisher) Publish(_ context.Context, a netip.Addr) (duckdns.Reply, error) {
	p(a)
	return duckdns.Reply{}, nil
}

// verifier is told of looks.
type verifier func()

func (v verifier) Look(context.Context, zones.Family) ([]duckdns.Shown, error) {
	v()
	return nil, nil
}

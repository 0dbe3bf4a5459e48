package demo_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"plexha/cmd/internal/demo"
	"plexha/e2e/standin"
)

// theater is a node behind HTTPS, as plexproxy speaks it.
type theater struct {
	plex      *standin.Plex
	place     netip.AddrPort
	authority string // the file
}

func newTheater(t *testing.T) *theater {
	t.Helper()
	authority, err := standin.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue("plex.home.duckdns.org")
	if err != nil {
		t.Fatal(err)
	}
	options := demo.PlexOptions(demo.Plex1)
	options.Quiet = false
	h := &theater{plex: standin.NewPlexServer(options), authority: filepath.Join(t.TempDir(), "root.crt")}
	if err := os.WriteFile(h.authority, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.place = netip.MustParseAddrPort(l.Addr().String())
	srv := &http.Server{Handler: h.plex, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = srv.ServeTLS(l, "", "") // until it is closed
	}()
	t.Cleanup(func() { h.plex.Close(); srv.Close(); <-ended })
	return h
}

// await waits until a film has come that far.
func await(t *testing.T, f demo.Film, far func(demo.Seen) bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !far(f.Seen()) {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%+v after 30 s", f.Seen())
		}
	}
}

// A film that breaks off is begun again, and one that is stopped says so to its node.
func TestFilm(t *testing.T) {
	h := newTheater(t)
	f := demo.WatchFilms(t.Context(), demo.TV, h.place, h.authority)
	await(t, f, func(s demo.Seen) bool { return s.Node == demo.Plex1 && s.Since >= 2 && s.Again == 0 })
	h.plex.SetFaults(standin.Fault{Prefix: "/video/:/transcode/universal/session/", Status: 503, Times: 1})
	await(t, f, func(s demo.Seen) bool { return s.Again == 1 && s.Since >= 2 && s.Pieces >= s.Since+2 })
	f.Stop()
	last := h.plex.Journal()
	if len(last) < 3 {
		t.Fatalf("%d requests", len(last))
	}
	var got []string
	for _, r := range last[len(last)-3:] {
		got = append(got, fmt.Sprintf("%s %d by %s", r.Path, r.Status, r.Client))
	}
	want := []string{"/:/timeline 200 by tv", "/video/:/transcode/universal/stop 200 by tv", "/:/scrobble 200 by tv"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the last requests are %q, want %q", got, want)
	}
}

// What never begins is no break, and stops at once.
func TestFilmThatNeverBegins(t *testing.T) {
	f := demo.WatchFilms(t.Context(), demo.TV, netip.MustParseAddrPort("127.0.0.1:1"), filepath.Join(t.TempDir(), "none"))
	f.Stop()
	if seen := f.Seen(); seen != (demo.Seen{}) {
		t.Errorf("%+v, want nothing", seen)
	}
}

// A page is believed only if the authority has signed for its name.
func TestVisitor(t *testing.T) {
	h := newTheater(t)
	visit := demo.Visitor(h.place, h.authority)
	page, err := visit(t.Context(), demo.Visit{By: demo.TV, Host: "plex.home.duckdns.org", Path: "/"})
	if want := (demo.Page{Status: 200, Node: demo.Plex1}); err != nil || page != want {
		t.Errorf("%+v, %v, want %+v", page, err, want)
	}
	page, err = visit(t.Context(), demo.Visit{Host: "plex.home.duckdns.org", Path: "/"}) // a browser, led to Plex Web
	if want := (demo.Page{Status: 200, Node: demo.Plex1, Title: "plex1"}); err != nil || page != want {
		t.Errorf("%+v, %v, want %+v", page, err, want)
	}
	if page, err := visit(t.Context(), demo.Visit{Host: "plex1.home.duckdns.org", Path: "/"}); err == nil {
		t.Errorf("%+v from a server without a certificate for the name", page)
	}
}

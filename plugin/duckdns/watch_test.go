package duckdns_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"plexha/corefile"
	"plexha/plugin/duckdns"
)

// In real time, since a bubble's does not pass while the kernel is waited for.
func TestANewTokenFileIsNoticedAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "duckdns.token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(tokens[0])
	read := func() (corefile.Secret, error) {
		data, err := os.ReadFile(file)
		return corefile.NewSecret(string(data)), err
	}
	h := newHouse()
	h.candidates = []duckdns.Candidate{at("wan", wanAddr)}
	o := h.options(t)
	o.Config.Token, o.Config.TokenFile, o.Token = corefile.Secret{}, file, read
	pushes := make(chan string, 10)
	o.Publisher = publisher(func(_ context.Context, a netip.Addr) (duckdns.Reply, error) {
		token, _ := read() // empty for a moment while it is written
		pushes <- token.Reveal()
		if token.Reveal() != tokens[1] {
			return duckdns.Reply{}, duckdns.ErrRefused
		}
		return h.take(a), nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = duckdns.New(o).Run(ctx) })
	if got := <-pushes; got != tokens[0] {
		t.Fatalf("pushed with %q, want the first token", got)
	}
	write(tokens[1])
	for got := range pushes {
		if got == tokens[1] {
			return
		}
	}
}

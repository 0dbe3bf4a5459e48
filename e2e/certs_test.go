package e2e_test

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"plexha/e2e/standin"
)

// TestCertificateFiles: plexproxy serves the certificate that the files hold, also when they are replaced.
func TestCertificateFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	authority, err := standin.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	put := func(names ...string) {
		t.Helper()
		pair, err := authority.Issue(names...)
		if err != nil {
			t.Fatal(err)
		}
		c, k, err := standin.PairPEM(pair)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, certificate, string(c))
		writeFile(t, key, string(k))
	}
	put("*.home.duckdns.org")
	addr := netip.AddrPortFrom(inside, freePort(t, inside))
	startWith(t, dir, "listen "+addr.String(), "tls files "+certificate+" "+key)
	a := &acme{tb: t}
	expect := func(asked, want string) {
		t.Helper()
		eventually(t, 20*time.Second, func() error {
			leaf, err := a.leaf(addr, asked)
			if err != nil {
				return err
			}
			if !slices.Equal(leaf.DNSNames, []string{want}) {
				return fmt.Errorf("asked for %q: certificate for %v, want %s", asked, leaf.DNSNames, want)
			}
			return nil
		})
	}
	expect("plex.home.duckdns.org", "*.home.duckdns.org")
	expect("plex1.home.duckdns.org", "*.home.duckdns.org")
	put("new.home.duckdns.org")
	expect("plex.home.duckdns.org", "new.home.duckdns.org")
}

// startWith starts a plexproxy of one node that is not there, with these properties.
func startWith(tb testing.TB, dir string, properties ...string) {
	tb.Helper()
	lines := slices.Concat(properties, []string{
		"node plex1 127.0.0.1:9", "proxy 127.0.0.1", "uplink wan " + uplink.String(),
		"state " + dir, "storage " + filepath.Join(dir, "storage"),
		"proxy_status " + netip.AddrPortFrom(inside, freePort(tb, inside)).String(),
	})
	file := filepath.Join(dir, "Corefile")
	writeFile(tb, file, fmt.Sprintf("%s {\n    plex {\n        %s\n    }\n}\n", strings.TrimSuffix(zone, "."),
		strings.Join(lines, "\n        ")))
	proc := startProcess(tb, "", exec.CommandContext(context.Background(), programs.path(tb, "plexproxy"), "-conf", file))
	tb.Cleanup(func() { proc.endWell(tb) })
}

package certs_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap/zaptest/observer"

	"plexha/proxy/certs"
)

// pairOnDisk is a manager and its files.
type pairOnDisk struct {
	*certs.Manager

	certificate, key string
	logs             *observer.ObservedLogs
}

// newPairOnDisk writes a pair for two months, and returns its manager.
func newPairOnDisk(t testing.TB, name string) *pairOnDisk {
	t.Helper()
	dir := t.TempDir()
	p := &pairOnDisk{certificate: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	p.write(t, months(name))
	if err := p.load(t); err != nil {
		t.Fatal(err)
	}
	l, seen := logs()
	p.SetLogger(l)
	p.logs = seen
	return p
}

func (p *pairOnDisk) load(t testing.TB) (err error) {
	t.Helper()
	config := map[string]any{"certificate": p.certificate, "key": p.key}
	p.Manager, err = load[*certs.Manager](newContext(t, newLocks()), config)
	return err
}

func (p *pairOnDisk) write(t testing.TB, pair pairFiles) {
	t.Helper()
	put(t, p.certificate, pair.certificate)
	put(t, p.key, pair.key)
}

// served returns for which name the certificate is that a handshake gets.
func (p *pairOnDisk) served(t testing.TB) string {
	t.Helper()
	c, err := p.GetCertificate(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf.DNSNames[0]
}

// months returns a pair that is good for two months.
func months(name string) pairFiles {
	pair, _ := mintFor(name, time.Now().Add(-time.Hour), time.Now().Add(60*24*time.Hour))
	return pairOf(pair)
}

func TestFilesAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPairOnDisk(t, "one")
		p.write(t, months("two"))
		if got := p.served(t); got != "one" {
			t.Errorf("within a second: %s, want the files not to be looked at", got)
		}
		time.Sleep(time.Second)
		if got := p.served(t); got != "two" {
			t.Errorf("after a second: %s, want the new one", got)
		}
		time.Sleep(time.Second)
		p.served(t)
		if diff := cmp.Diff([]string{"info: serving the new certificate"}, messages(p.logs)); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

// TestFilesWrittenInPlace: it takes no rename, nor another size, to be a change.
func TestFilesWrittenInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPairOnDisk(t, "one")
		two := months("two")
		for file, content := range map[string][]byte{p.certificate: two.certificate, p.key: two.key} {
			if err := errors.Join(os.WriteFile(file, content, 0o600), os.Chtimes(file, time.Time{}, time.Now())); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if got := p.served(t); got != "two" {
			t.Errorf("%s, want the new one", got)
		}
	})
}

// TestFilesInBetween: while the files make no pair, the pair before is served, and one line says so.
func TestFilesInBetween(t *testing.T) {
	other := months("other")
	tests := []struct {
		name  string
		harm  func(t *testing.T, p *pairOnDisk)
		cause string
	}{
		{"the key comes later", func(t *testing.T, p *pairOnDisk) { put(t, p.certificate, other.certificate) }, "does not match"},
		{"the certificate comes later", func(t *testing.T, p *pairOnDisk) { put(t, p.key, other.key) }, "does not match"},
		{"half written", func(t *testing.T, p *pairOnDisk) { put(t, p.key, other.key[:len(other.key)/2]) }, "in key input"},
		{"emptied", func(t *testing.T, p *pairOnDisk) { put(t, p.certificate, nil) }, "in certificate input"},
		{"removed", func(t *testing.T, p *pairOnDisk) {
			if err := os.Remove(p.key); err != nil {
				t.Fatal(err)
			}
		}, "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPairOnDisk(t, "one")
				tt.harm(t, p)
				for range 3 {
					time.Sleep(time.Second)
					if got := p.served(t); got != "one" {
						t.Errorf("meanwhile: %s, want the one before", got)
					}
				}
				p.write(t, months("two"))
				time.Sleep(time.Second)
				if got := p.served(t); got != "two" {
					t.Errorf("in the end: %s, want the new one", got)
				}
				want := []string{"error: going on with the certificate before", "info: serving the new certificate"}
				if diff := cmp.Diff(want, messages(p.logs)); diff != "" {
					t.Errorf("log (-want +got):\n%s", diff)
				}
				cause := p.logs.All()[0].ContextMap()["error"].(string)
				if !strings.Contains(cause, tt.cause) || !strings.Contains(cause, ".pem") {
					t.Errorf("cause %q, want %q and a file", cause, tt.cause)
				}
			})
		})
	}
}

func TestFilesMustBeAPairAtFirst(t *testing.T) {
	pair, other := months("one"), months("two")
	tests := []struct {
		name string
		pair pairFiles
		want string
	}{
		{"no certificate", pairFiles{[]byte("hello"), pair.key}, "failed to find any PEM data in certificate input"},
		{"no key", pairFiles{pair.certificate, []byte("hello")}, "failed to find any PEM data in key input"},
		{"exchanged", pairFiles{pair.key, pair.certificate}, "did find a private key"},
		{"not a pair", pairFiles{pair.certificate, other.key}, "private key does not match public key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPairOnDisk(t, "one")
			p.write(t, tt.pair)
			err := p.load(t)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), p.certificate) ||
				!strings.Contains(err.Error(), p.key) {
				t.Errorf("error %v, want %q and both files", err, tt.want)
			}
			if err != nil && bytes.Contains(tt.pair.key, []byte("PRIVATE")) &&
				strings.Contains(err.Error(), strings.Split(string(tt.pair.key), "\n")[1]) {
				t.Errorf("error %v holds the key", err)
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		p := newPairOnDisk(t, "one")
		p.certificate += "x"
		if err := p.load(t); err == nil || !strings.Contains(err.Error(), p.certificate) {
			t.Errorf("error %v, want one that names the file", err)
		}
	})
	t.Run("not named", func(t *testing.T) {
		p := newPairOnDisk(t, "one")
		p.key = ""
		if err := p.load(t); err == nil || !strings.Contains(err.Error(), "want a certificate and a key") {
			t.Errorf("error %v, want one that asks for both", err)
		}
	})
}

// TestFilesAge: a certificate that nobody renews is a warning two weeks before its end, once, and an error at
// its end.
func TestFilesAge(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		p := newPairOnDisk(t, "one")
		for range 100 {
			time.Sleep(day)
			p.served(t)
		}
		want := []string{"warn: the certificate ends soon", "error: the certificate has expired"}
		if diff := cmp.Diff(want, messages(p.logs)); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		start := p.logs.All()[0].ContextMap()["not_after"].(time.Time).Add(-14 * day)
		if late := p.logs.All()[0].Time.Sub(start); late < 0 || late > day {
			t.Errorf("warned %s after the begin of the last two weeks, want the same day", late)
		}
		early, _ := mintFor("two", time.Now().Add(day), time.Now().Add(60*day))
		p.write(t, pairOf(early))
		time.Sleep(day / 2)
		p.served(t)
		want = append(want, "warn: the certificate is not valid yet", "info: serving the new certificate")
		if diff := cmp.Diff(want, messages(p.logs)); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

// TestFilesUnderHandshakes is for the race detector.
func TestFilesUnderHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPairOnDisk(t, "one")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20 {
					time.Sleep(time.Second / 4)
					p.served(t)
				}
			})
		}
		wg.Go(func() {
			for range 4 {
				time.Sleep(time.Second)
				p.write(t, months("two"))
			}
		})
		wg.Wait()
		time.Sleep(time.Second)
		if got := p.served(t); got != "two" {
			t.Errorf("in the end: %s, want the new one", got)
		}
	})
}

func BenchmarkGetCertificate(b *testing.B) {
	p := newPairOnDisk(b, "one")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.GetCertificate(b.Context(), nil)
	}
}

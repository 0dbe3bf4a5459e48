package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

const (
	managerName = "plexha_files"
	// lookAgain is how long a look at the files holds good.
	lookAgain = time.Second
	// nearEnd is how long before its end a certificate is a warning. Whoever renews it had a month, and has
	// two weeks left.
	nearEnd = 14 * 24 * time.Hour
)

// Manager serves the certificate of two files, to whatever name is asked for, and follows them as they
// change. It is the module tls.get_certificate.plexha_files.
//
// Caddy's own loader of files reads them once. This one looks at them with the handshakes, at most once a
// second, so that it needs no goroutine; a proxy that is probed has some every few seconds. A pair that is
// half written, or whose halves do not match, leaves the one before in its place.
type Manager struct {
	// Certificate is a PEM file that holds the certificate and then those between it and the root.
	Certificate string `json:"certificate"`

	// Key is the PEM file of its key.
	Key string `json:"key"`

	logger *zap.Logger
	now    atomic.Pointer[tls.Certificate]
	start  time.Time
	looked atomic.Int64 // nanoseconds from start to the last look

	mu     sync.Mutex // held by whoever looks
	files  [2]fs.FileInfo
	broken bool // the files changed, and cannot be used
	age    age
}

// CaddyModule implements [caddy.Module].
func (*Manager) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.get_certificate." + managerName, New: func() caddy.Module { return new(Manager) }}
}

// Provision implements [caddy.Provisioner]. It fails if the files do not make a pair.
func (m *Manager) Provision(ctx caddy.Context) error {
	m.logger, m.start = ctx.Logger(), time.Now()
	if m.Certificate == "" || m.Key == "" {
		return errors.New("want a certificate and a key")
	}
	files, err := m.stat()
	if err != nil {
		return err
	}
	return m.load(files)
}

// GetCertificate implements [certmagic.Manager].
func (m *Manager) GetCertificate(context.Context, *tls.ClientHelloInfo) (*tls.Certificate, error) {
	last, now := m.looked.Load(), int64(time.Since(m.start))
	if now-last >= int64(lookAgain) && m.looked.CompareAndSwap(last, now) {
		m.look()
	}
	return m.now.Load(), nil
}

// look loads the files again if they have changed, unless somebody is at it.
func (m *Manager) look() {
	if !m.mu.TryLock() {
		return
	}
	defer m.mu.Unlock()
	files, err := m.stat()
	if err == nil && m.changed(files) {
		err = m.load(files)
		if err == nil {
			m.logger.Info("serving the new certificate", zap.String("file", m.Certificate),
				zap.Time("not_after", m.now.Load().Leaf.NotAfter))
		}
	}
	if err != nil && !m.broken {
		m.logger.Error("going on with the certificate before", zap.Error(err))
	}
	m.broken = err != nil
	m.watchAge()
}

// stat returns what tells one version of the files from the next.
func (m *Manager) stat() (files [2]fs.FileInfo, err error) {
	for i, name := range []string{m.Certificate, m.Key} {
		if files[i], err = os.Stat(name); err != nil {
			return files, fmt.Errorf("looking at a certificate's files: %w", err)
		}
	}
	return files, nil
}

func (m *Manager) changed(files [2]fs.FileInfo) bool {
	for i, f := range files {
		was := m.files[i]
		if !os.SameFile(was, f) || !was.ModTime().Equal(f.ModTime()) || was.Size() != f.Size() {
			return true
		}
	}
	return false
}

// load reads the pair. Of files that cannot be used it does not take note, so that they are tried again.
func (m *Manager) load(files [2]fs.FileInfo) error {
	pair, err := tls.LoadX509KeyPair(m.Certificate, m.Key)
	if err != nil {
		return fmt.Errorf("loading certificate %s with key %s: %w", m.Certificate, m.Key, err)
	}
	m.files = files
	m.now.Store(&pair)
	m.age = good
	m.watchAge()
	return nil
}

// age says where in its time a certificate is.
type age uint8

const (
	good    age = iota
	early       // its time has not come
	old         // less than nearEnd is left
	expired     // its time is over
)

// ageOf returns a certificate's age.
func ageOf(leaf *x509.Certificate, now time.Time) age {
	switch left := leaf.NotAfter.Sub(now); {
	case now.Before(leaf.NotBefore):
		return early
	case left < 0:
		return expired
	case left < nearEnd:
		return old
	default:
		return good
	}
}

// watchAge warns once of each age that is not good.
func (m *Manager) watchAge() {
	leaf := m.now.Load().Leaf
	was := m.age
	m.age = ageOf(leaf, time.Now())
	if m.age == was {
		return
	}
	fields := []zap.Field{
		zap.String("file", m.Certificate),
		zap.Time("not_before", leaf.NotBefore), zap.Time("not_after", leaf.NotAfter),
	}
	switch m.age {
	case early:
		m.logger.Warn("the certificate is not valid yet", fields...)
	case old:
		m.logger.Warn("the certificate ends soon", fields...)
	case expired:
		m.logger.Error("the certificate has expired", fields...)
	}
}

// Interface guards.
var (
	_ caddy.Provisioner = (*Manager)(nil)
	_ certmagic.Manager = (*Manager)(nil)
)

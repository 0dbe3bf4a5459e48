package probe

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	// certNear is how long before its end a certificate is worth a warning. Those of Let's Encrypt are renewed
	// 30 days before it: with 14 left something is wrong, and there is time to set it right.
	certNear = 14 * 24 * time.Hour
	// certLast is the part of a certificate's life before its end that is worth a warning, where that is less:
	// CertMagic renews with a third left, and the certificates of an authority of one's own live for 12 hours.
	certLast = 5
	// certEvery is how often a kept connection is given up, so that a renewed certificate is seen.
	certEvery = time.Hour
)

// certWatch warns of a proxy's certificate that clients will refuse, once per change. It never fails a probe.
// The nil certWatch watches nothing.
type certWatch struct {
	place place
	name  string // that clients ask for
	warn  func(string)

	mu     sync.Mutex
	said   string
	looked time.Time
}

// look is a VerifyConnection of crypto/tls.
func (c *certWatch) look(state tls.ConnectionState) error {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked = now
	if len(state.PeerCertificates) == 0 {
		return nil
	}
	say := certWords(state.PeerCertificates[0], c.name, now)
	if say != "" && say != c.said {
		c.warn(c.place.String() + ": " + say)
	}
	c.said = say
	return nil
}

// stale reports, once each certEvery, that the certificate was seen too long ago.
func (c *certWatch) stale(now time.Time) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.looked.IsZero() || now.Sub(c.looked) < certEvery {
		return false
	}
	c.looked = now
	return true
}

// certWords says what is wrong with a certificate for clients that ask for name, without an age in it that
// would change each time.
func certWords(cert *x509.Certificate, name string, now time.Time) string {
	end := cert.NotAfter.UTC().Format(time.DateOnly)
	switch {
	case cert.VerifyHostname(name) != nil:
		return fmt.Sprintf("its certificate is for %q, not for %q", certNames(cert), name)
	case now.After(cert.NotAfter):
		return "its certificate ended " + end
	case cert.NotAfter.Sub(now) < min(certNear, cert.NotAfter.Sub(cert.NotBefore)/certLast):
		return "its certificate ends " + end
	default:
		return ""
	}
}

// certNames returns the names that a certificate is for, or its subject if it has none.
func certNames(cert *x509.Certificate) string {
	names := cert.DNSNames
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return cert.Subject.CommonName
	}
	return strings.Join(names, " ")
}

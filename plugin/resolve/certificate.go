package resolve

import (
	"crypto/x509"
	"errors"
	"fmt"
)

// certificateError is a certificate for other names than the one that was asked for: somebody else answers.
type certificateError struct{ x509.HostnameError }

// ShortCertificate returns an error in words that fit a line if it is that a certificate is for other names, which
// may be dozens: the first one says whose it is. All other errors are returned as they are.
func ShortCertificate(err error) error {
	if _, done := errors.AsType[*certificateError](err); done {
		return err // a resolver's: around it stands which one's
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return &certificateError{e}
	}
	return err
}

// Error implements error.
func (e *certificateError) Error() string {
	names := e.Certificate.DNSNames
	for _, ip := range e.Certificate.IPAddresses {
		names = append(names[:len(names):len(names)], ip.String())
	}
	switch len(names) {
	case 0:
		return "its certificate is for no name, not even " + e.Host
	case 1:
		return fmt.Sprintf("its certificate is valid for %s, not %s", names[0], e.Host)
	default:
		return fmt.Sprintf("its certificate is valid for %s and %d more, not %s", names[0], len(names)-1, e.Host)
	}
}

// Unwrap returns what crypto/x509 says.
func (e *certificateError) Unwrap() error { return e.HostnameError }

package wanip

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
)

// tlsFor says whose certificates are good.
type tlsFor struct {
	roots *x509.CertPool // nil: the system's
	name  string         // that the certificate must be for
	// orAddr takes a certificate for the server's address as well. Who gives the address with `at` has chosen the
	// server by it, and nobody can have one for an operator's name but the operator.
	orAddr bool
}

// config returns how one server is talked to.
func (t tlsFor) config(server netip.AddrPort) *tls.Config {
	c := &tls.Config{ServerName: t.name, RootCAs: t.roots, MinVersion: tls.VersionTLS12}
	if t.orAddr {
		c.InsecureSkipVerify = true //nolint:gosec // VerifyConnection does it
		c.VerifyConnection = func(cs tls.ConnectionState) error { return t.verify(cs, server.Addr()) }
	}
	return c
}

// verify does what crypto/tls would, for either name.
func (t tlsFor) verify(cs tls.ConnectionState, server netip.Addr) error {
	o := x509.VerifyOptions{DNSName: t.name, Roots: t.roots, Intermediates: x509.NewCertPool()}
	for _, cert := range cs.PeerCertificates[1:] {
		o.Intermediates.AddCert(cert)
	}
	leaf := cs.PeerCertificates[0]
	_, err := leaf.Verify(o)
	if err == nil {
		return nil
	}
	o.DNSName = server.Unmap().String()
	if _, e := leaf.Verify(o); e == nil {
		return nil
	}
	return err
}

package proxy

import (
	"crypto/x509"
	"errors"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"plexha/corefile"
	"plexha/proxy/certs"
	"plexha/proxy/cluster"
)

// errNoCertificate is why a name cannot be served, until an authority has given one.
var errNoCertificate = errors.New("none has been given yet: the log says why")

// certificatesOf returns the certificates that a block's clients are shown, each with the names that it is for, those of
// nodes that are found apart.
func certificatesOf(c *corefile.Config) []cluster.Certificate {
	switch c.TLS.Kind {
	case corefile.TLSOff:
		return nil
	case corefile.TLSFiles:
		leaf, err := certs.Leaf(c.TLS.CertFile)
		return []cluster.Certificate{certificate(leaf, err, hosts(c).exact())}
	}
	var all []cluster.Certificate
	var leaves []*x509.Certificate
	for _, host := range hosts(c).exact() {
		leaf := newest(host)
		i := slices.Index(leaves, leaf)
		if i < 0 {
			leaves, all = append(leaves, leaf), append(all, certificate(leaf, errNoCertificate, nil))
			i = len(all) - 1
		}
		all[i].Hosts = append(all[i].Hosts, host)
	}
	return all
}

// newest returns the certificate that CertMagic has for a host and that lasts longest, or nil.
func newest(host string) *x509.Certificate {
	var leaf *x509.Certificate
	for _, cert := range caddytls.AllMatchingCertificates(host) {
		if cert.Leaf != nil && (leaf == nil || cert.Leaf.NotAfter.After(leaf.NotAfter)) {
			leaf = cert.Leaf
		}
	}
	return leaf
}

// certificate returns what is shown of a certificate, or if it is nil, why there is none.
func certificate(leaf *x509.Certificate, why error, hosts []string) cluster.Certificate {
	if leaf == nil {
		return cluster.Certificate{Hosts: hosts, Trouble: why.Error()}
	}
	issuer := leaf.Issuer.CommonName
	if len(leaf.Issuer.Organization) > 0 {
		issuer = leaf.Issuer.Organization[0] + " " + issuer
	}
	return cluster.Certificate{Hosts: hosts, Issuer: issuer, NotBefore: leaf.NotBefore.UTC(), NotAfter: leaf.NotAfter.UTC()}
}

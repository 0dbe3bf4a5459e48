package standin

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"time"
)

// Authority signs certificates for stand-ins.
type Authority struct{ pair tls.Certificate }

// NewAuthority returns one that whoever trusts its PEM trusts.
func NewAuthority() (*Authority, error) {
	pair, err := sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "stand-in authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}, nil)
	return &Authority{pair}, err
}

// PEM returns the authority's certificate.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.pair.Certificate[0]})
}

// Issue returns a certificate for the names and addresses, and for 127.0.0.1, which is good for a day.
func (a *Authority) Issue(names ...string) (tls.Certificate, error) {
	return a.IssueElsewhere(append(names, "127.0.0.1")...)
}

// IssueElsewhere returns a certificate for the names and addresses alone.
func (a *Authority) IssueElsewhere(names ...string) (tls.Certificate, error) {
	var addrs []net.IP
	names = slices.DeleteFunc(names, func(name string) bool {
		addr := net.ParseIP(name)
		if addr != nil {
			addrs = append(addrs, addr)
		}
		return addr != nil
	})
	return sign(&x509.Certificate{
		Subject:  pkix.Name{CommonName: "stand-in"}, // kdig shows it, and ends if there is none
		DNSNames: names, IPAddresses: addrs,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &a.pair)
}

// PairPEM returns a certificate and its key as files hold them.
func PairPEM(pair tls.Certificate) (certificate, key []byte, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return nil, nil, err
	}
	certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
	return certificate, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// sign makes a certificate of a template, signed by itself if there is no signer.
func sign(template *x509.Certificate, by *tls.Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template.SerialNumber = big.NewInt(now.UnixNano())
	template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(24*time.Hour)
	parent, signer := template, any(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// Tunnel is an HTTP proxy that knows the way to some HOST:PORT by CONNECT, and refuses all others: what
// HTTPS_PROXY leads to when a program has a fixed idea of where a service is.
type Tunnel map[string]string

// ServeHTTP implements [http.Handler].
func (t Tunnel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	addr, ok := t[r.Host]
	if !ok || r.Method != http.MethodConnect {
		http.Error(w, "no way to "+r.Host, http.StatusForbidden)
		return
	}
	var dialer net.Dialer
	there, err := dialer.DialContext(context.WithoutCancel(r.Context()), "tcp", addr)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = there.Close() }()
	here, early, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { _ = here.Close() }()
	_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(there, early)
		_ = there.Close()
	}()
	_, _ = io.Copy(here, there)
	_ = here.Close()
	<-done
}

package standin

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"time"
)

// ParsePlexOptions reads options from JSON, as a stand-in in a process of its own is given them.
func ParsePlexOptions(text string) (PlexOptions, error) {
	var o PlexOptions
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return PlexOptions{}, fmt.Errorf("parsing a stand-in's options: %w", err)
	}
	return o, nil
}

// Serve serves at l until ctx is done, then closes p.
func (p *Plex) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: p, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	if p.options.HTTPS {
		cert, err := selfSigned(p.options.Name)
		if err != nil {
			return err
		}
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
		l = tls.NewListener(tlsOnly{l}, srv.TLSConfig)
	}
	defer context.AfterFunc(ctx, func() {
		p.Close()
		_ = srv.Close() // nobody is left to tell
	})()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving at %s: %w", l.Addr(), err)
	}
	return nil
}

// selfSigned returns a new certificate that nobody trusts.
func selfSigned(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// tlsOnly hangs up on who does not speak TLS, as Plex does if "Secure connections" are required. Go's own
// server would say so in plain HTTP.
type tlsOnly struct{ net.Listener }

func (l tlsOnly) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &tlsOnlyConn{Conn: conn}, nil
}

type tlsOnlyConn struct {
	net.Conn

	judged bool
}

func (c *tlsOnlyConn) Read(b []byte) (int, error) {
	const handshake = 22 // the type of a client's first record, RFC 8446 section 5.1
	n, err := c.Conn.Read(b)
	if n == 0 || c.judged {
		return n, err
	}
	if c.judged = true; b[0] != handshake {
		_ = c.Close()
		return 0, io.EOF
	}
	return n, err
}

// ServePlex is the whole life of a stand-in in a process of its own: it takes its options as JSON, writes "ready" and
// its address to out when it listens, and serves until ctx is done or in ends, as it does when its parent does.
func ServePlex(ctx context.Context, options, addr string, in io.Reader, out io.Writer) error {
	o, err := ParsePlexOptions(options)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "ready %s\n", l.Addr()); err != nil {
		return fmt.Errorf("saying where it listens: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, in) // that it ends is all that it says
	}()
	return NewPlexServer(o).Serve(ctx, l)
}

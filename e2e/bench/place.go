package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Ports are looked for below those that the kernel gives to connections by default (32768): between two starts
// of a proxy no connection of another one takes its port.
const (
	lowestPort  = 20000
	highestPort = 32000
)

// ports prints so many free ports of loopback, one a line.
func ports(ctx context.Context, count string, w io.Writer) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return fmt.Errorf("reading the number of ports: %w", err)
	}
	for port := lowestPort + mathrand.IntN((highestPort-lowestPort)/2); n > 0; port++ {
		if port > highestPort {
			return fmt.Errorf("looking for free ports: %d are missing", n)
		}
		if !isFree(ctx, fmt.Sprintf("127.0.0.1:%d", port)) {
			continue
		}
		fmt.Fprintln(w, port)
		n--
	}
	return nil
}

// isFree tells whether nobody listens at an address, by TCP or UDP.
func isFree(ctx context.Context, addr string) bool {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer l.Close()
	c, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", addr)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// cert writes a certificate for all names below some. Both files in one are what HAProxy reads.
func cert(dir string, below []string) error {
	names := make([]string, len(below))
	for i, name := range below {
		names[i] = "*." + name
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: names[0]},
		DNSNames:     names,
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(0, 3, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("making a certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("writing a key: %w", err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	for file, content := range map[string][]byte{
		"cert.pem": certPEM, "key.pem": keyPEM, "both.pem": bytes.Join([][]byte{certPEM, keyPEM}, nil),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

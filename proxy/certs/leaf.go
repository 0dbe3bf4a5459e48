package certs

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
)

// mostPEM bounds what is read of a file, in bytes: a chain has some thousands.
const mostPEM = 1 << 20

// Leaf returns the first certificate in a PEM file, which is the one that clients are shown.
func Leaf(file string) (*x509.Certificate, error) {
	f, err := os.Open(file) //nolint:gosec // as the Corefile has it
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(f, mostPEM))
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		return leaf, nil
	}
	return nil, fmt.Errorf("reading %s: %w", file, errNoPEM)
}

var errNoPEM = errors.New("it holds no certificate")

package certs_test

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plexha/proxy/certs"
)

func TestLeaf(t *testing.T) {
	_, leaf := mint("plex.home.duckdns.org")
	ours := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}))
	other := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("other")}))
	for name, tt := range map[string]struct{ text, err string }{
		"a certificate":            {ours, ""},
		"with those above it":      {ours + other, ""},
		"with its key before it":   {string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY"})) + ours, ""},
		"nothing":                  {"", "holds no certificate"},
		"something else":           {"hello", "holds no certificate"},
		"a certificate in tatters": {other, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "cert.pem")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := certs.Leaf(file)
			switch {
			case tt.err == "" && (err != nil || !got.Equal(leaf)):
				t.Errorf("got %v, %v", got, err)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
	if _, err := certs.Leaf(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("of a file that is not there: %v", err)
	}
}

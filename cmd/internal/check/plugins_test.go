package check_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/cmd/internal/dnsmain"
)

// everything holds each plugin of plexdns, but for those that need keys.
const everything = `home.duckdns.org {
    acl {
        allow net 192.168.1.0/24
        block
    }
    any
    auto {
        directory .
    }
    bind 127.0.0.1
    bufsize
    cancel
    chaos
    debug
    errors
    file db
    forward . 192.0.2.53
    header {
        response set ra
    }
    health 127.0.0.1:0
    hosts
    loadbalance
    log
    loop
    metadata
    minimal
    multisocket 1
    nsid
    pprof 127.0.0.1:0
    prometheus 127.0.0.1:0
    plex {
        node     plex1 192.168.1.4
        proxy    192.168.1.2
        internal 192.168.1.0/24
        tls      acme mail@example.com
        ns       ns1 203.0.113.7
        ns       ns2 192.0.2.53
        fallthrough
    }
    ready 127.0.0.1:0 {
        monitor continuously
    }
    reload
    rewrite name a.home.duckdns.org plex.home.duckdns.org
    root .
    secondary sub.home.duckdns.org {
        transfer from 192.0.2.53
    }
    shed
    template ANY HINFO {
        rcode NXDOMAIN
    }
    timeouts {
        read 5s
    }
    transfer {
        to 192.0.2.53
    }
    tsig {
        secret key. NoTCJU+DMqFWywaPyxSijrDEA/eC3nK0xi3AMEZuPVk=
    }
    whoami
}
home.duckdns.org {
    bind 127.0.0.1
    view other {
        expr type() == 'TXT'
    }
    cache
    errors
    whoami
}
tls://lan {
    bind 127.0.0.1
    tls cert key {
        keylog keys
    }
    errors
    whoami
}
https://lan {
    bind 127.0.0.1
    https
    errors
    whoami
}
quic://lan {
    bind 127.0.0.1
    quic
    errors
    whoami
}
`

// withKeys are the plugins that read private keys when they are set up.
var withKeys = []string{"dnssec", "sign"}

// writeCertificate writes the files cert and key.
func writeCertificate(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert": {Type: "CERTIFICATE", Bytes: cert}, "key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEverySetupIsHarmless says that no plugin prints, listens, writes or stays behind when it reads its lines. What it
// leaves running TestMain finds.
func TestEverySetupIsHarmless(t *testing.T) {
	for _, plugin := range dnsmain.Directives() {
		if !slices.Contains(withKeys, plugin) && !strings.Contains(everything, "    "+plugin) {
			t.Errorf("%s is not tested", plugin)
		}
	}
	house(t, everything)
	writeCertificate(t)
	zone := "@ 60 IN SOA ns1.example.org. mail.example.org. 1 300 60 1209600 10\n"
	if err := os.WriteFile("db", []byte("$ORIGIN home.duckdns.org.\n"+zone), 0o600); err != nil {
		t.Fatal(err)
	}
	printed, err := os.Create(filepath.Join(t.TempDir(), "printed"))
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = printed, printed
	got, code := says(t)
	os.Stdout, os.Stderr = stdout, stderr
	if code != 0 {
		t.Errorf("exit code %d: %s", code, got)
	}
	text, err := os.ReadFile(printed.Name())
	if err != nil || len(text) > 0 {
		t.Errorf("error %v, printed beside the findings:\n%s", err, text)
	}
	files, err := filepath.Glob("*")
	if diff := cmp.Diff([]string{"Corefile", "cert", "db", "key"}, files); err != nil || diff != "" {
		t.Errorf("error %v, files (-want +got):\n%s", err, diff)
	}
}

package e2e_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"plexha/e2e/internal/gate"
	"plexha/e2e/standin"
)

// TestEchoesBesideRealClients asks the stand-ins as people ask the real servers. A stand-in that only our own
// code understands would prove nothing.
func TestEchoesBesideRealClients(t *testing.T) {
	t.Parallel()
	gate.Need(t, gate.Tool("dig"), gate.Tool("kdig"), gate.Tool("curl"))
	authority, err := standin.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue("cloudflare-dns.com", "checkip.example")
	if err != nil {
		t.Fatal(err)
	}
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	world := standin.NewEcho()
	world.SetAddress(netip.MustParsePrefix("127.0.0.0/8"), uplink)
	const address, text = "203.0.113.7", `"203.0.113.7"`
	tests := []struct {
		name      string
		kind      standin.EchoKind
		transport standin.Transport
		ask       string // HOST and PORT are the server's, ROOTS the authority's file
		want      string
	}{
		{"OpenDNS by dig", standin.EchoOpenDNS, standin.OverUDP, "dig +short @HOST -p PORT myip.opendns.com", address},
		{"OpenDNS by dig over TCP", standin.EchoOpenDNS, standin.OverUDP, "dig +short +tcp @HOST -p PORT myip.opendns.com", address},
		{"Cloudflare by dig", standin.EchoCloudflare, standin.OverUDP, "dig +short @HOST -p PORT whoami.cloudflare CH TXT", text},
		{"Google by dig", standin.EchoGoogle, standin.OverUDP, "dig +short @HOST -p PORT o-o.myaddr.l.google.com TXT", text},
		{"Akamai by dig", standin.EchoAkamai, standin.OverUDP, "dig +short @HOST -p PORT whoami.akamai.net", address},
		{"akahelp by dig", standin.EchoAkamai, standin.OverUDP, "dig +short @HOST -p PORT whoami.ds.akahelp.net TXT", `"ns" ` + text},
		{
			"Cloudflare by kdig over TLS", standin.EchoCloudflare, standin.OverTLS,
			"kdig +short +tls-ca=ROOTS +tls-hostname=cloudflare-dns.com @HOST -p PORT whoami.cloudflare CH TXT", text,
		},
		{
			"Cloudflare by kdig over HTTPS", standin.EchoCloudflare, standin.OverWeb,
			"kdig +short +https +tls-ca=ROOTS +tls-hostname=cloudflare-dns.com @HOST -p PORT whoami.cloudflare CH TXT", text,
		},
		{
			"Cloudflare by kdig over HTTPS with GET", standin.EchoCloudflare, standin.OverWeb,
			"kdig +short +https +https-get +tls-ca=ROOTS +tls-hostname=cloudflare-dns.com @HOST -p PORT whoami.cloudflare CH TXT", text,
		},
		{
			"HTTPS by curl", standin.EchoHTTPS, "",
			"curl -sS --cacert ROOTS --connect-to checkip.example:443:HOST:PORT https://checkip.example/", address,
		},
		{
			"trace by curl", standin.EchoHTTPS, "",
			"curl -sS --cacert ROOTS https://HOST:PORT/cdn-cgi/trace", "ip=" + address,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := world.Serve(standin.EchoOptions{
				Kind: tt.kind, Transport: tt.transport, Certificate: &pair, Addr: netip.AddrPortFrom(inside, 0),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			replace := strings.NewReplacer("HOST", s.Addr().Addr().String(), "PORT", fmt.Sprint(s.Addr().Port()), "ROOTS", roots)
			words := strings.Fields(replace.Replace(tt.ask))
			out, err := exec.CommandContext(t.Context(), words[0], words[1:]...).CombinedOutput()
			if lines := strings.Split(string(out), "\n"); err != nil || !slices.Contains(lines, tt.want) {
				t.Errorf("%s: %v, %q, want a line %q", strings.Join(words, " "), err, out, tt.want)
			}
			if s.Count().Questions == 0 {
				t.Error("the stand-in was not asked")
			}
		})
	}
}

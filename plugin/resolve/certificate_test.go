package resolve_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"testing"

	"plexha/plugin/resolve"
)

func TestShortCertificate(t *testing.T) {
	other := errors.New("connection refused")
	ip := net.IPv4(192, 0, 2, 1)
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"another error", other, "connection refused"},
		{
			"one name", wrongName(&x509.Certificate{DNSNames: []string{"portal.example"}}),
			"its certificate is valid for portal.example, not one.one.one.one",
		},
		{
			"many names", wrongName(&x509.Certificate{DNSNames: []string{"a.example", "b.example", "c.example"}}),
			"its certificate is valid for a.example and 2 more, not one.one.one.one",
		},
		{
			"an address", wrongName(&x509.Certificate{IPAddresses: []net.IP{ip}}),
			"its certificate is valid for 192.0.2.1, not one.one.one.one",
		},
		{
			"both", wrongName(&x509.Certificate{DNSNames: []string{"a.example"}, IPAddresses: []net.IP{ip}}),
			"its certificate is valid for a.example and 1 more, not one.one.one.one",
		},
		{
			"one that is short already",
			fmt.Errorf("asking 1.1.1.1: %w", resolve.ShortCertificate(wrongName(&x509.Certificate{DNSNames: []string{"a.example"}}))),
			"asking 1.1.1.1: its certificate is valid for a.example, not one.one.one.one",
		},
		{"no name", wrongName(&x509.Certificate{}), "its certificate is for no name, not even one.one.one.one"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := resolve.ShortCertificate(tc.err)
			if got.Error() != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if _, is := errors.AsType[x509.HostnameError](got); is == errors.Is(tc.err, other) {
				t.Errorf("what crypto/x509 says is in it: %t", is)
			}
		})
	}
	if got := resolve.ShortCertificate(nil); got != nil {
		t.Errorf("of no error it makes %v", got)
	}
}

// wrongName is how crypto/tls tells that a certificate is for other names.
func wrongName(c *x509.Certificate) error {
	return &tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: c, Host: "one.one.one.one"}}
}

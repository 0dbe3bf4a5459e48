package corefile_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
)

// TestSources says how each source is called, whose voice it is, and what its word is worth.
func TestSources(t *testing.T) {
	for _, tc := range []struct{ line, want string }{
		{"opendns", `"opendns udp" of opendns, secure: false, own: false`},
		{"opendns dot at 192.0.2.1", `"opendns dot" of opendns, secure: true, own: false`},
		{"cloudflare", `"cloudflare dot" of cloudflare, secure: true, own: false`},
		{"cloudflare doh", `"cloudflare doh" of cloudflare, secure: true, own: false`},
		{"google", `"google udp" of google, secure: false, own: false`},
		{"router", `"router" of router, secure: false, own: false`},
		{"router upnp", `"router upnp" of router, secure: false, own: false`},
		{"stun stun.l.google.com:19302", `"stun stun.l.google.com:19302" of google, secure: false, own: false`},
		{"stun [2001:db8::1]:3478", `"stun [2001:db8::1]:3478" of 2001:db8::1, secure: false, own: false`},
		{"interface eth0", `"interface eth0" of this host, secure: true, own: true`},
		{"file /run/ip", `"file /run/ip" of this host's file, secure: true, own: true`},
		{"command /bin/ip -p hunter2", `"command ip" of this host's command, secure: true, own: true`},
		{"https https://api.ipify.org", `"https https://api.ipify.org" of ipify.org, secure: true, own: false`},
		{"https https://IP.example.co.uk./a?key=1", `"https https://IP.example.co.uk./a" of example.co.uk, secure: true, own: false`},
		{"https https://a.b.example.com:8443/", `"https https://a.b.example.com:8443/" of example.com, secure: true, own: false`},
		{"https https://icanhazip.com", `"https https://icanhazip.com" of cloudflare, secure: true, own: false`},
		{"https https://one.one.one.one/cdn-cgi/trace", `"https https://one.one.one.one/cdn-cgi/trace" of cloudflare, secure: true, own: false`},
		{"https https://www.cloudflare.com/cdn-cgi/trace", `"https https://www.cloudflare.com/cdn-cgi/trace" of cloudflare, secure: true, own: false`},
		{"https https://shop.example/cdn-cgi/trace", `"https https://shop.example/cdn-cgi/trace" of cloudflare, secure: true, own: false`},
		{"https https://1.1.1.1/cdn-cgi/trace", `"https https://1.1.1.1/cdn-cgi/trace" of cloudflare, secure: true, own: false`},
		{"https https://192.0.2.1/ip", `"https https://192.0.2.1/ip" of 192.0.2.1, secure: true, own: false`},
		{"https https://localhost/ip", `"https https://localhost/ip" of localhost, secure: true, own: false`},
	} {
		t.Run(tc.line, func(t *testing.T) {
			s := block(t, "uplink a 203.0.113.7\ndetect "+tc.line).Detect[0]
			got := fmt.Sprintf("%q of %s, secure: %t, own: %t", s, s.Operator(), s.Secure(), s.OwnWord())
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSourcesServe(t *testing.T) {
	eth0 := corefile.Source{Kind: "interface", Args: []string{"eth0"}}
	for _, tc := range []struct {
		name   string
		source corefile.Source
		via    string
		want   bool
	}{
		{"an interface, the uplink through it", eth0, "eth0", true},
		{"an interface, an uplink by the routing table", eth0, "", true},
		{"an interface, the uplink through another one", eth0, "eth1", false},
		{"an echo, any uplink", corefile.Source{Kind: "opendns", Transport: "udp"}, "eth1", true},
	} {
		if got := tc.source.Serves(tc.via); got != tc.want {
			t.Errorf("%s: got %t, want %t", tc.name, got, tc.want)
		}
	}
}

func TestDefaultSourcesAreTheCallers(t *testing.T) {
	corefile.DefaultSources()[0].Kind = "none"
	if got := corefile.DefaultSources()[0].Kind; got == "none" {
		t.Error("one caller's change reaches the next")
	}
}

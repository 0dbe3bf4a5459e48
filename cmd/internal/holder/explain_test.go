package holder_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/cmd/internal/holder"
)

var update = flag.Bool("update", false, "write the golden file anew")

// golden holds what is said in each case: a line of what stands in the way, then the words behind a tab.
const golden = "testdata/explain.golden"

// inUse returns the error of an address that somebody else has.
func inUse(network, at string) error {
	return fmt.Errorf("listen %s %s: bind: address already in use", network, at)
}

// by has a port held by a process of that name.
func by(network, at, name string) holder.Holder {
	return holder.Holder{Network: network, At: netip.MustParseAddrPort(at), Listens: true, PID: 812, Name: name}
}

// hidden has a port held by a process that this user may not look into.
func hidden(network, at string) holder.Holder {
	return holder.Holder{Network: network, At: netip.MustParseAddrPort(at), Listens: true}
}

// client has a port held by one end of a connection.
func client(at string) holder.Holder {
	return holder.Holder{Network: "tcp", At: netip.MustParseAddrPort(at), PID: 812, Name: "curl"}
}

func TestExplain(t *testing.T) {
	const dns, proxy = holder.PlexDNS, holder.PlexProxy
	tests := []struct {
		program holder.Program
		err     error
		held    []holder.Holder
	}{
		{dns, inUse("udp", ":53"), []holder.Holder{by("udp", "127.0.0.53:53", "systemd-resolve"), by("udp", "127.0.0.54:53", "systemd-resolve")}},
		{dns, inUse("tcp", ":53"), []holder.Holder{by("tcp", "0.0.0.0:53", "dnsmasq")}},
		{dns, inUse("udp", ":53"), []holder.Holder{by("udp", "192.168.122.1:53", "dnsmasq")}},
		{dns, inUse("udp", ":53"), []holder.Holder{by("udp", "0.0.0.0:53", "pihole-FTL")}},
		{dns, inUse("udp", ":53"), []holder.Holder{by("udp", "[::]:53", "AdGuardHome")}},
		{dns, inUse("udp", ":53"), []holder.Holder{by("udp", "0.0.0.0:53", "unbound")}},
		{dns, inUse("udp", "192.168.1.53:53"), []holder.Holder{by("udp", "192.168.1.53:53", "named")}},
		{dns, inUse("udp", ":53"), []holder.Holder{by("udp", "0.0.0.0:53", "kresd")}},
		{dns, inUse("udp", ":53"), []holder.Holder{by("udp", "[::]:53", "coredns")}},
		{dns, inUse("tcp", "127.0.0.1:5300"), []holder.Holder{by("tcp", "127.0.0.1:5300", "plexdns")}},
		{dns, inUse("udp", ":5353"), []holder.Holder{by("udp", "0.0.0.0:5353", "avahi-daemon")}},
		{dns, inUse("tcp", "192.168.1.53:5300"), []holder.Holder{by("tcp", "192.168.1.53:5300", "plexctl")}},
		{dns, inUse("tcp", ":9153"), []holder.Holder{by("tcp", "[::]:9153", "prometheus")}},
		{dns, inUse("tcp", ":8080"), []holder.Holder{by("tcp", "[::]:8080", "nginx")}},
		{dns, inUse("tcp", ":53"), []holder.Holder{by("tcp", "0.0.0.0:53", "docker-proxy")}},
		{dns, inUse("udp", ":53"), []holder.Holder{by("udp", "0.0.0.0:53", "systemd")}},
		{dns, inUse("udp", ":53"), []holder.Holder{hidden("udp", "127.0.0.53:53")}},
		{dns, inUse("udp", ":53"), []holder.Holder{hidden("udp", "0.0.0.0:53")}},
		{dns, inUse("udp", ":53"), nil},
		{dns, errors.New("listen udp :53: bind: permission denied"), nil},
		{dns, errors.New("listen tcp 192.168.1.53:53: bind: cannot assign requested address"), nil},
		{dns, fmt.Errorf("listen udp :53: bind: %s", "Only one usage of each socket address (protocol/network address/port) is normally permitted."), nil},
		{proxy, inUse("tcp", ":443"), []holder.Holder{by("tcp", "0.0.0.0:443", "nginx")}},
		{proxy, inUse("tcp", ":443"), []holder.Holder{by("tcp", "[::]:443", "apache2")}},
		{proxy, inUse("tcp", ":443"), []holder.Holder{by("tcp", "[::]:443", "caddy")}},
		{proxy, inUse("tcp", ":80"), []holder.Holder{by("tcp", "0.0.0.0:80", "haproxy")}},
		{proxy, inUse("tcp", ":80"), []holder.Holder{by("tcp", "0.0.0.0:80", "pihole-FTL")}},
		{proxy, inUse("tcp", ":80"), []holder.Holder{by("tcp", "[::]:80", "AdGuardHome")}},
		{proxy, inUse("udp", ":443"), []holder.Holder{by("udp", "[::]:443", "envoy")}},
		{proxy, inUse("tcp", ":443"), []holder.Holder{by("tcp", "[::]:443", "plexproxy")}},
		{proxy, inUse("tcp", ":443"), []holder.Holder{by("tcp", "[::]:443", "plexdns")}},
		{proxy, inUse("tcp", ":443"), []holder.Holder{by("tcp", "[::]:443", "docker-proxy")}},
		{proxy, inUse("tcp", ":443"), []holder.Holder{by("tcp", "[::]:443", "systemd")}},
		{proxy, inUse("tcp", ":32400"), []holder.Holder{by("tcp", "[::]:32400", "Plex Media Serv")}},
		{proxy, inUse("tcp", ":40000"), []holder.Holder{client("192.168.1.2:40000")}},
		{proxy, inUse("tcp", ":443"), []holder.Holder{
			hidden("tcp", "0.0.0.0:443"), hidden("tcp", "192.168.1.2:443"), hidden("tcp", "192.168.1.3:443"), hidden("tcp", "192.168.1.4:443"),
		}},
		{proxy, errors.New("listen tcp :443: bind: permission denied"), nil},
		{proxy, errors.New("listen tcp :8443: bind: permission denied"), nil},
	}
	var now strings.Builder
	for _, tt := range tests {
		find := func(string, netip.AddrPort) ([]holder.Holder, error) { return tt.held, nil }
		got := holder.ExplainBy(find, tt.program, tt.err)
		if !errors.Is(got, tt.err) {
			t.Errorf("%v is lost in %v", tt.err, got)
		}
		fmt.Fprintf(&now, "%s: %s\n\n", tt.program, strings.ReplaceAll(got.Error(), "\n", "\n\t"))
	}
	if *update {
		if err := os.WriteFile(golden, []byte(now.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), now.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOtherErrorsStay(t *testing.T) {
	find := func(string, netip.AddrPort) ([]holder.Holder, error) {
		t.Error("it looks for a holder")
		return nil, nil
	}
	for _, err := range []error{
		nil,
		errors.New("dial tcp 127.0.0.1:53: connect: connection refused"),
		errors.New("listen tcp :53: bind: too many open files"),
		errors.New("listen tcp docker1:53: bind: address already in use"), // package net gives numbers
		fmt.Errorf("listening on fd/3: %w", fs.ErrPermission),
	} {
		if got := holder.ExplainBy(find, holder.PlexDNS, err); got != err { //nolint:errorlint // the very same one
			t.Errorf("%v becomes %v", err, got)
		}
	}
}

func TestPlatformThatDoesNotTell(t *testing.T) {
	find := func(string, netip.AddrPort) ([]holder.Holder, error) { return nil, errors.ErrUnsupported }
	got := holder.ExplainBy(find, holder.PlexProxy, inUse("tcp", ":443")).Error()
	want := "listen tcp :443: bind: address already in use\nsomebody else has it, whom `"
	if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "` shows: stop that, or give plexproxy another port: "+
		"`listen :8443 :8080`, and `proxy ADDRESS:8443`") {
		t.Errorf("got %q", got)
	}
}

package dnsmain_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"plexha/cmd/internal/dnsmain"
)

// TestPulse: silence of what has answered is bad, that of what never has says nothing.
func TestPulse(t *testing.T) {
	var lc net.ListenConfig
	conn, err := lc.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	handler := dns.HandlerFunc(func(dns.ResponseWriter, *dns.Msg) { t.Error("a plugin would see it") })
	server := &dns.Server{PacketConn: conn, Handler: handler}
	ended := make(chan error, 1)
	go func() { ended <- server.ActivateAndServe() }()

	ask := dnsmain.NewPulse()
	within := func(d time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		return ask(ctx, at)
	}
	if err := within(20 * time.Second); err != nil {
		t.Error(err)
	}
	if err := errors.Join(server.Shutdown(), <-ended); err != nil {
		t.Fatal(err)
	}
	silent, err := lc.ListenPacket(t.Context(), "udp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	err = within(50 * time.Millisecond)
	if late, ok := errors.AsType[net.Error](err); !ok || !late.Timeout() || !strings.HasPrefix(err.Error(), "asking ourselves at 127.0.0.1:") {
		t.Errorf("of one that has answered: got %v", err)
	}
	ask = dnsmain.NewPulse()
	if err := within(50 * time.Millisecond); err != nil {
		t.Errorf("of one that never has: got %v", err)
	}
}

func TestReachable(t *testing.T) {
	for at, want := range map[string]string{
		"0.0.0.0:53": "127.0.0.1:53", "[::]:53": "[::1]:53", "192.168.1.53:5300": "192.168.1.53:5300", "[::ffff:0.0.0.0]:53": "127.0.0.1:53",
	} {
		if got := dnsmain.Reachable(netip.MustParseAddrPort(at)); got.String() != want {
			t.Errorf("%s: got %v, want %s", at, got, want)
		}
	}
}

package wanip_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/plugin/wanip"
	"plexha/zones"
)

// binding answers a binding request, by a type and with attributes.
func binding(request []byte, kind stun.MessageType, attributes ...stun.Setter) []byte {
	q := new(stun.Message)
	if err := stun.Decode(request, q); err != nil {
		panic(err)
	}
	setters := append([]stun.Setter{stun.NewTransactionIDSetter(q.TransactionID), kind}, attributes...)
	return stun.MustBuild(setters...).Raw
}

func mapped(addr netip.Addr) stun.Setter {
	return &stun.XORMappedAddress{IP: addr.AsSlice(), Port: 40000}
}

func TestSTUN(t *testing.T) {
	stray := stun.MustBuild(stun.TransactionID, stun.BindingSuccess, mapped(netip.MustParseAddr("203.0.113.66"))).Raw
	for _, tc := range []struct {
		name   string
		answer func(request []byte) [][]byte
		want   string
	}{
		{
			"the address that it sees",
			func(r []byte) [][]byte { return [][]byte{binding(r, stun.BindingSuccess, mapped(home4))} },
			home4.String(),
		},
		{
			"after another's answer, and what is no STUN",
			func(r []byte) [][]byte {
				return [][]byte{stray, []byte("hello"), nil, binding(r, stun.BindingSuccess, mapped(home4))}
			},
			home4.String(),
		},
		{
			"an error",
			func(r []byte) [][]byte {
				return [][]byte{binding(r, stun.BindingError, stun.CodeTryAlternate)}
			},
			"answers error 300",
		},
		{
			"our own request",
			func(r []byte) [][]byte { return [][]byte{r} },
			"answers with a Binding request",
		},
		{
			"success without an address",
			func(r []byte) [][]byte { return [][]byte{binding(r, stun.BindingSuccess)} },
			"answers without an XOR-MAPPED-ADDRESS that can be read",
		},
		{
			"success with half an address",
			func(r []byte) [][]byte {
				return [][]byte{binding(r, stun.BindingSuccess, stun.RawAttribute{Type: stun.AttrXORMappedAddress, Value: []byte{0, 1, 0, 0}})}
			},
			"answers without an XOR-MAPPED-ADDRESS that can be read",
		},
		{
			"the other family's",
			func(r []byte) [][]byte { return [][]byte{binding(r, stun.BindingSuccess, mapped(home6))} },
			"tells an ipv6 address over ipv4",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at := serveRaw(t, func(pc net.PacketConn, from net.Addr, packet []byte) {
				for _, answer := range tc.answer(packet) {
					_, _ = pc.WriteTo(answer, from)
				}
			})
			s := corefile.Source{Kind: "stun", Args: []string{at.String()}}
			got, err := ask(t.Context(), s, wanip.SourceOptions{}, zones.IPv4)
			if text := outcome(got, err); text != tc.want {
				t.Errorf("got %s, want %s", text, tc.want)
			}
		})
	}
}

func TestSTUNHost(t *testing.T) {
	at := serveRaw(t, func(pc net.PacketConn, from net.Addr, packet []byte) {
		_, _ = pc.WriteTo(binding(packet, stun.BindingSuccess, mapped(home4)), from)
	})
	o := wanip.SourceOptions{Resolve: func(_ context.Context, _ via.Path, host string) ([]netip.Addr, error) {
		if host != "stun.example" {
			t.Errorf("looked up %s", host)
		}
		return []netip.Addr{at.Addr()}, nil
	}}
	_, port, _ := strings.Cut(at.String(), ":")
	s := corefile.Source{Kind: "stun", Args: []string{"stun.example:" + port}}
	if got, err := ask(t.Context(), s, o, zones.IPv4); err != nil || got != home4 {
		t.Errorf("got %v, %v; want %v", got, err, home4)
	}
}

func TestSTUNSilent(t *testing.T) {
	at := serveRaw(t, func(net.PacketConn, net.Addr, []byte) {})
	s := corefile.Source{Kind: "stun", Args: []string{at.String()}}
	_, err := ask(within(t, 100*time.Millisecond), s, wanip.SourceOptions{}, zones.IPv4)
	if got := outcome(netip.Addr{}, err); got != "no answer in time" {
		t.Errorf("got %s", got)
	}
}

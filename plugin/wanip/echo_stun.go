package wanip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/pion/stun/v3"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/zones"
)

// maxSTUN bounds an answer, which comes in one datagram.
const maxSTUN = 1500

// stunEcho asks a STUN server (RFC 8489) where the request came from. Nobody signs the answer.
type stunEcho struct {
	host, port string
	lookup     func(ctx context.Context, path via.Path, host string) ([]netip.Addr, error)
}

func newSTUN(s corefile.Source, o SourceOptions) *stunEcho {
	host, port, err := net.SplitHostPort(s.Args[0])
	if err != nil {
		panic(err) // the Corefile was checked
	}
	return &stunEcho{host, port, o.Resolve}
}

func (e *stunEcho) ask(ctx context.Context, path via.Path, f zones.Family) (netip.Addr, error) {
	servers, err := lookUp(ctx, e.lookup, path, e.host, e.port, f)
	if err != nil {
		return netip.Addr{}, err
	}
	return askServers(ctx, servers, f, true, func(ctx context.Context, server netip.AddrPort) (netip.Addr, error) {
		return bind(ctx, path, server)
	})
}

// bind makes one binding request. What does not answer it is passed over.
func bind(ctx context.Context, path via.Path, server netip.AddrPort) (netip.Addr, error) {
	conn, err := path.Dial(ctx, "udp", server.String())
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	defer endWith(ctx, conn)()
	request, err := stun.Build(stun.TransactionID, stun.BindingRequest)
	if err != nil {
		return netip.Addr{}, err
	}
	if _, err := conn.Write(request.Raw); err != nil {
		return netip.Addr{}, err
	}
	buf := make([]byte, maxSTUN)
	for strays := 0; ; strays++ {
		n, err := conn.Read(buf)
		if err != nil {
			return netip.Addr{}, strayed(ctx, err, strays)
		}
		answer := new(stun.Message)
		if stun.Decode(buf[:n], answer) == nil && answer.TransactionID == request.TransactionID {
			return readBinding(answer)
		}
	}
}

func readBinding(answer *stun.Message) (netip.Addr, error) {
	switch answer.Type {
	case stun.BindingSuccess:
	case stun.BindingError:
		var e stun.ErrorCodeAttribute
		_ = e.GetFrom(answer) // without one the code is 0
		return netip.Addr{}, fmt.Errorf("answers error %d", e.Code)
	default:
		return netip.Addr{}, fmt.Errorf("answers with a %s", answer.Type)
	}
	var mapped stun.XORMappedAddress
	err := mapped.GetFrom(answer)
	addr, ok := netip.AddrFromSlice(mapped.IP)
	if err != nil || !ok {
		return netip.Addr{}, errors.New("answers without an XOR-MAPPED-ADDRESS that can be read")
	}
	return addr.Unmap(), nil
}

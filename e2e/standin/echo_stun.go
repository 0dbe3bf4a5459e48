package standin

import (
	"context"
	"encoding/binary"
	"net/netip"
)

// serveSTUN answers binding requests with XOR-MAPPED-ADDRESS (RFC 8489, 14.2), whose port is the asker's.
func (s *EchoServer) serveSTUN() error {
	const (
		request, success, failure = 0x0001, 0x0101, 0x0111
		mapped, code              = 0x0020, 0x0009
		cookie                    = 0x2112a442
		head                      = 20
	)
	return s.servePackets(func(ctx context.Context, packet []byte, from netip.AddrPort) []byte {
		if len(packet) < head || binary.BigEndian.Uint16(packet) != request || binary.BigEndian.Uint32(packet[4:]) != cookie {
			return nil
		}
		told, fault := s.ask(ctx, from.Addr())
		kind, attribute, value := uint16(success), uint16(mapped), xorMapped(netip.AddrPortFrom(told, from.Port()), packet[4:head])
		switch fault {
		case EchoSilent:
			return nil
		case EchoFail:
			kind, attribute, value = failure, code, []byte{0, 0, 5, 0} // 500, without a reason
		case EchoJunk:
			value = value[:3]
		}
		out := binary.BigEndian.AppendUint16(nil, kind)
		out = binary.BigEndian.AppendUint16(out, uint16(4+(len(value)+3)/4*4))
		out = append(out, packet[4:head]...)
		out = binary.BigEndian.AppendUint16(out, attribute)
		out = binary.BigEndian.AppendUint16(out, uint16(len(value)))
		return append(out, append(value, make([]byte, (4-len(value)%4)%4)...)...)
	})
}

// xorMapped returns an address and port as the attribute has them, hidden from routers that would change them:
// XORed with the cookie and the transaction's id, which are the key.
func xorMapped(a netip.AddrPort, key []byte) []byte {
	family := byte(1)
	if a.Addr().Is6() {
		family = 2
	}
	out := []byte{0, family, byte(a.Port()>>8) ^ key[0], byte(a.Port()) ^ key[1]}
	for i, b := range a.Addr().AsSlice() {
		out = append(out, b^key[i])
	}
	return out
}

package wanip

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"plexha/plugin/via"
)

const (
	// searchPort is where devices listen for searches (UPnP Device Architecture 1.1, 1.3.2).
	searchPort = 1900
	// searchWait is how long devices may take to answer: the MX of the search, in seconds, and the way.
	searchWait = searchMX*time.Second + 200*time.Millisecond
	searchMX   = 2
	// searchSends is how often a search is sent, since nobody acknowledges it.
	searchSends = 2
	// maxLocations bounds how many devices are heard.
	maxLocations = 16
	// maxPacket bounds an answer. Those of routers have some 300 bytes.
	maxPacket = 2048
)

// everybody is where devices listen that nobody knows yet (the same, 1.1.1).
var everybody = netip.MustParseAddr("239.255.255.250")

// gatewayTypes are the devices that are searched. One of the second version should answer for the first as well,
// but not all do.
var gatewayTypes = []string{
	"urn:schemas-upnp-org:device:InternetGatewayDevice:1",
	"urn:schemas-upnp-org:device:InternetGatewayDevice:2",
}

// search finds Internet gateways by SSDP. The library's own search neither goes by a path nor tells who answers.
type search struct {
	path   via.Path
	wanted netip.Addr // the router that it should be; the zero Addr: whichever answers first
	only   bool       // nobody else is asked
}

// run returns where gateways describe themselves. It ends as soon as the wanted one has answered, whose description
// is then the first.
func (s search) run(ctx context.Context) ([]*url.URL, error) {
	ctx, cancel := context.WithTimeout(ctx, searchWait)
	defer cancel()
	conn, err := s.path.ListenPacket(ctx, "udp4", ":0")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }) // fails if it is closed by now
	defer stop()
	if err := s.send(conn); err != nil {
		return nil, fmt.Errorf("searching for the router: %w", err)
	}
	return s.collect(conn), nil
}

// send fails if nobody could be asked.
func (s search) send(conn net.PacketConn) (err error) {
	sent := false
	for range searchSends {
		for _, target := range s.targets() {
			for _, device := range gatewayTypes {
				_, e := conn.WriteTo(searchFor(device), net.UDPAddrFromAddrPort(netip.AddrPortFrom(target, searchPort)))
				if sent = sent || e == nil; !sent {
					err = e
				}
			}
		}
	}
	if sent {
		return nil
	}
	return err
}

// searchFor is an M-SEARCH request (the same, 1.3.2).
func searchFor(device string) []byte {
	return fmt.Appendf(nil, "M-SEARCH * HTTP/1.1\r\nHOST: %v:%d\r\nMAN: \"ssdp:discover\"\r\nMX: %d\r\nST: %s\r\n\r\n",
		everybody, searchPort, searchMX, device)
}

// targets are where the search is sent to. The wanted router is asked directly as well: a firewall on this host lets
// in its answer then, but not an answer to a search of everybody, which comes from an address that nothing went to.
func (s search) targets() []netip.Addr {
	var out []netip.Addr
	if s.wanted.IsValid() {
		out = append(out, s.wanted)
	}
	if !s.only {
		out = append(out, everybody)
	}
	return out
}

// collect reads answers until the search is over.
func (s search) collect(conn net.PacketConn) (found []*url.URL) {
	packet := make([]byte, maxPacket)
	for len(found) < maxLocations {
		n, from, err := conn.ReadFrom(packet)
		if err != nil {
			break
		}
		sender := from.(*net.UDPAddr).AddrPort().Addr().Unmap()
		location, ok := locationIn(packet[:n], sender)
		switch {
		case !ok:
		case !s.wanted.IsValid() || sender == s.wanted:
			return slices.Insert(found, 0, location)
		default:
			found = append(found, location)
		}
	}
	return found
}

// locationIn returns where an answer to the search says that its sender describes itself. An answer that leads to
// somebody else is none: nobody should have us ask others for him.
func locationIn(packet []byte, sender netip.Addr) (*url.URL, bool) {
	answer, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(packet)), nil)
	if err != nil {
		return nil, false
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK || !slices.Contains(gatewayTypes, answer.Header.Get("St")) {
		return nil, false
	}
	location, err := answer.Location()
	return location, err == nil && location.Scheme == "http" && location.Hostname() == sender.String()
}

package standin

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// serveNATPMP answers requests for the external address (RFC 6886, 3.2), and refuses all others as one that
// maps no ports.
func (s *EchoServer) serveNATPMP() error {
	const (
		response               = 128
		success, version       = 0, 1
		failure, unknownOpcode = 3, 5
	)
	began := time.Now()
	return s.servePackets(func(ctx context.Context, packet []byte, from netip.AddrPort) []byte {
		if len(packet) < 2 || packet[1] >= response {
			return nil
		}
		told, fault := s.ask(ctx, from.Addr())
		result := uint16(success)
		switch {
		case fault == EchoSilent:
			return nil
		case fault == EchoJunk:
			return []byte{0, response, 0}
		case packet[0] != 0:
			result = version
		case packet[1] != 0:
			result = unknownOpcode
		case fault == EchoFail || !told.Is4():
			result = failure
		}
		out := binary.BigEndian.AppendUint16([]byte{0, response + packet[1]}, result)
		out = binary.BigEndian.AppendUint32(out, uint32(time.Since(began).Seconds()))
		if result != success {
			told = netip.IPv4Unspecified()
		}
		return append(out, told.AsSlice()...)
	})
}

// The service that tells the external address, in the oldest of its versions (UPnP IGD 1).
const (
	upnpService = "urn:schemas-upnp-org:service:WANIPConnection:1"
	upnpControl = "/ctl/IPConn"
)

// upnpDevice nests devices, as a router's description does.
func upnpDevice(kind, inner string) string {
	return "<device><deviceType>urn:schemas-upnp-org:device:" + kind + ":1</deviceType><friendlyName>stand-in router</friendlyName>" +
		"<manufacturer>plexha</manufacturer><modelName>stand-in</modelName><UDN>uuid:00000000-0000-4000-8000-" +
		fmt.Sprintf("%012x", len(kind)) + "</UDN>" + inner + "</device>"
}

func upnpDescription() string {
	service := "<serviceList><service><serviceType>" + upnpService + "</serviceType>" +
		"<serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId><SCPDURL>/WANIPCn.xml</SCPDURL>" +
		"<controlURL>" + upnpControl + "</controlURL><eventSubURL>/evt/IPConn</eventSubURL></service></serviceList>"
	list := func(device string) string { return "<deviceList>" + device + "</deviceList>" }
	connection := upnpDevice("WANConnectionDevice", service)
	return `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0">` +
		"<specVersion><major>1</major><minor>0</minor></specVersion>" +
		upnpDevice("InternetGatewayDevice", list(upnpDevice("WANDevice", list(connection)))) + "</root>"
}

// serveUPnP tells the address by GetExternalIPAddress, at a control URL that its description names. It does not
// answer searches.
func (s *EchoServer) serveUPnP() error {
	return s.serveWeb(func(w http.ResponseWriter, r *http.Request, told netip.Addr, fault EchoFault) {
		w.Header().Set("Content-Type", `text/xml; charset="utf-8"`)
		switch {
		case r.Method == http.MethodGet && r.URL.Path == "/rootDesc.xml":
			_, _ = io.WriteString(w, upnpDescription())
		case r.Method != http.MethodPost || r.URL.Path != upnpControl:
			http.NotFound(w, r)
		case !strings.Contains(r.Header.Get("SOAPAction"), upnpService+"#GetExternalIPAddress"):
			upnpAnswer(w, http.StatusInternalServerError, "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring>"+
				`<detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>401</errorCode>`+
				"<errorDescription>Invalid Action</errorDescription></UPnPError></detail></s:Fault>")
		default:
			word := told.String()
			if fault == EchoJunk {
				word = "not an address"
			}
			upnpAnswer(w, http.StatusOK, `<u:GetExternalIPAddressResponse xmlns:u="`+upnpService+`"><NewExternalIPAddress>`+
				word+"</NewExternalIPAddress></u:GetExternalIPAddressResponse>")
		}
	})
}

func upnpAnswer(w http.ResponseWriter, status int, body string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" `+
		`s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>`+body+"</s:Body></s:Envelope>")
}

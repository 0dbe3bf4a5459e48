package wanip

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/dcps/internetgateway2"
	"github.com/huin/goupnp/soap"

	"plexha/plugin/via"
)

const (
	// rememberFor is how long the place of a router's description is taken for known. A search costs seconds.
	rememberFor = time.Hour
	// maxDescriptions bounds how many devices that call themselves gateways are asked.
	maxDescriptions = 4
	// maxXML bounds what a device may say in one answer. Descriptions of routers have some 10 KiB.
	maxXML = 256 << 10
)

// upnp asks a router by UPnP (WANIPConnection and WANPPPConnection, GetExternalIPAddress).
type upnp struct {
	fixed string     // the URL of its description, from the Corefile; empty: it is searched
	at    netip.Addr // where it is searched; the zero Addr: wherever it is

	mu    sync.Mutex
	known map[string]place // by the interface of the path
}

// place is where a description was found.
type place struct {
	location *url.URL
	until    time.Time
}

func newUPnP(args []string, at netip.Addr) *upnp {
	u := &upnp{at: at, known: make(map[string]place)}
	if len(args) > 0 {
		u.fixed = args[0]
	}
	return u
}

func (u *upnp) ask(ctx context.Context, path via.Path) (netip.Addr, error) {
	if u.fixed != "" {
		location, err := url.Parse(u.fixed)
		if err != nil {
			return netip.Addr{}, err
		}
		return askDevice(ctx, path, location)
	}
	if location := u.remembered(path, time.Now()); location != nil {
		if addr, err := askDevice(ctx, path, location); err == nil {
			return addr, nil
		}
		u.remember(path, place{})
	}
	found, err := u.search(path).run(ctx)
	switch {
	case err != nil:
		return netip.Addr{}, err
	case ctx.Err() != nil:
		return netip.Addr{}, context.Cause(ctx)
	case len(found) == 0:
		return netip.Addr{}, errors.New("no router answers by UPnP, which may be turned off")
	}
	return u.first(ctx, path, found)
}

func (u *upnp) search(path via.Path) search {
	s := search{path: path, wanted: u.at, only: u.at.IsValid()}
	if router, err := gateway(path); err == nil && !s.only {
		s.wanted = router
	}
	return s
}

// first returns what the first of several devices says that says something.
func (u *upnp) first(ctx context.Context, path via.Path, found []*url.URL) (netip.Addr, error) {
	var first error
	for i, location := range found[:min(len(found), maxDescriptions)] {
		addr, err := askDevice(ctx, path, location)
		if err == nil {
			u.remember(path, place{location, time.Now().Add(rememberFor)})
			return addr, nil
		}
		if i == 0 {
			first = err
		}
	}
	return netip.Addr{}, first
}

func (u *upnp) remembered(path via.Path, now time.Time) *url.URL {
	u.mu.Lock()
	defer u.mu.Unlock()
	if p := u.known[path.Interface]; now.Before(p.until) {
		return p.location
	}
	return nil
}

func (u *upnp) remember(path via.Path, p place) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.known[path.Interface] = p
}

// connection is a service of a gateway that knows the external address.
type connection interface {
	GetExternalIPAddressCtx(ctx context.Context) (string, error)
	GetServiceClient() *goupnp.ServiceClient
}

// askDevice reads a gateway's description and asks its connections, the first that has an address.
func askDevice(ctx context.Context, path via.Path, location *url.URL) (netip.Addr, error) {
	client := deviceClient(path)
	root, err := describe(ctx, client, location)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("reading the router's description at %s: %w", location, deviceError(ctx, err))
	}
	first := fmt.Errorf("%s is no Internet gateway", location)
	for i, c := range connectionsOf(root, location) {
		addr, err := askConnection(ctx, client, c)
		if err == nil {
			return addr, nil
		}
		if i == 0 {
			first = fmt.Errorf("asking the router %s: %w", location.Host, deviceError(ctx, err))
		}
	}
	return netip.Addr{}, first
}

func askConnection(ctx context.Context, client *http.Client, c connection) (netip.Addr, error) {
	service := c.GetServiceClient()
	if to := service.SOAPClient.EndpointURL; to.Hostname() != service.Location.Hostname() {
		return netip.Addr{}, fmt.Errorf("it points to another host, %q", cut(to.Host))
	}
	service.SOAPClient.HTTPClient = *client
	text, err := c.GetExternalIPAddressCtx(ctx)
	if err != nil {
		return netip.Addr{}, err
	}
	if text = strings.TrimSpace(text); text == "" {
		return outside(netip.Addr{})
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%q is no address", cut(text))
	}
	return outside(addr)
}

// connectionsOf returns what of a device can be asked, the newest kind first.
func connectionsOf(root *goupnp.RootDevice, location *url.URL) (out []connection) {
	// An error says that there is none of that kind.
	ip2, _ := internetgateway2.NewWANIPConnection2ClientsFromRootDevice(root, location)
	ip1, _ := internetgateway2.NewWANIPConnection1ClientsFromRootDevice(root, location)
	ppp, _ := internetgateway2.NewWANPPPConnection1ClientsFromRootDevice(root, location)
	for _, c := range ip2 {
		out = append(out, c)
	}
	for _, c := range ip1 {
		out = append(out, c)
	}
	for _, c := range ppp {
		out = append(out, c)
	}
	return out
}

// describe reads a description as the library does, which would go by the process's default client.
func describe(ctx context.Context, client *http.Client, location *url.URL) (*goupnp.RootDevice, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, location.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", resp.Status)
	}
	root := new(goupnp.RootDevice)
	decoder := xml.NewDecoder(resp.Body)
	decoder.DefaultSpace = goupnp.DeviceXMLNamespace
	// What we look for is ASCII, whatever the document calls its letters.
	decoder.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	if err := decoder.Decode(root); err != nil {
		return nil, err
	}
	base := location
	if root.URLBaseStr != "" {
		if base, err = url.Parse(root.URLBaseStr); err != nil {
			return nil, err
		}
	}
	root.SetURLBase(base)
	return root, nil
}

// deviceClient talks to devices by a path, and to nobody whom they point to.
func deviceClient(path via.Path) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("it redirects elsewhere") },
		Transport: shortAnswers{&http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				return path.Dial(ctx, "tcp4", address)
			},
		}},
	}
}

// shortAnswers bounds bodies, which the library reads to their end.
type shortAnswers struct{ http.RoundTripper }

func (s shortAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxXML), resp.Body}
	}
	return resp, err
}

// deviceError finds words that are short enough: the library repeats whole documents.
func deviceError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if fault, ok := errors.AsType[*soap.SOAPFaultError](err); ok {
		upnp := fault.Detail.UPnPError
		return fmt.Errorf("UPnP error %d %q", upnp.Errorcode, cut(upnp.ErrorDescription))
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return errors.New(cut(err.Error()))
}

package relay

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

func init() { caddy.RegisterModule(new(Transport)) }

// Transport brings requests to the nodes that [Policy] has chosen for them, and to others where that may help.
type Transport struct {
	// The zone of the cluster.
	Zone string `json:"zone"`
}

// CaddyModule returns the Caddy module information.
func (*Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.plexha",
		New: func() caddy.Module { return new(Transport) },
	}
}

// Provision finds the relay.
func (t *Transport) Provision(caddy.Context) error {
	_, err := relays.find(t.Zone)
	return err
}

var errNoTrip = errors.New("the request has not passed the handler plexha")

// RoundTrip implements [http.RoundTripper]. What it returns stands for an answer which the handler "plexha" will
// write, when reverse_proxy has returned. Where it can, that handler has the request carried as well: an open
// stream holds its stack for as long as it lasts, and reverse_proxy's part of it is as large as all the rest.
func (*Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t, ok := tripOf(req.Context())
	if !ok || t.policy == nil {
		return nil, errNoTrip
	}
	vouch(req, t.client)
	t.req = req
	if t.needsProxy() {
		res, err := t.carry()
		if err != nil || res.StatusCode == http.StatusSwitchingProtocols {
			return res, err
		}
	}
	t.parted = true
	return t.stub, nil
}

// needsProxy reports whether reverse_proxy must wait for the answer itself: to become a tunnel, or since a policy
// goes by its count of the requests that are under way.
func (t *trip) needsProxy() bool {
	return t.req.Header["Upgrade"] != nil || !t.policy.balance.carefree()
}

// vouch tells the node the client's address. It comes after reverse_proxy has taken out what is for one connection,
// since a client could name this header among that.
func vouch(req *http.Request, client string) {
	client, _, _ = strings.Cut(client, "%") // the zone of a link-local address means nothing elsewhere
	req.Header["X-Real-Ip"] = []string{client}
}

// Interface guards
var (
	_ caddy.Provisioner = (*Transport)(nil)
	_ http.RoundTripper = (*Transport)(nil)
)

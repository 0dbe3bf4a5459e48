package relay

import (
	"encoding/json"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"plexha/zones"
)

// Site is one name, or kind of names, that is served.
type Site struct {
	Zone    string         // of the cluster
	Node    zones.NodeName // whose own name it is; empty: the main name
	Found   bool           // the request variable plexha_node, a zones.NodeName, says which node
	Balance string         // Caddy's name of the policy for requests that are bound to no node; empty: uri_hash
}

const (
	// streamCloseDelay is how long a websocket lives on after a reload that it does not notice otherwise.
	streamCloseDelay = 24 * time.Hour
	// streamBuffer is the buffer of each direction of a websocket: notifications are short, and there may be
	// a thousand sockets.
	streamBuffer = 4 << 10
)

// Handlers returns Caddy's handlers of a site.
func Handlers(s Site) []json.RawMessage {
	balance := s.Balance
	if balance == "" {
		balance = "uri_hash"
	}
	proxy := reverseproxy.Handler{
		TransportRaw: caddyconfig.JSONModuleObject(Transport{Zone: s.Zone}, "protocol", "plexha", nil),
		LoadBalancing: &reverseproxy.LoadBalancing{
			SelectionPolicyRaw: caddyconfig.JSONModuleObject(Policy{
				Zone:       s.Zone,
				BalanceRaw: caddyconfig.JSONModuleObject(struct{}{}, "policy", balance, nil),
			}, "policy", "plexha", nil),
		},
		StreamCloseDelay: caddy.Duration(streamCloseDelay),
		StreamBufferSize: streamBuffer,
		HandleResponse: []caddyhttp.ResponseHandler{{
			Match: &caddyhttp.ResponseMatcher{StatusCode: []int{2, 3, 4, 5}}, // classes: all but 101
			Routes: caddyhttp.RouteList{{
				HandlersRaw: []json.RawMessage{caddyconfig.JSONModuleObject(Answer{}, "handler", "plexha_answer", nil)},
			}},
		}},
	}
	outer := Handler{Zone: s.Zone, Node: s.Node, Found: s.Found}
	return []json.RawMessage{
		caddyconfig.JSONModuleObject(outer, "handler", "plexha", nil),
		caddyconfig.JSONModuleObject(proxy, "handler", "reverse_proxy", nil),
	}
}

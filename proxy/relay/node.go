package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/cespare/xxhash/v2"

	"plexha/proxy/affinity"
	"plexha/zones"
)

const (
	// idlePerNode bounds the connections to a node that wait for the next request: a browser opens a page of
	// posters at once, and each connection that is not kept costs the next poster a round trip.
	idlePerNode = 256
	// idleTimeout is how long they are kept: less than a minute, after which many a NAT has forgotten them.
	idleTimeout = 55 * time.Second
	// dialTimeout bounds the attempt at one address. It is a guess: above the second SYN (1 s, RFC 6298), and
	// below the time that `retry` leaves by default.
	dialTimeout = 2 * time.Second
	// connBuffer is the buffer of each direction of a connection: it holds the headers of most requests and answers,
	// and stays as long as the connection, and so the stream.
	connBuffer = 2 << 10
	// continueTimeout is how long an upload waits for the node's 100, as in net/http's DefaultTransport.
	continueTimeout = time.Second
)

// node is one node as the relay deals with it. It lives as long as it is asked for at one place in one way.
type node struct {
	name   zones.NodeName
	dial   string // the Corefile's HOST:PORT
	https  bool
	verify bool

	transport *http.Transport
	tls       *tls.Config              // nil without https
	upstream  *reverseproxy.Upstream   // what Caddy's policies choose from, with their count of requests
	hash      xxhash.Digest            // of dial, where `uri_hash` goes on
	addrs     atomic.Pointer[[]string] // ADDRESS:PORT, best first; empty: dial is looked up
	stats     *stats

	cookie, secureCookie string // that name the node

	mu      sync.Mutex
	waiting *attempt // for headers, a list
	limit   int      // of requests at once; 0: none
	busy    int      // requests that hold one of limit slots
	queue   []*attempt
}

// newNode returns a node as it is known. It goes on counting where the one before it ended.
func newNode(name zones.NodeName, dial string, known *zones.NodeHealth, before *node) *node {
	n := &node{
		name: name, dial: dial, https: known.HTTPS, verify: known.Verify,
		upstream: &reverseproxy.Upstream{Host: new(reverseproxy.Host), Dial: dial},
		stats:    new(stats),
		cookie:   affinity.CookieName + "=" + string(name) + "; Path=/; HttpOnly; SameSite=Lax",
	}
	n.secureCookie = n.cookie + "; Secure"
	if before != nil {
		n.stats = before.stats
	}
	n.hash.Reset()
	_, _ = n.hash.WriteString(dial)
	if n.https {
		n.tls = &tls.Config{
			ServerName:         known.Host,
			InsecureSkipVerify: !n.verify, // a Plex server's own certificate is for plex.direct; `verify` asks for more
			ClientSessionCache: tls.NewLRUClientSessionCache(0),
		}
	}
	n.transport = n.newTransport()
	return n
}

// newTransport returns the connections to the node. They have no timeout for headers, since a transcoder may
// take its time: the board decides when a node is down. Nothing is compressed: media is already, and a
// Content-Length must stay.
func (n *node) newTransport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:           n.dialTCP,
		DialTLSContext:        n.dialTLS,
		DisableCompression:    true,
		MaxIdleConnsPerHost:   idlePerNode,
		IdleConnTimeout:       idleTimeout,
		ExpectContinueTimeout: continueTimeout,
		ReadBufferSize:        connBuffer,
		WriteBufferSize:       connBuffer,
		Protocols:             protocols,
	}
}

func (n *node) scheme() string {
	if n.https {
		return "https"
	}
	return "http"
}

// follow takes over where the node listens now. After a change no connection waits for a request at an address that
// the node has left: nothing would tell it, and the request would wait for an answer that never comes.
func (n *node) follow(known *zones.NodeHealth) {
	addrs := addresses(known)
	if before := n.addrs.Swap(&addrs); before != nil && !slices.Equal(*before, addrs) {
		n.transport.CloseIdleConnections()
	}
}

// dialError says that a node could not be connected to, so that nothing has reached it.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

var dialer = net.Dialer{
	Timeout: dialTimeout,
	// Gives up on a host that has died during an answer after half a minute.
	KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
}

// dialTCP connects to the node at the first of its addresses that answers.
func (n *node) dialTCP(ctx context.Context, network, _ string) (net.Conn, error) {
	addrs := *n.addrs.Load()
	if len(addrs) == 0 {
		addrs = []string{n.dial}
	}
	var errs []error
	for _, addr := range addrs {
		conn, err := dialer.DialContext(ctx, network, addr)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, dialError{errors.Join(errs...)}
}

// dialTLS connects to a node that speaks TLS. A failed handshake counts as a failed connection.
func (n *node) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := n.dialTCP(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	secure := tls.Client(conn, n.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, dialError{err}
	}
	return secure, nil
}

// watch enters an attempt that waits for the node's headers, so that it is let go when the node goes down.
func (n *node) watch(a *attempt) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a.next = n.waiting
	if a.next != nil {
		a.next.prev = a
	}
	n.waiting = a
}

// unwatch takes the attempt out again, and reports whether it has been let go.
func (n *node) unwatch(a *attempt) (letGo bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a.next != nil {
		a.next.prev = a.prev
	}
	if a.prev != nil {
		a.prev.next = a.next
	} else {
		n.waiting = a.next
	}
	a.next, a.prev = nil, nil
	return a.letGo
}

// errLetGo is why an attempt ends whose node has gone down. It is not context.Canceled, which Caddy takes for
// a client that has left.
var errLetGo = errors.New("the node went down before it answered")

// letGo ends all attempts that wait for the node's headers.
func (n *node) letGo() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for a := n.waiting; a != nil; a = a.next {
		a.letGo = true
		a.cancel(errLetGo)
	}
}

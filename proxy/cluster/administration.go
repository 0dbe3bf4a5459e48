package cluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"plexha/zones"
)

// How open administrations are looked for.
const (
	// adminPath shows the libraries to an admin or a member, and answers 401 without a token. A Plex server
	// that nobody has claimed, and one whose settings allow the proxy's address without authentication, take
	// whoever comes through the proxy for their admin.
	adminPath = "/library/sections"
	// adminEvery is how often a node is asked: its settings may change while it is up.
	adminEvery = time.Hour
	// adminAgain is when a node is asked again whose answer said nothing. A guess.
	adminAgain = time.Minute
	// adminTimeout bounds one question. A library on disks that sleep takes some seconds.
	adminTimeout = 10 * time.Second
)

// door is where a node is asked. A node that stands elsewhere is another one, of which nothing is known.
type door struct {
	name  zones.NodeName
	host  string
	port  uint16
	https bool
}

func doorOf(n *zones.NodeHealth) door { return door{n.Name, n.Host, n.Port, n.HTTPS} }

// knowledge is what is known of one node's administration.
type knowledge struct {
	identity string    // that the node had when it was asked
	next     time.Time // when it is asked again
	open     bool      // as the last answer had it that said something; closed before
	said     bool      // one has
}

// administration is what is known of all nodes' administrations. It outlives reloads.
type administration struct {
	mu    sync.Mutex
	doors map[door]*knowledge
}

// due returns the nodes that are up and must be asked now, and when to look again if no news comes before:
// the zero Time if never.
func (a *administration) due(s *zones.Snapshot, now time.Time) (nodes []*zones.NodeHealth, next time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget(s)
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if !n.State.IsUp() {
			continue
		}
		k := a.doors[doorOf(n)]
		switch {
		case k == nil, n.Identity != "" && n.Identity != k.identity, !now.Before(k.next):
			nodes = append(nodes, n)
		case next.IsZero() || k.next.Before(next):
			next = k.next
		}
	}
	return nodes, next
}

// forget drops what is known of nodes that are gone: those that are found in the DNS come and go.
func (a *administration) forget(s *zones.Snapshot) {
	maps.DeleteFunc(a.doors, func(at door, _ *knowledge) bool {
		return !slices.ContainsFunc(s.Nodes, func(n zones.NodeHealth) bool { return doorOf(&n) == at })
	})
}

// learn takes note of an answer's status, 0 if there was none: 200 is open, 401 and 403 are closed, and all
// others say nothing.
func (a *administration) learn(n *zones.NodeHealth, status int, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := doorOf(n)
	k := a.doors[at]
	if k == nil {
		k = &knowledge{}
		a.doors[at] = k
	}
	k.identity, k.next = n.Identity, now.Add(adminEvery)
	switch status {
	case http.StatusOK:
		k.open, k.said = true, true
	case http.StatusUnauthorized, http.StatusForbidden:
		k.open, k.said = false, true
	default:
		k.next = now.Add(adminAgain)
	}
}

// isOpen reports whether whoever comes through the proxy is a node's admin.
func (a *administration) isOpen(n *zones.NodeHealth) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.doors[doorOf(n)]
	return k != nil && k.open
}

// isKnown reports whether a node has said whether its administration is open.
func (a *administration) isKnown(n *zones.NodeHealth) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.doors[doorOf(n)]
	return k != nil && k.said
}

// refused returns the nodes whose administration is open though nobody has said that it is meant to be.
func (a *administration) refused(s *zones.Snapshot, meant []zones.NodeName) map[zones.NodeName]bool {
	out := map[zones.NodeName]bool{}
	for i := range s.Nodes {
		if n := &s.Nodes[i]; a.isOpen(n) && !slices.Contains(meant, n.Name) {
			out[n.Name] = true
		}
	}
	return out
}

// watchAdministration asks the nodes after the first round, hourly, and when one comes up that is another
// one than was asked.
func (s *Setup) watchAdministration(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.prober.FirstRound():
	}
	news, cancel := s.board.Subscribe()
	defer cancel()
	for ctx.Err() == nil {
		nodes, next := s.cluster.admin.due(s.board.Snapshot(), time.Now())
		if len(nodes) > 0 {
			s.askAdministration(ctx, nodes)
			signal(s.again)
			continue
		}
		var due <-chan time.Time
		if !next.IsZero() {
			due = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
		case <-news:
		case <-due:
		}
	}
	return nil
}

// askAdministration asks some nodes at once and waits for all.
func (s *Setup) askAdministration(ctx context.Context, nodes []*zones.NodeHealth) {
	var asking sync.WaitGroup
	for _, n := range nodes {
		asking.Go(func() {
			status := askAdmin(ctx, n, s.cluster.opts.Version)
			if ctx.Err() == nil {
				s.cluster.admin.learn(n, status, time.Now())
			}
		})
	}
	asking.Wait()
}

// askAdmin returns the status of a node's answer to a stranger, or 0 if there was none.
func askAdmin(ctx context.Context, n *zones.NodeHealth, version string) int {
	addr, ok := bestAddr(n)
	if !ok {
		return 0
	}
	ctx, cancel := context.WithTimeoutCause(ctx, adminTimeout, fmt.Errorf("no answer within %v", adminTimeout))
	defer cancel()
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, netip.AddrPortFrom(addr, n.Port).String())
			},
			// Without `verify` a certificate for another name, or a self-made one, is what the operator expects.
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: !n.Verify}, //nolint:gosec // as configured
			DisableKeepAlives: true,
		},
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(n.Host, strconv.Itoa(int(n.Port))), Path: adminPath}
	if n.HTTPS {
		u.Scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return 0
	}
	req.Header.Set("User-Agent", "plexha/"+version)
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close() // the status says all
	return resp.StatusCode
}

// bestAddr returns the address at which a node is up, or else any.
func bestAddr(n *zones.NodeHealth) (addr netip.Addr, ok bool) {
	for _, a := range n.Addrs {
		if a.State.IsUp() {
			return a.Addr, true
		}
		addr, ok = a.Addr, true
	}
	return addr, ok
}

// Package status shows how the clusters of a plexdns are, over HTTP and over a Unix socket, and takes the
// operator's orders.
//
//	GET  /             the page, which GET /live tells what changes
//	GET  /status.json  a [Document]
//	GET  /events.json  what has happened, oldest first, and GET /events as server-sent events, without an end;
//	                   ?zone=ZONE&after=N
//	POST /order        an order on a node, proxy or uplink: see [page.ReadOrder]
//	POST /detect       a round of detection of the external addresses, started at once (202)
//	POST /duckdns      a look at the published record, with a push if it needs one, started at once (202)
//
// A form's or query's zone says whose. What goes wrong is told as {"error": "..."}.
//
// Others than this machine see what their block's `public` shows them, and change nothing. The socket is for
// those who may write to the state folder: see [door.Door].
package status

import (
	"net/netip"
	"slices"
	"sync"

	"plexha/corefile/lint"
	"plexha/plugin/duckdns"
	"plexha/plugin/wanip"
	"plexha/zones"
	"plexha/zones/board"
	"plexha/zones/timeline"
)

// Source is one cluster that is shown. All of it may be called by several goroutines at once, and none of it
// waits.
type Source interface {
	// Zone returns the name that the cluster goes by, fully qualified: its first origin.
	Zone() string
	Snapshot() *zones.Snapshot
	// External returns a report for each uplink whose address is detected.
	External() []wanip.Report
	// DuckDNS returns nil without a `duckdns` line.
	DuckDNS() *duckdns.Report
	// Detect starts a round of detection soon.
	Detect()
	// Push has the record looked at soon, and pushed if it needs to be, whatever is waited for.
	Push()
	// Answers returns what each name of ours leads to now, in both views.
	Answers() []Answer
	// Timeline returns what has happened, over reloads.
	Timeline() *timeline.Timeline
	// Subscribe returns a channel that holds a value at once, and whenever what is shown may have changed since it was
	// read, and a function that ends the subscription.
	Subscribe() (news <-chan struct{}, cancel func())
	// Stalled returns the subjects whose probes give no sign of life.
	Stalled() []zones.Subject
	// Findings returns what is unwise in the block, as it was said at the start.
	Findings() []lint.Finding
	// Order writes an order on a node, proxy or uplink into the orders file, or with [zones.NoOrder] takes back what
	// there is. The error is a [*state.OrderError] if it is the order's fault.
	Order(o board.OrderLine) error
}

// Options say where a cluster is shown, and to whom.
type Options struct {
	Addr    netip.AddrPort   // of the page; the zero AddrPort: nowhere
	Public  bool             // shown to others than this machine, who can change nothing
	Dir     string           // the state folder, which holds the socket; empty: there is no socket
	Version string           // plexdns's
	Info    func(msg string) // told where it listens
	Warn    func(msg string) // told what goes wrong that does not matter to the answers
}

// Servers are the listeners of a process: the blocks that name one address share it, and so do those with one
// state folder. They may also be those of one CoreDNS instance, beside those of the next. The zero value has none.
type Servers struct {
	mu   sync.Mutex
	open map[string]*server // by address or path
}

// Open shows a cluster until leave is called, which may be done again. Of two clusters of one zone the one that
// came last is shown. The error is a [*ListenError]: a socket that cannot be had is only warned of.
func (s *Servers) Open(o Options, src Source) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &guest{Source: src, public: o.Public}
	var entered []string
	if o.Addr.IsValid() {
		if err := s.enter(o.Addr.String(), g, func() (*server, error) { return atAddr(o) }); err != nil {
			return nil, err
		}
		entered = append(entered, o.Addr.String())
	}
	if o.Dir != "" {
		path := Socket(o.Dir)
		if err := s.enter(path, g, func() (*server, error) { return atSocket(o) }); err != nil {
			o.Warn(err.Error() + ": plexctl cannot reach plexdns")
		} else {
			entered = append(entered, path)
		}
	}
	return sync.OnceFunc(func() { s.leave(entered, g) }), nil
}

// enter adds a guest to the server of a name, which is made if there is none that can be reached.
func (s *Servers) enter(name string, g *guest, listen func() (*server, error)) error {
	srv := s.open[name]
	if srv == nil || srv.isLost() {
		next, err := listen()
		if err != nil {
			return err
		}
		if srv != nil {
			next.house.Store(srv.house.Load())
			srv.close()
		}
		if s.open == nil {
			s.open = map[string]*server{}
		}
		s.open[name], srv = next, next
	}
	srv.change(func(guests []*guest) []*guest { return append(guests, g) })
	return nil
}

// leave takes a guest out of the servers of these names. The last one closes the door.
func (s *Servers) leave(names []string, g *guest) {
	s.mu.Lock()
	var empty []*server
	for _, name := range names {
		srv := s.open[name]
		srv.change(func(guests []*guest) []*guest {
			return slices.DeleteFunc(guests, func(other *guest) bool { return other == g })
		})
		if len(srv.house.Load().guests) == 0 {
			delete(s.open, name)
			empty = append(empty, srv)
		}
	}
	s.mu.Unlock()
	for _, srv := range empty {
		srv.close()
	}
}

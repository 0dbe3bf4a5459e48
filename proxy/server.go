package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"plexha/corefile"
	"plexha/proxy/cluster"
	"plexha/proxy/relay"
)

// process is the server that loads Caddy's configurations: Caddy runs one at a time in a process, and makes its
// modules from their JSON alone, so that they find here what outlives a configuration.
var process atomic.Pointer[Server]

// Options say what a server needs from the process.
type Options struct {
	Version string                      // of plexha
	Grace   time.Duration               // what requests that are under way get in the end
	Admin   string                      // the unix socket of Caddy's administration; empty: none
	Log     func(warn bool, msg string) // gets whole lines, from several goroutines; nil: nobody reads them
}

// Server runs the plex blocks of a Corefile in Caddy. There is one in a process at a time.
type Server struct {
	opts    Options
	flights *flights
	running atomic.Pointer[[]*block] // what is served, in file order

	mu      sync.Mutex // held by Apply and Shutdown
	sockets sockets
	doors   doors
	panels  map[string]*panel // by state folder
	config  []byte            // what Caddy runs
	stopped bool
}

// block is what runs for one plex block, from the reload that brings its zone to the one that takes it away.
type block struct {
	cluster *cluster.Cluster
	relay   *relay.Relay
	cancel  context.CancelCauseFunc
	tasks   sync.WaitGroup
}

var errGone = errors.New("the block has gone from the Corefile, or the process ends")

// New returns a server that serves nothing yet. It takes over the sockets that a service manager has handed to the
// process.
func New(opts Options) (*Server, error) {
	sockets, err := takeHanded()
	if err != nil {
		return nil, err
	}
	s := newServer(opts)
	s.sockets.handed = sockets
	if !process.CompareAndSwap(nil, s) {
		return nil, errors.New("a server runs in this process already")
	}
	return s, nil
}

func newServer(opts Options) *Server {
	if opts.Log == nil {
		opts.Log = func(bool, string) {}
	}
	s := &Server{opts: opts, flights: newFlights(), panels: map[string]*panel{}}
	s.running.Store(new([]*block))
	return s
}

// change is a Corefile that is about to be taken over.
type change struct {
	blocks  []*block
	fresh   []*block // those of blocks that no earlier Corefile had
	setups  []*cluster.Setup
	sockets map[socketKey]*socket
	config  []byte
}

// Apply serves the blocks of a Corefile from now on, in the place of those before. After an error nothing has
// changed. If all that changes is how nodes are asked and chosen, Caddy goes on as it is; else Apply returns when
// the configuration before has ended, a quarter of a second after the new one has begun.
func (s *Server) Apply(blocks []*corefile.Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errors.New("the server is stopped")
	}
	c, err := s.prepare(blocks)
	if err == nil {
		err = s.load(c, blocks)
	}
	if err != nil {
		s.undo(c)
		return err
	}
	s.adopt(c)
	return nil
}

// prepare gets all that the blocks need, beside what serves now. What it has got comes with an error, too.
func (s *Server) prepare(blocks []*corefile.Config) (*change, error) {
	c := &change{}
	for _, cfg := range blocks {
		at := s.block(zone(cfg))
		if at == nil {
			at = s.newBlock(zone(cfg))
			c.fresh = append(c.fresh, at)
		}
		c.blocks = append(c.blocks, at)
		setup, err := at.cluster.Prepare(cfg)
		if err != nil {
			return c, fmt.Errorf("%s: %w", place(cfg), err)
		}
		c.setups = append(c.setups, setup)
	}
	var err error
	if c.sockets, err = s.sockets.bind(context.Background(), keys(blocks)); err != nil {
		return c, err
	}
	c.config, err = Build(blocks, Settings{At: c.at, Grace: s.opts.Grace, Admin: s.opts.Admin})
	return c, err
}

// keys returns the sockets that the blocks need.
func keys(blocks []*corefile.Config) []socketKey {
	var all []socketKey
	for _, c := range blocks {
		for _, l := range c.Listen {
			all = append(all, socketKey{"tcp", l.Addr})
			if l.H3 {
				all = append(all, socketKey{"udp", l.Addr})
			}
		}
		all = append(all, socketKey{"tcp", c.ProxyStatus.Addr.String()})
	}
	return all
}

// at is [Settings.At].
func (c *change) at(addr string) Place {
	p := Place{}
	if tcp := c.sockets[socketKey{"tcp", addr}]; tcp != nil {
		p.TCP, p.Port = fmt.Sprintf("%s/%d:%d", doorNetwork, tcp.fd, tcp.port), tcp.port
	}
	if udp := c.sockets[socketKey{"udp", addr}]; udp != nil {
		p.UDP = fmt.Sprintf("fdgram/%d", udp.fd)
	}
	return p
}

// load has Caddy take the configuration over, if it is another one.
func (s *Server) load(c *change, blocks []*corefile.Config) error {
	if bytes.Equal(c.config, s.config) {
		return nil
	}
	h3 := func(l corefile.Listener) bool { return l.H3 }
	if s.config != nil && slices.ContainsFunc(blocks, func(b *corefile.Config) bool { return slices.ContainsFunc(b.Listen, h3) }) {
		s.opts.Log(false, "names, listeners or certificates change: connections over HTTP/3 are cut, all others go on")
	}
	if err := caddy.Load(c.config, true); err != nil {
		return fmt.Errorf("starting Caddy: %w", err)
	}
	s.config = c.config
	return nil
}

// undo ends what prepare has begun.
func (s *Server) undo(c *change) {
	for _, setup := range c.setups {
		setup.Stop()
	}
	for _, fresh := range c.fresh {
		fresh.stop()
	}
	s.sockets.drop(c.sockets)
}

// adopt makes the change what runs, and ends what has gone.
func (s *Server) adopt(c *change) {
	for i, at := range c.blocks {
		at.cluster.Adopt(c.setups[i])
	}
	old := *s.running.Load()
	s.running.Store(&c.blocks)
	s.sockets.use(c.sockets)
	for _, at := range old {
		if !slices.Contains(c.blocks, at) {
			at.stop()
		}
	}
	s.openPanels()
}

// Refused takes down that a changed Corefile is not served, and why, for those who look at what has happened.
func (s *Server) Refused(err error) {
	for _, c := range s.clusters() {
		c.Refused(err)
	}
}

// newBlock returns the running relay of a cluster that knows nothing yet.
func (s *Server) newBlock(zone string) *block {
	c := cluster.New(zone, cluster.Options{Version: s.opts.Version, Log: s.opts.Log})
	ctx, cancel := context.WithCancelCause(context.Background())
	at := &block{cluster: c, relay: relay.New(c), cancel: cancel}
	at.tasks.Go(func() { _ = at.relay.Run(ctx) }) // nil when ctx has ended
	return at
}

func (at *block) stop() {
	at.cancel(errGone)
	at.tasks.Wait()
	at.relay.Close()
	at.cluster.Stop()
}

// block returns what runs for a zone, or nil.
func (s *Server) block(zone string) *block {
	for _, at := range *s.running.Load() {
		if at.cluster.Zone() == zone {
			return at
		}
	}
	return nil
}

// clusters returns all that are served.
func (s *Server) clusters() []*cluster.Cluster {
	var all []*cluster.Cluster
	for _, at := range *s.running.Load() {
		all = append(all, at.cluster)
	}
	return all
}

// clusterOf returns the cluster that a host belongs to, or nil.
func (s *Server) clusterOf(host string) *cluster.Cluster {
	name := hostname(host)
	for _, at := range *s.running.Load() {
		if m := at.cluster.Now(); m != nil && m.Config.InZone(name) {
			return at.cluster
		}
	}
	return nil
}

// hostname returns a host without its port.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// labelOf returns what stands before the origin in a host of a block, in lower case.
func labelOf(host string, c *corefile.Config) string {
	name := strings.ToLower(strings.TrimSuffix(hostname(host), "."))
	for _, origin := range c.Cluster.Origins {
		if label, ok := strings.CutSuffix(name, "."+strings.TrimSuffix(origin, ".")); ok {
			return label
		}
	}
	return ""
}

// Listening returns where the address of a `listen` or `proxy_status` line is reached by its port, which the system
// has chosen if the line says 0. The port is 0 if nobody listens there.
func (s *Server) Listening(addr string) (port uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sock := s.sockets.open[socketKey{"tcp", addr}]; sock != nil {
		return sock.port
	}
	return 0
}

// Shutdown ends the server. New connections are refused from the start, websockets are closed with a word, and
// all other requests may go on until ctx ends, when they are cut; then it returns an error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	s.sockets.use(nil)
	s.doors.shut()
	for _, p := range s.panels {
		p.close()
	}
	clear(s.panels)
	s.flights.hangUp() // they need not wait for Caddy's delay
	stopped := caddy.Stop()
	s.flights.hangUp() // what has begun meanwhile
	err := s.flights.wait(ctx)
	for _, at := range *s.running.Load() {
		at.stop()
	}
	process.CompareAndSwap(s, nil)
	return errors.Join(stopped, err)
}

// Run serves until ctx ends, and then shuts down within the time of grace.
func (s *Server) Run(ctx context.Context) error {
	<-ctx.Done()
	end, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), s.opts.Grace, errors.New("the time of grace is over"))
	defer cancel()
	return s.Shutdown(end)
}

// Check reports whether Caddy takes what the blocks make. Nothing is bound, nobody is asked, and what an authority
// needs is kept nowhere.
func Check(blocks []*corefile.Config) error {
	text, err := Build(blocks, Settings{})
	if err != nil {
		return err
	}
	var relays []*relay.Relay
	for _, c := range blocks {
		relays = append(relays, relay.New(cluster.New(zone(c), cluster.Options{})))
	}
	defer func() {
		for _, r := range relays {
			r.Close()
		}
	}()
	return validate(text)
}

// validate has Caddy provision a configuration that it does not run.
func validate(text []byte) error {
	var cfg caddy.Config
	if err := caddy.StrictUnmarshalJSON(text, &cfg); err != nil {
		return fmt.Errorf("reading Caddy's configuration: %w", err)
	}
	dir, err := os.MkdirTemp("", "plexha-check-")
	if err != nil {
		return fmt.Errorf("checking Caddy's configuration: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left of it is in the system's folder for such
	cfg.StorageRaw = folder(dir)
	for _, l := range cfg.Logging.Logs {
		l.Level = "WARN" // what begins and ends is nothing here
	}
	if err := caddy.Validate(&cfg); err != nil {
		return fmt.Errorf("checking Caddy's configuration: %w", err)
	}
	return nil
}

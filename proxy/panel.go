package proxy

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	pagedoor "plexha/plugin/status/door"
	"plexha/proxy/cluster"
	"plexha/proxy/status"
)

// SocketName is that of plexproxy's socket in a state folder, where plexctl asks it.
const SocketName = "plexproxy.sock"

// panel is a socket in a state folder, by which whoever may write there sees and changes what status pages show. It
// lives over Caddy's configurations.
type panel struct {
	socket *pagedoor.Socket
	server *pagedoor.Server
	ended  sync.WaitGroup
}

// sources returns some of the clusters that are served, in file order.
func (s *Server) sources(are func(*block) bool) []status.Source {
	var all []status.Source
	for _, at := range *s.running.Load() {
		if are(at) {
			all = append(all, shown{at.cluster})
		}
	}
	return all
}

// shown is a cluster with what Caddy knows of it.
type shown struct{ *cluster.Cluster }

// Status implements [status.Source].
func (c shown) Status(now time.Time) cluster.Status {
	s := c.Cluster.Status(now)
	if m := c.Now(); m != nil {
		s.Certificates = certificatesOf(m.Config)
	}
	return s
}

// openPanels opens the sockets of the state folders of now, and closes those of others. A socket that cannot be had is
// only warned of: clients matter more.
func (s *Server) openPanels() {
	var dirs []string
	for _, at := range *s.running.Load() {
		if dir := at.cluster.StateDir(); dir != "" && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	for dir, p := range s.panels {
		if !slices.Contains(dirs, dir) || p.socket.IsLost() {
			p.close()
			delete(s.panels, dir)
		}
	}
	for _, dir := range dirs {
		if s.panels[dir] == nil {
			s.openPanel(dir)
		}
	}
}

func (s *Server) openPanel(dir string) {
	path := filepath.Join(dir, SocketName)
	socket, err := pagedoor.Listen(path)
	if err != nil {
		s.opts.Log(true, fmt.Sprintf("%v: plexctl cannot reach plexproxy", err))
		return
	}
	p := &panel{socket: socket, server: pagedoor.NewServer(s.panelHandler(dir))}
	p.ended.Go(func() {
		if err := p.server.Serve(socket); err != nil {
			s.opts.Log(true, fmt.Sprintf("answering at the socket %s: %v", path, err))
		}
	})
	s.panels[dir] = p
	s.opts.Log(false, "plexctl is listened to at "+path)
}

// panelHandler answers for the clusters with a state folder.
func (s *Server) panelHandler(dir string) http.Handler {
	sources := func() []status.Source {
		return s.sources(func(at *block) bool { return at.cluster.StateDir() == dir })
	}
	page := status.New(status.Options{Version: s.opts.Version, Socket: true, Sources: sources})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, ours) {
			_ = s.answerOurs(w, r, sources) // whoever does not take it has gone
			return
		}
		page.ServeHTTP(w, r)
	})
}

// close ends the panel, and its streams at once.
func (p *panel) close() {
	p.server.Close()
	p.ended.Wait()
}

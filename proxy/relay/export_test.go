package relay

import (
	"io"
	"net/http"

	"plexha/zones"
)

// Begin does for a request what the handler plexha does before it calls the next one, and returns what it
// does afterwards.
func Begin(r *Relay, req *http.Request) (end func()) {
	t := r.begin(req, "", "192.0.2.1")
	return func() { t.end(req) }
}

// Waiting returns how many requests wait in line for the node.
func Waiting(r *Relay, name string) int {
	n := r.now().named(site(name))
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.queue)
}

// Watched returns how many requests wait for the node's headers.
func Watched(r *Relay, name string) (count int) {
	n := r.now().named(site(name))
	n.mu.Lock()
	defer n.mu.Unlock()
	for a := n.waiting; a != nil; a = a.next {
		count++
	}
	return count
}

// Paused returns how many requests wait for news.
func Paused(r *Relay) int { return int(r.waiting.Load()) }

// LargeBuffers returns how many large buffers are in use.
func LargeBuffers() int { return int(largeInUse.Load()) }

// NewTunnel returns what a websocket to a node becomes.
func NewTunnel(r *Relay, rwc io.ReadWriteCloser) io.ReadWriteCloser {
	return r.tunnel(&attempt{node: newNode("plex1", "", &zones.NodeHealth{}, nil), cancel: func(error) {}, body: rwc}).(io.ReadWriteCloser)
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// serveNodes stands in for the nodes of a home, all at one port, until ctx ends. Flapping ones have nobody listen
// every other while: whoever is connected is cut off, whoever comes is refused.
func serveNodes(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("nodes", flag.ContinueOnError)
	h := homeFlags(flags)
	every := flags.Duration("every", time.Second, "how long a flapping node stays what it is")
	port := flags.Int("port", 0, "where the nodes listen")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var nodes []*node
	defer func() {
		for _, n := range nodes {
			n.down()
		}
	}()
	for i := range h.nodes {
		n := &node{addr: fmt.Sprintf("%s:%d", nodeAddr(i), *port), id: fmt.Sprintf("%040x", i+1)}
		if err := n.up(ctx, &wg); err != nil {
			return err
		}
		nodes = append(nodes, n)
		if i < h.flapping {
			wg.Go(func() { fail(n.flap(ctx, *every, &wg)) })
		}
	}
	fmt.Fprintln(stdout, "ready")
	<-ctx.Done()
	if why := context.Cause(ctx); !errors.Is(why, context.Canceled) {
		return why
	}
	return nil
}

// node is a stand-in for a Plex server that answers nothing but who it is.
type node struct {
	addr, id string

	mu     sync.Mutex
	server *http.Server
}

// ServeHTTP answers as a Plex server that asks for a token.
func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/identity" {
		http.Error(w, "", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprintf(w, `<MediaContainer size="0" claimed="1" machineIdentifier="%s" version="1.40.0"></MediaContainer>`, n.id)
}

// up has the node listen.
func (n *node) up(ctx context.Context, wg *sync.WaitGroup) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", n.addr)
	if err != nil {
		return fmt.Errorf("listening as a node: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	server := &http.Server{Handler: n, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	n.server = server
	wg.Go(func() { _ = server.Serve(l) })
	return nil
}

// down ends the node, with all of its connections.
func (n *node) down() {
	n.mu.Lock()
	defer n.mu.Unlock()
	_ = n.server.Close()
}

// flap has the node go down and up until ctx ends.
func (n *node) flap(ctx context.Context, every time.Duration, wg *sync.WaitGroup) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for isUp := true; ; isUp = !isUp {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if isUp {
			n.down()
		} else if err := n.up(ctx, wg); err != nil {
			return err
		}
	}
}

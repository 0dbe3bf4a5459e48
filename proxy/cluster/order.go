package cluster

import (
	"errors"
	"fmt"
	"time"

	"plexha/plugin/probe"
	"plexha/zones"
	"plexha/zones/board"
)

// errNoFolder is why no orders are taken.
var errNoFolder = errors.New("no state folder is writable, so that there is nowhere to write orders to")

// Order writes an order on a node, proxy or uplink of the block into the orders file, or takes back what there is. It
// holds here when Order returns. The error is a *state.OrderError if it is the order's fault.
func (c *Cluster) Order(line board.OrderLine) error {
	s, _ := c.state()
	switch {
	case s == nil:
		return fmt.Errorf("ordering in %s: %w", c.domain(), errStopped)
	case s.dir == "":
		return errNoFolder
	}
	now := time.Now()
	if err := s.orders.Set(line, s.whole(now), now); err != nil {
		return err
	}
	s.readOrders()
	c.publish(s)
	return nil
}

// StateDir returns the folder with what outlives the process; empty: none is writable.
func (c *Cluster) StateDir() string {
	s, _ := c.state()
	if s == nil {
		return ""
	}
	return s.dir
}

// Named reports whether a node, proxy or uplink of the block has that name.
func (c *Cluster) Named(name string) bool {
	s, _ := c.state()
	if s == nil {
		return false
	}
	_, ok := board.Named(s.whole(time.Now()), name)
	return ok
}

// Names returns the names by which orders are given.
func (c *Cluster) Names() []string {
	s, _ := c.state()
	if s == nil {
		return nil
	}
	var names []string
	for subject := range s.whole(time.Now()).Subjects {
		names = append(names, subject.Name)
	}
	return names
}

// whole returns a snapshot with the nodes that there are, and with the proxies and uplinks of the block, which the
// board does not have.
func (s *Setup) whole(now time.Time) *zones.Snapshot {
	all := *board.New(probe.BoardConfig(s.cfg), now).Snapshot()
	all.Nodes = s.board.Snapshot().Nodes
	return &all
}

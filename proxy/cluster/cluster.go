// Package cluster runs one plex block for plexproxy: it asks the nodes how they are, follows the operator's
// orders, keeps the pins, and says at any instant what is known.
package cluster

import (
	"plexha/corefile"
	"plexha/proxy/affinity"
	"plexha/zones"
)

// Moment is all that is known at one instant. It is immutable.
type Moment struct {
	Config   *corefile.Config
	Snapshot *zones.Snapshot
	Nodes    *affinity.Nodes
	// Open names the nodes whose administration is open to whoever comes through the proxy, those of
	// `open_ok` apart: they are refused to external clients.
	Open map[zones.NodeName]bool
}

// Cluster is one running plex block. It lives as long as its zone stands in the Corefile; a reload puts
// another Setup into it, so that requests that are under way go on with what is known then.
type Cluster struct{}

// Options says what a cluster needs from the process.
type Options struct {
	Version string                      // of plexha
	Log     func(warn bool, msg string) // gets whole lines, from several goroutines
}

// New returns the cluster of a zone, which knows nothing yet.
func New(zone string, opts Options) *Cluster { return &Cluster{} }

// Zone returns the block's first origin, fully qualified.
func (c *Cluster) Zone() string { return "" }

// Setup is a block that is ready to be adopted: its probes run.
type Setup struct{}

// Prepare begins to ask the nodes of a block, starting from what the cluster knows. The setup must be adopted
// or stopped.
func (c *Cluster) Prepare(cfg *corefile.Config) (*Setup, error) { return &Setup{}, nil }

// Stop ends a setup that was not adopted, and waits for it.
func (s *Setup) Stop() {}

// Adopt puts the setup in the place of the one before it, which is stopped.
func (c *Cluster) Adopt(s *Setup) {}

// Stop ends the cluster and saves what must outlive it.
func (c *Cluster) Stop() {}

// Now returns the newest moment. It never waits, and is nil before the first Adopt.
func (c *Cluster) Now() *Moment { return nil }

// Subscribe returns a channel that holds a value whenever a moment has come that the subscriber has not been
// told of, over reloads too, and a function that ends the subscription.
func (c *Cluster) Subscribe() (news <-chan struct{}, cancel func()) { return nil, func() {} }

// Pins returns what has been learned of clients and sessions. It stays the same over reloads.
func (c *Cluster) Pins() *affinity.Table { return nil }

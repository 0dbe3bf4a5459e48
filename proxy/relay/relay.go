// Package relay holds the Caddy modules that take a request to its node and bring the answer back.
package relay

import (
	_ "github.com/caddyserver/caddy/v2"
	_ "go.uber.org/zap"

	"plexha/proxy/cluster"
)

// Relay is the traffic of one cluster. It outlives Caddy's configurations, whose modules find it by its zone.
type Relay struct{}

// New returns a relay that carries nothing until Run.
func New(c *cluster.Cluster) *Relay { return &Relay{} }

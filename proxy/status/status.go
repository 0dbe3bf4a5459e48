// Package status shows how the clusters of a plexproxy are, over HTTP and over a Unix socket, and takes the
// operator's orders.
//
// GET / is a page for people, /status.json a [Document], /events.json and /events the timelines, and POST /order gives
// an order or takes it back. Package door says who may do what.
package status

import (
	"time"

	"plexha/proxy/cluster"
	"plexha/zones/board"
	"plexha/zones/timeline"
)

// Version is that of [Document]. It grows when something is renamed or taken away, not when something is added.
const Version = 1

// Document is what /status.json shows. All times are UTC, and what is not known is left out. It holds no secret.
type Document struct {
	Version   int              `json:"version"`   // of this form: 1
	Plexproxy string           `json:"plexproxy"` // the program's version
	At        time.Time        `json:"at"`
	Clusters  []cluster.Status `json:"clusters"` // those that this client may see, in file order
}

// Source is one cluster that is shown. All of it may be called by several goroutines at once. A [*cluster.Cluster]
// is one.
type Source interface {
	// Zone returns the name that the cluster goes by, fully qualified: its first origin.
	Zone() string
	Status(now time.Time) cluster.Status
	Timeline() *timeline.Timeline
	// News returns a channel that holds a value whenever what is shown may have changed, and a function that ends
	// the subscription.
	News() (news <-chan struct{}, cancel func())
	// Named reports whether orders can be given to a name.
	Named(name string) bool
	// Names returns the names that orders can be given to.
	Names() []string
	// Order gives an order, or with zones.NoOrder takes back what there is. The error is a *state.OrderError if
	// it is the order's fault.
	Order(o board.OrderLine) error
}

// Render returns the document of some clusters at an instant.
func Render(version string, sources []Source, now time.Time) *Document {
	d := &Document{Version: Version, Plexproxy: version, At: now.UTC(), Clusters: []cluster.Status{}}
	for _, s := range sources {
		d.Clusters = append(d.Clusters, s.Status(now))
	}
	return d
}

var _ Source = (*cluster.Cluster)(nil)

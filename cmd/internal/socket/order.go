package socket

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"plexha/plugin/status"
)

// Order is what a person says of a node, a proxy or an uplink.
type Order struct {
	Zone  string // may be empty if one cluster alone has the name
	Name  string
	Order string    // up, drain, down or none, which takes back what was ordered
	Until time.Time // zero: until it is taken back
	Why   string
}

// Order gives an order, and returns the zones in which it is in force. The error is a [*RefusedError] if there is
// something wrong with it.
func (c Client) Order(ctx context.Context, o Order) (zones []string, err error) {
	query := url.Values{"name": {o.Name}, "order": {o.Order}}
	if o.Zone != "" {
		query.Set("zone", o.Zone)
	}
	if !o.Until.IsZero() {
		query.Set("until", o.Until.UTC().Format(time.RFC3339))
	}
	if o.Why != "" {
		query.Set("why", o.Why)
	}
	var done status.Started
	if err := c.ask(ctx, http.MethodPost, "/order", query, &done); err != nil {
		return nil, err
	}
	return done.Zones, nil
}

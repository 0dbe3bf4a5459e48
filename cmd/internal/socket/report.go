package socket

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"plexha/plugin/status"
)

// Report is what an instance knows.
type Report struct {
	Plexdns *status.Document
	Raw     json.RawMessage // as it came, with what a later version has added
}

// Report returns what the instance knows.
func (c Client) Report(ctx context.Context) (*Report, error) {
	var r Report
	if err := c.ask(ctx, http.MethodGet, "/status.json", nil, &r.Raw); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(r.Raw, &r.Plexdns); err != nil {
		return nil, fmt.Errorf("reading %s's answer: %w", c.who(), err)
	}
	if r.Plexdns.Version != status.Version {
		return nil, fmt.Errorf("asking plexdns: it tells its status in form %d, and plexctl reads %d: use the plexctl of its version",
			r.Plexdns.Version, status.Version)
	}
	return &r, nil
}

// Status returns all that a plexdns knows.
func (c Client) Status(ctx context.Context) (*status.Document, error) {
	r, err := c.Report(ctx)
	if err != nil {
		return nil, err
	}
	return r.Plexdns, nil
}

package socket

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"plexha/plugin/status"
	"plexha/plugin/status/page"
	proxystatus "plexha/proxy/status"
)

// Report is what an instance knows: one of both is there.
type Report struct {
	Plexdns   *status.Document
	Plexproxy *proxystatus.Document
	Raw       json.RawMessage // as it came, with what a later version has added
}

// Report returns what the instance knows, whichever program it is.
func (c Client) Report(ctx context.Context) (*Report, error) {
	var r Report
	if err := c.ask(ctx, http.MethodGet, "/status.json", nil, &r.Raw); err != nil {
		return nil, err
	}
	var kind struct {
		Version   int
		Plexdns   *string
		Plexproxy *string
	}
	err := json.Unmarshal(r.Raw, &kind)
	switch {
	case err != nil:
	case kind.Plexproxy != nil && c.Program != Plexdns:
		if err := c.isReadable(kind.Version, proxystatus.Version); err != nil {
			return nil, err
		}
		err = json.Unmarshal(r.Raw, &r.Plexproxy)
	case kind.Plexproxy == nil && c.Program != Plexproxy:
		if err := c.isReadable(kind.Version, status.Version); err != nil {
			return nil, err
		}
		err = json.Unmarshal(r.Raw, &r.Plexdns)
	default:
		return nil, fmt.Errorf("%s: another program answers there", c.asking())
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s's answer: %w", c.who(), err)
	}
	return &r, nil
}

// isReadable reports as an error that an answer has another form than this program reads.
func (c Client) isReadable(got, want int) error {
	if got != want {
		return fmt.Errorf("asking %s: it tells its status in form %d, and plexctl reads %d: use the plexctl of its version",
			c.who(), got, want)
	}
	return nil
}

// Program returns who has told it.
func (r *Report) Program() Program {
	if r.Plexproxy != nil {
		return Plexproxy
	}
	return Plexdns
}

// Page returns what the instance's page shows.
func (r *Report) Page() page.Doc {
	if r.Plexproxy != nil {
		return proxystatus.Draw(r.Plexproxy)
	}
	return status.Draw(r.Plexdns)
}

// Status returns all that a plexdns knows.
func (c Client) Status(ctx context.Context) (*status.Document, error) {
	c.Program = Plexdns
	r, err := c.Report(ctx)
	if err != nil {
		return nil, err
	}
	return r.Plexdns, nil
}

// ProxyStatus returns all that a plexproxy knows.
func (c Client) ProxyStatus(ctx context.Context) (*proxystatus.Document, error) {
	c.Program = Plexproxy
	r, err := c.Report(ctx)
	if err != nil {
		return nil, err
	}
	return r.Plexproxy, nil
}

package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"plexha/cmd/internal/socket"
	"plexha/plugin/status"
)

// Reporter is a program that has a status page.
type Reporter string

// The reporters.
const (
	Plexdns   Reporter = "plexdns"
	Plexproxy Reporter = "plexproxy"
)

// page returns where a program shows its status.
func (p Places) page(r Reporter) netip.AddrPort {
	if r == Plexproxy {
		return p.ProxyStatus
	}
	return p.Status
}

// headline reads what the status page of a program says above all else.
func (h *home) headline(ctx context.Context, r Reporter) (string, error) {
	text, err := read(ctx, "http://"+h.page(r).String()+"/")
	if err != nil {
		return "", err
	}
	words := wordsIn(headline, text)
	if words == "" {
		return "", errors.New("the page has no headline")
	}
	return words, nil
}

// known reads in plexproxy's status what it knows of a node.
func (h *home) known(ctx context.Context, m Member) (Known, error) {
	text, err := read(ctx, "http://"+h.page(Plexproxy).String()+"/.plexha/status.json")
	if err != nil {
		return Known{}, err
	}
	var d struct{ Clusters []struct{ Nodes []Known } }
	if err := json.Unmarshal(text, &d); err != nil {
		return Known{}, fmt.Errorf("reading plexproxy's status: %w", err)
	}
	for _, c := range d.Clusters {
		for _, n := range c.Nodes {
			if n.Name == m {
				return n, nil
			}
		}
	}
	return Known{}, fmt.Errorf("reading plexproxy's status: there is no %s", m)
}

// health asks plexdns how it sees the nodes and the proxy.
func (h *home) health(ctx context.Context) ([]Health, error) {
	d, err := h.plexdnsSocket().Status(ctx)
	if err != nil {
		return nil, err
	}
	var all []Health
	for _, c := range d.Clusters {
		for i := range c.Nodes {
			all = append(all, healthOf(&c.Nodes[i].Health))
		}
		for i := range c.Proxies {
			all = append(all, healthOf(&c.Proxies[i].Health))
		}
	}
	return all, nil
}

func healthOf(h *status.Health) Health {
	return Health{State: h.State, Since: h.Since, Why: h.Why, Order: h.Order}
}

// follow hands on what plexdns says.
func (h *home) follow(ctx context.Context, tell func(Event)) error {
	return h.plexdnsSocket().Follow(ctx, bare(zoneName), func(e socket.Event) error {
		tell(Event{e.At, e.Text})
		return nil
	})
}

// read returns what is at a URL of this machine.
func read(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askTimeout, fmt.Errorf("no answer within %s", askTimeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", url, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("asking %s: %s", url, resp.Status)
	}
	return text, err
}

package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
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

// proxyDocument is what the demo looks at of plexproxy's status.
type proxyDocument struct {
	Clusters []struct {
		Nodes []struct {
			Name      Member
			State     string
			Playbacks int
		}
	}
}

// playbacks returns how many playbacks plexproxy sees on a node.
func (h *home) playbacks(ctx context.Context, m Member) (int, error) {
	text, err := read(ctx, "http://"+h.ProxyStatus.String()+"/.plexha/status.json")
	if err != nil {
		return 0, err
	}
	var d proxyDocument
	if err := json.Unmarshal(text, &d); err != nil {
		return 0, fmt.Errorf("reading plexproxy's status: %w", err)
	}
	for _, c := range d.Clusters {
		for _, n := range c.Nodes {
			if n.Name == m {
				return n.Playbacks, nil
			}
		}
	}
	return 0, fmt.Errorf("reading plexproxy's status: there is no %s", m)
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

// Package socket asks the plexdns and plexproxy that run, over the sockets in their state folders or over HTTP.
package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"plexha/corefile"
	"plexha/plugin/status"
)

// How long an answer may take, and how long it may be.
const (
	timeout   = 5 * time.Second
	maxAnswer = 4 << 20 // 64 nodes with all that is known of them are a tenth of that
)

// Program is one of those that can be asked.
type Program string

// The programs.
const (
	Plexdns   Program = "plexdns"
	Plexproxy Program = "plexproxy"
)

// Path returns the socket of a program in a state folder.
func (p Program) Path(dir string) string {
	if p == Plexdns {
		return status.Socket(dir)
	}
	return filepath.Join(dir, string(p)+".sock")
}

// ErrNone is that nobody listens at the socket.
var ErrNone = errors.New("nobody is there")

// ErrKilled is an ErrNone with a sign that somebody should be there: whoever ends in order takes the socket away.
var ErrKilled = errors.New("it did not end in order")

// noneError is an ErrNone that says of whom.
type noneError struct {
	Client

	left bool // the socket, without anybody: an ErrKilled
}

func (e noneError) Error() string {
	switch {
	case e.Program == "":
		return "there is nobody at " + e.place()
	case e.left:
		return fmt.Sprintf("%s does not run, and did not end in order: start it again, or remove %s", e.Program, e.place())
	default:
		return fmt.Sprintf("no %s runs with that state folder: there is nobody at %s", e.Program, e.place())
	}
}

func (e noneError) Is(target error) bool { return target == ErrNone || e.left && target == ErrKilled }

// Client asks one instance.
type Client struct {
	Path    string  // of its Unix socket
	URL     string  // without a Path: such as http://192.168.1.53:8053
	Program Program // who it should be; empty: either
}

// Of returns the client of the plexdns that serves a block: its socket stands in the folder of the `state` line, or
// else in the first one of the usual folders that has one. Nothing is made or written there.
func Of(s corefile.State) Client { return Plexdns.of(s) }

// ProxyOf returns the client of the plexproxy that serves a block.
func ProxyOf(s corefile.State) Client { return Plexproxy.of(s) }

func (p Program) of(s corefile.State) Client {
	if s.Dir != "" {
		return Client{Path: p.Path(s.Dir), Program: p}
	}
	return p.first(corefile.DefaultStateDirs())
}

// first returns the client for the first folder that has a socket, or else for the first folder.
func (p Program) first(dirs []string) Client {
	for _, dir := range dirs {
		if _, err := os.Stat(p.Path(dir)); err == nil {
			return Client{Path: p.Path(dir), Program: p}
		}
	}
	return Client{Path: p.Path(dirs[0]), Program: p}
}

// At returns the clients of a place that a person names: a socket, a state folder with one socket or two, or
// http://HOST:PORT of a status page.
func At(place string) ([]Client, error) {
	if strings.HasPrefix(place, "http://") {
		u, err := url.Parse(place)
		if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
			return nil, fmt.Errorf("%q is no address of a status page: want one such as http://192.168.1.53:8053", place)
		}
		return []Client{{URL: "http://" + u.Host}}, nil
	}
	info, err := os.Stat(place)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s: want a socket, a state folder or http://HOST:PORT", place)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []Client{{Path: place}}, nil
	}
	var found []Client
	for _, p := range []Program{Plexdns, Plexproxy} {
		if _, err := os.Stat(p.Path(place)); err == nil {
			found = append(found, Client{Path: p.Path(place), Program: p})
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%w: there is no socket of plexdns or plexproxy in %s", ErrNone, place)
	}
	return found, nil
}

// String returns where the client asks.
func (c Client) String() string { return c.place() }

func (c Client) place() string {
	if c.Path != "" {
		return c.Path
	}
	return c.URL
}

// who names the one who is asked.
func (c Client) who() string {
	if c.Program != "" {
		return string(c.Program)
	}
	return c.place()
}

// asking begins an error.
func (c Client) asking() string {
	if c.Program != "" {
		return fmt.Sprintf("asking %s at %s", c.Program, c.place())
	}
	return "asking " + c.place()
}

// Detect has a round of detection started for a zone.
func (c Client) Detect(ctx context.Context, zone string) error {
	return c.ask(ctx, http.MethodPost, "/detect", ofZone(zone), new(status.Started))
}

// Push has the record of a zone looked at, and pushed if it needs to be.
func (c Client) Push(ctx context.Context, zone string) error {
	return c.ask(ctx, http.MethodPost, "/duckdns", ofZone(zone), new(status.Started))
}

func ofZone(zone string) url.Values {
	if zone == "" {
		return nil
	}
	return url.Values{"zone": {zone}}
}

// ask has a request answered with JSON within the timeout.
func (c Client) ask(ctx context.Context, method, path string, query url.Values, into any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
	defer cancel()
	res, err := c.send(ctx, method, path, query)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // only read
	if res.StatusCode/100 != 2 {
		return c.refusal(res)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return fmt.Errorf("reading %s's answer: %w", c.who(), err)
	}
	return nil
}

// send asks on a connection of its own. The body of the answer is the caller's to close.
func (c Client) send(ctx context.Context, method, path string, query url.Values) (*http.Response, error) {
	u := url.URL{Scheme: "http", Host: "localhost", Path: path, RawQuery: query.Encode()}
	transport := &http.Transport{DisableKeepAlives: true}
	if c.Path != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", c.Path)
		}
	} else {
		u.Host = strings.TrimPrefix(c.URL, "http://")
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.asking(), err)
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	return res, nil
}

// explain says what may be wrong with the socket.
func (c Client) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", c.asking(), context.Cause(ctx))
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return noneError{c, c.Path != "" && errors.Is(err, syscall.ECONNREFUSED)}
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: permission denied: be its user, root, or of the group of %s", c.asking(), filepath.Dir(c.Path))
	default:
		return fmt.Errorf("%s: %w", c.asking(), err)
	}
}

// RefusedError is that an instance does not do what it was asked for.
type RefusedError struct {
	Status int    // of HTTP
	Text   string // in the instance's words
}

// Error implements error.
func (e *RefusedError) Error() string { return e.Text }

// refusal returns why something was not done.
func (c Client) refusal(res *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading %s's answer: %w", c.who(), err)
	}
	var no struct{ Error string }
	if json.Unmarshal(body, &no) != nil || no.Error == "" {
		return &RefusedError{res.StatusCode, fmt.Sprintf("%s answers %s", c.who(), res.Status)}
	}
	return &RefusedError{res.StatusCode, fmt.Sprintf("%s answers: %s", c.who(), no.Error)}
}

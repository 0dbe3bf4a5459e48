package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
	"plexha/proxy"
)

func TestReloadAddsAndTakesListeners(t *testing.T) {
	node := startNode(t, "plex1")
	h := newHouse(t)
	h.apply(h.block(home, "tls off", node))
	first := h.at(plainAddr)

	more := h.block(home, "tls off", node)
	more.Listen = append(more.Listen, corefile.Listener{Addr: "127.0.0.4:0", Plain: true})
	h.apply(more)
	if got := h.at(plainAddr); got != first {
		t.Errorf("the listener has moved from %s to %s", first, got)
	}
	second := h.at("127.0.0.4:0")
	if got := h.get("127.0.0.4:0", "http://plex1."+home+"/x"); got.status != http.StatusOK {
		t.Errorf("the new listener: %+v", got)
	}

	less := h.block(home, "tls off", node)
	less.Listen = []corefile.Listener{{Addr: "127.0.0.4:0", Plain: true}}
	h.apply(less)
	if got := h.at("127.0.0.4:0"); got != second {
		t.Errorf("the listener has moved from %s to %s", second, got)
	}
	if _, err := net.Dial("tcp", first); err == nil {
		t.Error("somebody still listens at the old address")
	}
}

func TestReloadCutsNothing(t *testing.T) {
	node := startNode(t, "plex1")
	h := newHouse(t)
	h.apply(h.block(home, "", node))
	stream := h.stream(tlsAddr, "https://plex1."+home+"/stream")
	socket := h.websocket(tlsAddr)
	for i := range 3 {
		c := h.block(home, "", node)
		c.Cluster.Origins = append(c.Cluster.Origins, fmt.Sprintf("more%d.test.", i)) // Caddy's configuration is another one
		h.apply(c)
	}
	close(node.release)
	if rest, err := io.ReadAll(stream); string(rest) != "last\n" || err != nil {
		t.Errorf("the stream ends with %q, %v", rest, err)
	}
	_ = socket.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := socket.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the websocket has got %d bytes, %v", n, err)
	}
}

// TestReloadOfNothing: what does not concern Caddy does not reach it.
func TestReloadOfNothing(t *testing.T) {
	one, two := startNode(t, "plex1"), startNode(t, "plex2")
	h := newHouse(t)
	h.apply(h.block(home, "tls off", one, two))
	conn, err := h.dial(plainAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	read := bufio.NewReader(conn)
	ask := func() error {
		_, _ = fmt.Fprintf(conn, "GET /x HTTP/1.1\r\nHost: plex1.%s\r\n\r\n", home)
		res, err := http.ReadResponse(read, nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, res.Body)
		return errors.Join(err, res.Body.Close())
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	h.apply(h.block(home, "tls off\nretry 1s\ninterval 1s\naffinity off\nmax_requests 9\nopen_ok plex1", one, two))
	// Caddy closes idle connections when it takes over a configuration.
	if err := ask(); err != nil {
		t.Errorf("the connection afterwards: %v", err)
	}
}

func TestReloadOfBlocks(t *testing.T) {
	one, two := startNode(t, "plex1"), startNode(t, "plex2")
	h := newHouse(t)
	h.apply(h.block(home, "tls off", one))
	h.apply(h.block(home, "tls off", one), h.block("example.org", "tls off", two))
	h.becomesReady(h.client(plainAddr), "http://example.org/.plexha/ready")
	if got := h.get(plainAddr, "http://plex2.example.org/x"); got.header.Get("X-Node") != "plex2" {
		t.Errorf("the new block: %+v", got)
	}
	h.apply(h.block("example.org", "tls off", two))
	if got := h.get(plainAddr, "http://plex1."+home+"/x"); got.status != http.StatusMisdirectedRequest {
		t.Errorf("the block that has gone: %+v", got)
	}
}

func TestMistakesChangeNothing(t *testing.T) {
	node := startNode(t, "plex1")
	h := newHouse(t)
	h.apply(h.block(home, "", node))
	taken, err := net.Listen("tcp", "127.0.0.5:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	with := func(properties string, change func(*corefile.Config)) []*corefile.Config {
		c := h.block(home, properties, node)
		if change != nil {
			change(c)
		}
		return []*corefile.Config{c}
	}
	listen := func(addrs ...string) func(*corefile.Config) {
		return func(c *corefile.Config) {
			for _, addr := range addrs {
				c.Listen = append(c.Listen, corefile.Listener{Addr: addr})
			}
		}
	}
	for _, tc := range []struct {
		name   string
		blocks []*corefile.Config
		want   string
	}{
		{"an address that is taken", with("", listen("127.0.0.4:0", taken.Addr().String())), "bind: address already in use"},
		{"an address that is not ours", with("", listen("192.0.2.1:1")), "bind: cannot assign requested address"},
		{"a file descriptor that is none", with("", listen("fd/987")), "listening on fd/987"},
		{"a certificate that is not there", with("tls files /nowhere/a.pem /nowhere/b.pem", nil), "/nowhere/a.pem"},
		{
			"one address with TLS and without",
			append(with("", nil), h.block("example.org", "tls off\nlisten http://"+tlsAddr[:len(tlsAddr)-1]+"1", node)),
			"",
		},
		{"two storages", append(with("", nil), h.block("example.org", "", node)), "storage"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			switch tc.name {
			case "one address with TLS and without":
				tc.blocks[1].Listen[0] = corefile.Listener{Addr: tlsAddr, Plain: true}
				tc.want = "with TLS in one block and without in another"
			case "two storages":
				tc.blocks[1].Storage = "/elsewhere"
			}
			err := h.server.Apply(tc.blocks)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if got := h.get(tlsAddr, "https://plex1."+home+"/x"); got.status != http.StatusOK {
				t.Errorf("afterwards: %+v", got)
			}
		})
	}
}

func TestListenersFromOutside(t *testing.T) {
	t.Run("by number", func(t *testing.T) {
		f := handedOver(t)
		h := newHouse(t)
		c := h.block(home, fmt.Sprintf("tls off\nlisten fd/%d", f.Fd()), startNode(t, "plex1"))
		h.apply(c)
		if got := h.get(c.Listen[0].Addr, "http://plex1."+home+"/x"); got.status != http.StatusOK {
			t.Errorf("%+v", got)
		}
	})
	t.Run("another process's environment", func(t *testing.T) {
		t.Setenv("LISTEN_PID", "1")
		t.Setenv("LISTEN_FDS", "many")
		newHouse(t)
	})
	t.Run("an environment that makes no sense", func(t *testing.T) {
		t.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid()))
		t.Setenv("LISTEN_FDS", "many")
		if _, err := proxy.New(proxy.Options{}); err == nil || !strings.Contains(err.Error(), "LISTEN_FDS") {
			t.Errorf("got %v", err)
		}
	})
}

func TestOneServer(t *testing.T) {
	newHouse(t)
	if _, err := proxy.New(proxy.Options{}); err == nil {
		t.Error("there are two")
	}
}

// end is how a shutdown went.
func (h *house) end(grace time.Duration) chan error {
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		done <- h.server.Shutdown(ctx)
	}()
	return done
}

// refused waits until nobody takes connections any more.
func (h *house) refused(addr string) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		_ = c.Close()
		time.Sleep(time.Millisecond) // nobody tells clients
	}
	h.t.Error("connections are still taken")
}

func TestShutdownWaitsForStreams(t *testing.T) {
	for _, addr := range []string{plainAddr, tlsAddr} {
		t.Run(addr, func(t *testing.T) {
			node := startNode(t, "plex1")
			h := newHouse(t)
			scheme := "https"
			if addr == plainAddr {
				scheme = "http"
				h.apply(h.block(home, "tls off", node))
			} else {
				h.apply(h.block(home, "", node))
			}
			stream, to := h.stream(addr, scheme+"://plex1."+home+"/stream"), h.at(addr)
			done := h.end(patience)
			h.refused(to)
			close(node.release)
			if rest, err := io.ReadAll(stream); string(rest) != "last\n" || err != nil {
				t.Errorf("the stream ends with %q, %v", rest, err)
			}
			if err := <-done; err != nil {
				t.Errorf("the end: %v", err)
			}
		})
	}
}

func TestShutdownCutsInTheEnd(t *testing.T) {
	node := startNode(t, "plex1")
	defer close(node.release)
	h := newHouse(t)
	h.apply(h.block(home, "tls off", node))
	stream := h.stream(plainAddr, "http://plex1."+home+"/stream")
	err := <-h.end(50 * time.Millisecond)
	if cut, ok := errors.AsType[*proxy.CutError](err); !ok || cut.Requests != 1 {
		t.Errorf("the end: %v", err)
	}
	if rest, err := io.ReadAll(stream); err == nil {
		t.Errorf("the stream ends as if it were whole, with %q", rest)
	}
}

// websocket opens one, through TLS if the address has that.
func (h *house) websocket(addr string) net.Conn {
	h.t.Helper()
	conn, err := h.dial(addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	_, _ = fmt.Fprintf(conn, "GET /:/websockets/notifications HTTP/1.1\r\nHost: plex1.%s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", home)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	var got []byte
	for !strings.HasSuffix(string(got), "hello") {
		buf := make([]byte, 1024)
		n, err := conn.Read(buf)
		if err != nil {
			h.t.Fatalf("the websocket begins with %q, %v", got, err)
		}
		got = append(got, buf[:n]...)
	}
	if !strings.HasPrefix(string(got), "HTTP/1.1 101 ") {
		h.t.Fatalf("the websocket begins with %q", got)
	}
	return conn
}

func TestShutdownClosesWebsockets(t *testing.T) {
	node := startNode(t, "plex1")
	h := newHouse(t)
	h.apply(h.block(home, "", node))
	sockets := []net.Conn{h.websocket(tlsAddr), h.websocket(tlsAddr)}
	if err := <-h.end(patience); err != nil {
		t.Errorf("the end: %v", err)
	}
	for _, socket := range sockets {
		rest, err := io.ReadAll(socket)
		if diff := cmp.Diff([]byte{0x88, 2, 0x03, 0xe9}, rest); diff != "" || err != nil {
			t.Errorf("the last words: %v, (-want +got):\n%s", err, diff)
		}
	}
}

// The goodbye is the last word, whatever the node goes on to say.
func TestShutdownInterruptsWebsockets(t *testing.T) {
	node := startNode(t, "plex1")
	node.talks = true
	h := newHouse(t)
	h.apply(h.block(home, "tls off\naccess_log stdout", node)) // for which Caddy counts bytes
	socket := h.websocket(plainAddr)
	words := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(socket) // the connection may be reset: the node has said more
		words <- all
	}()
	if err := <-h.end(patience); err != nil {
		t.Errorf("the end: %v", err)
	}
	all := <-words
	if !bytes.HasSuffix(all, []byte{0x88, 2, 0x03, 0xe9}) {
		t.Errorf("the last of %d bytes are %q", len(all), all[max(0, len(all)-20):])
	}
}

func TestShutdownEndsEventStreams(t *testing.T) {
	for _, addr := range []string{plainAddr, tlsAddr} {
		t.Run(addr, func(t *testing.T) {
			node := startNode(t, "plex1")
			h := newHouse(t)
			scheme := "https"
			if addr == plainAddr {
				scheme = "http"
				h.apply(h.block(home, "tls off", node))
			} else {
				h.apply(h.block(home, "", node))
			}
			stream := h.stream(addr, scheme+"://plex1."+home+"/:/eventsource/notifications")
			if err := <-h.end(patience); err != nil {
				t.Errorf("the end: %v", err)
			}
			if rest, err := io.ReadAll(stream); len(rest) > 0 || err == nil {
				t.Errorf("the stream ends with %q, %v", rest, err)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct{ name, properties, want string }{
		{"good", "tls internal", ""},
		{"no certificate", "tls files /nowhere/a.pem /nowhere/b.pem", "/nowhere/a.pem"},
		{"every property", "tls off\nbalance first\naccess_log stdout\ntrusted_proxies 192.0.2.0/24\nnodes p tasks.plex\nwildcard", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			blocks := read(t, home+" {\nplex {\nnode plex1 127.0.0.1:1\nstorage "+filepath.Join(t.TempDir(), "s")+"\n"+tc.properties+"\n}\n}\n")
			err := proxy.Check(blocks)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

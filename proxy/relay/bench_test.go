package relay_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// BenchmarkRequest measures one request after the other on one connection, ours beside stock Caddy's handler
// with its own transport and policy, in the same process with the same client and node, which the figures
// hold too.
func BenchmarkRequest(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10, 8 << 20} {
		body := bytes.Repeat([]byte("x"), size)
		s := newStage(b, besideStock, handlers{"plex1": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			_, _ = w.Write(body)
		}})
		for _, host := range []string{"plex", "stock"} {
			b.Run(fmt.Sprintf("%s/%dKB", host, size>>10), func(b *testing.B) {
				get := newGetter(b, s.addr, host+".home.example", size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				before := cpuTime(b)
				for b.Loop() {
					get()
				}
				b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// besideStock serves stock Caddy's handler under a name of its own.
func besideStock(h *house) {
	h.routes = func(s *stage) caddyhttp.RouteList {
		return append(caddyhttp.RouteList{{
			MatcherSetsRaw: caddyhttp.RawMatcherSets{{"host": json.RawMessage(`["stock.home.example"]`)}},
			HandlersRaw:    []json.RawMessage{stockHandler(s.names["plex1"].addr())},
			Terminal:       true,
		}}, s.sites()...)
	}
}

// cpuTime returns what the process has used.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// stockHandler is what the write-up has, without what breaks it.
func stockHandler(addr string) json.RawMessage {
	return caddyconfig.JSONModuleObject(reverseproxy.Handler{
		Upstreams:     reverseproxy.UpstreamPool{{Dial: addr}},
		FlushInterval: -1,
		LoadBalancing: &reverseproxy.LoadBalancing{SelectionPolicyRaw: json.RawMessage(`{"policy":"uri_hash"}`)},
	}, "handler", "reverse_proxy", nil)
}

// newGetter returns a function that asks once, and reads as little as a client can of the answer.
func newGetter(tb testing.TB, addr, host string, size int) func() {
	tb.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	in := bufio.NewReaderSize(conn, 256<<10)
	ask := []byte("GET /library/metadata/1?X-Plex-Client-Identifier=tv&X-Plex-Token=t HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	return func() {
		if _, err := conn.Write(ask); err != nil {
			tb.Fatal(err)
		}
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				tb.Fatal(err)
			}
			if len(line) == 2 {
				break
			}
		}
		if n, err := io.CopyN(io.Discard, in, int64(size)); err != nil {
			tb.Fatalf("after %d bytes: %v", n, err)
		}
	}
}

// BenchmarkOpenStream measures the memory of a stream that is open and waits, with all that net/http holds for
// it, ours beside stock Caddy's: what is left when that of the same streams without a proxy is taken away.
func BenchmarkOpenStream(b *testing.B) {
	const streams = 500
	s := newStage(b, besideStock, handlers{"plex1": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000000000")
		_, _ = w.Write(make([]byte, 100<<10))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}})
	direct := memoryOf(b, streams, s.names["plex1"].addr(), "plex.home.example")
	for _, host := range []string{"plex", "stock"} {
		b.Run(host, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(float64(memoryOf(b, streams, s.addr, host+".home.example")-direct)/streams/1024, "KB/stream")
			}
		})
	}
}

// memoryOf returns the memory of heap and stacks that so many open streams take.
func memoryOf(tb testing.TB, streams int, addr, host string) int {
	tb.Helper()
	before := memory()
	var conns []net.Conn
	for range streams {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			tb.Fatal(err)
		}
		conns = append(conns, conn)
		if _, err := io.WriteString(conn, "GET /film HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, conn, 100<<10); err != nil {
			tb.Fatal(err)
		}
	}
	after := memory()
	for _, conn := range conns {
		_ = conn.Close()
	}
	return after - before
}

func memory() int {
	runtime.GC()
	runtime.GC() // the second one empties what pools have kept for the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

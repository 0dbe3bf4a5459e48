package probe_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"plexha/plugin/probe"
	"plexha/zones/board"
)

// standInEnv makes the test binary a tiny Plex server.
const standInEnv = "PLEXHA_PROBE_STANDIN"

var discard = log.New(io.Discard, "", 0)

// standIn says on its standard output where it listens, then a line for each connection, and serves until it
// is killed.
func standIn() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintln(os.Stdout, l.Addr())
	s := http.Server{
		Handler: answering(http.StatusOK, container),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				fmt.Fprintln(os.Stdout, "connection")
			}
		},
	}
	log.Fatal(s.Serve(l))
}

// child is a stand-in in a process of its own.
type child struct {
	*exec.Cmd
	at    netip.AddrPort
	lines *bufio.Scanner
}

func startStandIn(tb testing.TB) *child {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	c := &child{Cmd: exec.Command(self)}
	c.Env = append(os.Environ(), standInEnv+"=1")
	out, err := c.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	c.lines = bufio.NewScanner(out)
	c.at = netip.MustParseAddrPort(c.line(tb))
	return c
}

func (c *child) line(tb testing.TB) string {
	tb.Helper()
	if !c.lines.Scan() {
		tb.Fatalf("stand-in: %v", c.lines.Err())
	}
	return c.lines.Text()
}

// killed returns how long after a kill a probed and watched server is found to be gone.
func killed(tb testing.TB) time.Duration {
	tb.Helper()
	server := startStandIn(tb)
	b := newFakeBoard()
	p := probe.New(probe.Options{
		Config: config(node("plex1", server.at.Addr().String(), server.at.Port())), Board: b,
	})
	ctx, cancel := context.WithCancel(tb.Context())
	var wg sync.WaitGroup
	wg.Go(func() { p.Run(ctx) })
	defer wg.Wait()
	defer cancel()

	server.line(tb) // the probe's connection
	server.line(tb) // the link watch's
	if got := b.await(tb, board.OK, 10*time.Second); got.Identity != machineID {
		tb.Errorf("identity %q, want %q", got.Identity, machineID)
	}
	at := time.Now()
	if err := server.Process.Kill(); err != nil {
		tb.Fatal(err)
	}
	return b.await(tb, board.Gone, 10*time.Second).At.Sub(at)
}

func TestKilledServerIsGone(t *testing.T) { killed(t) }

// BenchmarkKilledServer reports what the probe's part of a failover takes.
func BenchmarkKilledServer(b *testing.B) {
	var sum, most time.Duration
	for b.Loop() {
		took := killed(b)
		sum += took
		most = max(most, took)
	}
	b.ReportMetric(float64(sum.Microseconds())/float64(b.N), "kill-us/op")
	b.ReportMetric(float64(most.Microseconds()), "worst-us")
}

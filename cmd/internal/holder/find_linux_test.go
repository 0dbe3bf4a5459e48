package holder_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin/pkg/reuseport"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plexha/cmd/internal/holder"
)

// holdEnv makes this program one that holds a port until its input ends: a network and an address.
const holdEnv = "PLEXHA_TEST_HOLD"

func TestMain(m *testing.M) {
	if network, at, ok := strings.Cut(os.Getenv(holdEnv), " "); ok {
		got, err := hold(network, at)
		if err != nil {
			os.Exit(1)
		}
		fmt.Fprintln(os.Stdout, got)
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// hold takes a port, for as long as this process lives.
func hold(network, at string) (net.Addr, error) {
	if network == "udp" {
		c, err := reuseport.ListenPacket(network, at)
		if err != nil {
			return nil, err
		}
		return c.LocalAddr(), nil
	}
	l, err := reuseport.Listen(network, at)
	if err != nil {
		return nil, err
	}
	return l.Addr(), nil
}

// child is another process that holds a port. It ends with the test.
type child struct {
	pid int
	at  netip.AddrPort
}

func startHolder(t *testing.T, network, at string) child {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), os.Args[0]) // it ends by the end of its input
	cmd.Env = append(os.Environ(), holdEnv+"="+network+" "+at)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return child{cmd.Process.Pid, addrOf(t, strings.TrimSpace(line))}
}

// addrOf is [netip.ParseAddrPort] for an address of package net.
func addrOf(t *testing.T, at string) netip.AddrPort {
	t.Helper()
	addr, err := netip.ParseAddrPort(at)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// programName is what the kernel calls this program.
func programName(t *testing.T) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(program)
	return name[:min(15, len(name))]
}

// found fails unless one process holds the port, and that is it.
func found(t *testing.T, network string, at netip.AddrPort, pid int) {
	t.Helper()
	want := []holder.Holder{{Network: network, At: at, Listens: true, UID: os.Getuid(), PID: pid, Name: programName(t)}}
	got, err := holder.Find(network, at)
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" || err != nil {
		t.Errorf("%s %s (-want +got, error %v):\n%s", network, at, err, diff)
	}
}

func TestOwnPortIsFound(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	found(t, "tcp", addrOf(t, l.Addr().String()), os.Getpid())

	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	found(t, "udp", addrOf(t, c.LocalAddr().String()), os.Getpid())
}

func TestPortOfAnotherProcessIsFound(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			c := startHolder(t, network, "127.0.0.1:0")
			found(t, network, c.at, c.pid)
		})
	}
}

// TestOthersAtOnePort: two sockets with SO_REUSEPORT. Those of this process are no other's.
func TestOthersAtOnePort(t *testing.T) {
	c, err := reuseport.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	at := addrOf(t, c.LocalAddr().String())
	second, err := reuseport.ListenPacket("udp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	got, err := holder.Others("udp", at)
	if len(got) > 0 || err != nil {
		t.Errorf("alone: got %v, error %v", got, err)
	}
	child := startHolder(t, "udp", at.String())
	got, err = holder.Others("udp", at)
	want := []holder.Holder{{Network: "udp", At: at, Listens: true, UID: os.Getuid(), PID: child.pid, Name: programName(t)}}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" || err != nil {
		t.Errorf("(-want +got, error %v):\n%s", err, diff)
	}
}

// TestRealErrorIsExplained: the words of package net are those that we know.
func TestRealErrorIsExplained(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = net.Listen("tcp", l.Addr().String())
	if err == nil {
		t.Fatal("one port is had twice")
	}
	got := holder.Explain(holder.PlexProxy, err).Error()
	if want := fmt.Sprintf("(pid %d) holds tcp %s\n", os.Getpid(), l.Addr()); !strings.Contains(got, want) {
		t.Errorf("got %q, want it to hold %q", got, want)
	}
	_, err = net.Listen("tcp", "192.0.2.1:0")
	if err == nil {
		t.Fatal("an address for documentation is had")
	}
	if got, want := holder.Explain(holder.PlexProxy, err).Error(), "no such address"; !strings.Contains(got, want) {
		t.Errorf("got %q, want it to hold %q", got, want)
	}
}

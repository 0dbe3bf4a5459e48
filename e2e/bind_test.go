package e2e_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// holding takes a port on loopback for as long as the test lasts.
func holding(t *testing.T, network string) (at netip.AddrPort) {
	t.Helper()
	at = netip.AddrPortFrom(inside, freePort(t, inside))
	var err error
	var held interface{ Close() error }
	if network == "udp" {
		held, err = net.ListenPacket(network, at.String())
	} else {
		held, err = net.Listen(network, at.String())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Close() })
	return at
}

// fails runs a program that can't start, and returns what it writes.
func fails(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), programs.path(t, program), args...)
	proc := startProcess(t, "", cmd)
	if code := exitCode(proc.wait(t, 20*time.Second)); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	return proc.output.String()
}

// TestTakenPort: both programs name who has the port that they want, and end.
func TestTakenPort(t *testing.T) {
	t.Parallel()
	tests := []struct{ program, network, lines string }{
		{"plexdns", "udp", ""},
		{"plexdns", "tcp", ""},
		{"plexproxy", "tcp", "listen http://%s"},
	}
	for _, tt := range tests {
		t.Run(tt.program+" "+tt.network, func(t *testing.T) {
			h := &home{tb: t, dns: newPlexdns(t)}
			at := holding(t, tt.network)
			c := homeConfig{lines: []string{"node plex1 127.0.1.1:1"}}
			if tt.lines == "" {
				h.dns.addr = at
			} else {
				c.lines = append(c.lines, fmt.Sprintf(tt.lines, at))
			}
			h.dns.write(h.corefile(c))
			got := fails(t, tt.program, "-conf", h.dns.file())
			for _, want := range []string{
				fmt.Sprintf("listen %s %s: bind: address already in use\n", tt.network, at),
				fmt.Sprintf("(pid %d) holds %s %s\n", os.Getpid(), tt.network, at),
				"stop it, or give " + tt.program + " ",
			} {
				if !strings.Contains(got, want) {
					t.Errorf("the output lacks %q:\n%s", want, got)
				}
			}
			if n := strings.Count(got, "another port"); n != 1 {
				t.Errorf("it is told what to do %d times:\n%s", n, got)
			}
		})
	}
}

// TestPortOfTheOther: plexproxy finds plexdns at its port, by name.
func TestPortOfTheOther(t *testing.T) {
	t.Parallel()
	h := newHome(t, homeConfig{})
	other := &home{tb: t, dns: newPlexdns(t)}
	other.dns.write(other.corefile(homeConfig{lines: []string{"node plex1 127.0.1.1:1", "listen http://" + h.dns.addr.String()}}))
	got := fails(t, "plexproxy", "-conf", other.dns.file())
	want := fmt.Sprintf("plexdns (pid %d) holds tcp %s\nthat is ours as well: give plexproxy ", h.dns.proc.cmd.Process.Pid, h.dns.addr)
	if !strings.Contains(got, want) {
		t.Errorf("the output lacks %q:\n%s", want, got)
	}
}

// TestSecondPlexdnsIsSeen: the kernel lets a second one of the same user have the same port, and deals out the
// questions. It says so, and with which process it shares; the first one, and a reload, say nothing.
func TestSecondPlexdnsIsSeen(t *testing.T) {
	t.Parallel()
	h := newHome(t, homeConfig{})
	second := newPlexdns(t)
	second.addr = h.dns.addr
	second.write((&home{dns: second}).corefile(homeConfig{lines: []string{"node plex1 127.0.1.1:1"}}))
	second.launch()
	want := fmt.Sprintf("[WARNING] plexdns (pid %d) holds ", h.dns.proc.cmd.Process.Pid)
	eventually(t, 20*time.Second, func() error {
		if got := second.proc.output.String(); strings.Count(got, want) != 1 || !strings.Contains(got, "each of us gets a part of the questions") {
			return errors.New("the second one does not say that it shares its port, or more than once")
		}
		return nil
	})
	// It may have looked around while the second one came.
	later := fmt.Sprintf("(pid %d) holds ", second.proc.cmd.Process.Pid)
	if h.dns.proc.output.count("part of the questions") != h.dns.proc.output.count(later) {
		t.Errorf("the first one complains: %s", h.dns.proc.output)
	}
}

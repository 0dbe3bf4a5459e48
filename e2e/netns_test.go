package e2e_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"plexha/e2e/internal/gate"
)

// network is two network namespaces with a cable between them: `here`, where plexdns and its clients are,
// and `there`, where the nodes are. Nothing leads out of them.
type network struct {
	tb          testing.TB
	here, there string
	hosts       byte // added so far
}

var networks atomic.Int64

// newNetwork makes the namespaces. The addresses are those set apart for tests of networks (RFC 2544).
func newNetwork(tb testing.TB) *network {
	tb.Helper()
	gate.Need(tb, gate.Namespaces)
	id := fmt.Sprintf("plexha-%d-%d", os.Getpid(), networks.Add(1))
	n := &network{tb: tb, here: id + "a", there: id + "b"}
	for _, ns := range []string{n.here, n.there} {
		n.ip("netns add %s", ns)
		tb.Cleanup(func() { n.ip("netns del %s", ns) })
		n.ip("-n %s link set lo up", ns)
	}
	n.ip("-n %s link add cable type veth peer name cable netns %s", n.here, n.there)
	n.ip("-n %s addr add 198.18.0.1/30 dev cable", n.here)
	n.ip("-n %s addr add 198.18.0.2/30 dev cable", n.there)
	n.ip("-n %s link set cable up", n.here)
	n.ip("-n %s link set cable up", n.there)
	n.ip("-n %s route add 198.18.1.0/24 via 198.18.0.2", n.here)
	return n
}

// host adds a host to `there`, and returns its address, which no other has had.
func (n *network) host() netip.Addr {
	n.tb.Helper()
	n.hosts++
	addr := netip.AddrFrom4([4]byte{198, 18, 1, n.hosts})
	n.ip("-n %s addr add %s/32 dev lo", n.there, addr)
	return addr
}

// vanish takes a host away: what is sent to it gets no answer of any kind.
func (n *network) vanish(addr netip.Addr) {
	n.tb.Helper()
	n.ip("-n %s addr del %s/32 dev lo", n.there, addr)
}

func (n *network) ip(format string, args ...any) {
	n.tb.Helper()
	line := fmt.Sprintf(format, args...)
	if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		n.tb.Fatalf("ip %s: %v: %s", line, err, out)
	}
}

// inNamespace calls f on a thread that is in the network namespace. Sockets that f opens stay in there.
func inNamespace(tb testing.TB, ns string, f func() error) {
	tb.Helper()
	done := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, instead of serving others in the wrong place.
		runtime.LockOSThread()
		done <- func() error {
			file, err := os.Open("/run/netns/" + ns)
			if err != nil {
				return err
			}
			defer file.Close()
			if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("entering %s: %w", ns, err)
			}
			return f()
		}()
	}()
	if err := <-done; err != nil {
		tb.Fatal(err)
	}
}

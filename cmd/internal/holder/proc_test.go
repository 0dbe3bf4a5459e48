package holder_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plexha/cmd/internal/holder"
)

const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

// hexAddr writes an address as this machine's kernel would.
func hexAddr(at netip.AddrPort) string {
	raw := at.Addr().AsSlice()
	var out strings.Builder
	for i := 0; i < len(raw); i += 4 {
		fmt.Fprintf(&out, "%08X", binary.NativeEndian.Uint32(raw[i:]))
	}
	return fmt.Sprintf("%s:%04X", out.String(), at.Port())
}

// entry is a line of a table of sockets.
func entry(at string, state string, uid, inode int) string {
	return fmt.Sprintf("   0: %s 00000000:0000 %s 00000000:00000000 00:00000000 00000000 %5d        0 %d 1 0000000000000000 100 0 0 10 0\n",
		hexAddr(netip.MustParseAddrPort(at)), state, uid, inode)
}

// machine is a folder like /proc.
type machine struct {
	t   *testing.T
	dir string
}

func newMachine(t *testing.T, tables map[string]string) *machine {
	t.Helper()
	m := &machine{t, t.TempDir()}
	if err := os.Mkdir(filepath.Join(m.dir, "net"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range tables {
		m.write(filepath.Join("net", name), head+text)
	}
	return m
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// runs adds a process with open sockets, and a file that is none.
func (m *machine) runs(pid int, name string, inodes ...int) {
	m.t.Helper()
	folder := filepath.Join(m.dir, strconv.Itoa(pid), "fd")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		m.t.Fatal(err)
	}
	m.write(filepath.Join(strconv.Itoa(pid), "comm"), name+"\n")
	targets := []string{"/dev/null"}
	for _, inode := range inodes {
		targets = append(targets, fmt.Sprintf("socket:[%d]", inode))
	}
	for fd, target := range targets {
		if err := os.Symlink(target, filepath.Join(folder, strconv.Itoa(fd))); err != nil {
			m.t.Fatal(err)
		}
	}
}

// holds returns who is in the way, in words.
func (m *machine) holds(network, at string) []string {
	m.t.Helper()
	all, err := holder.FindIn(m.dir, network, netip.MustParseAddrPort(at))
	if err != nil {
		m.t.Fatal(err)
	}
	var words []string
	for _, h := range all {
		words = append(words, h.String())
	}
	return words
}

func TestWhoIsInTheWay(t *testing.T) {
	m := newMachine(t, map[string]string{
		"udp": entry("127.0.0.53:53", "07", 991, 10) + entry("192.168.122.1:53", "07", 993, 11) + entry("0.0.0.0:5353", "07", 992, 12),
		"tcp": entry("127.0.0.1:8080", "01", 1000, 20) + entry("0.0.0.0:8080", "0A", 1000, 21) +
			entry("127.0.0.1:443", "06", 0, 0),
		"tcp6": entry("[::]:443", "0A", 0, 30) + entry("[fd12::53]:80", "0A", 0, 31) + entry("[::ffff:127.0.0.1]:81", "0A", 0, 32),
	})
	m.runs(1, "systemd", 31, 30)
	m.runs(700, "systemd-resolve", 10)
	m.runs(801, "nginx", 30)
	m.runs(800, "nginx", 30)
	m.runs(900, "dnsmasq", 11)
	m.runs(1000, "browser", 20)
	m.runs(1001, "a \x1b[31mname", 21)
	tests := []struct {
		name, network, at string
		want              []string
	}{
		{"at the very address", "udp", "127.0.0.53:53", []string{"systemd-resolve (pid 700) holds udp 127.0.0.53:53"}},
		{"all addresses meet each of them", "udp", "[::]:53", []string{
			"systemd-resolve (pid 700) holds udp 127.0.0.53:53", "dnsmasq (pid 900) holds udp 192.168.122.1:53",
		}},
		{"all of IPv4 too", "udp", "0.0.0.0:53", []string{
			"systemd-resolve (pid 700) holds udp 127.0.0.53:53", "dnsmasq (pid 900) holds udp 192.168.122.1:53",
		}},
		{"another address is free", "udp", "192.168.1.53:53", nil},
		{"another network is free", "tcp", "127.0.0.53:53", nil},
		{"of an IPv4 port the IPv6 one is free", "udp", "[fd12::1]:5353", nil},
		{"one at all IPv6 addresses is in the way of IPv4; the first of its processes, not the manager", "tcp", "192.168.1.2:443", []string{
			"nginx (pid 800) holds tcp [::]:443",
		}},
		{"the manager if it is alone", "tcp", "[fd12::53]:80", []string{"systemd (pid 1) holds tcp [fd12::53]:80"}},
		{"who listens comes first, and a name is shown as it is, not obeyed", "tcp", "127.0.0.1:8080", []string{
			`"a \x1b[31mname" (pid 1001) holds tcp 0.0.0.0:8080`,
			"browser (pid 1000) has a connection that goes out from tcp 127.0.0.1:8080",
		}},
		{"an IPv4 address in IPv6 clothes", "tcp", "127.0.0.1:81", []string{"a process of user root holds tcp 127.0.0.1:81"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, m.holds(tt.network, tt.at)); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", tt.network, tt.at, diff)
			}
		})
	}
}

func TestKernelWithoutIPv6(t *testing.T) {
	m := newMachine(t, map[string]string{"udp": entry("0.0.0.0:53", "07", 0, 7)})
	m.runs(5, "named", 7)
	if diff := cmp.Diff([]string{"named (pid 5) holds udp 0.0.0.0:53"}, m.holds("udp", "127.0.0.1:53")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUserWithoutName(t *testing.T) {
	m := newMachine(t, map[string]string{"udp": entry("0.0.0.0:53", "07", 3999999, 7)})
	if diff := cmp.Diff([]string{"a process of user number 3999999 holds udp 0.0.0.0:53"}, m.holds("udp", "127.0.0.1:53")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTableThatIsNone(t *testing.T) {
	for _, line := range []string{
		"0: 0100007F:0035",
		strings.Replace(entry("127.0.0.1:53", "0A", 0, 1), ":0035", ":10035", 1),
		strings.Replace(entry("127.0.0.1:53", "0A", 0, 1), ":0035", "", 1),
		"0: 0100:0035 0:0 0A 0:0 0:0 0 0 0 1",
		"0: xx:0035 0:0 0A 0:0 0:0 0 0 0 1",
		"0: 0100007F:0035 0:0 0A 0:0 0:0 0 -1 0 1",
		"0: 0100007F:0035 0:0 0A 0:0 0:0 0 0 0 x",
	} {
		if all, _, err := holder.ParseTable(strings.NewReader(head + line)); err == nil {
			t.Errorf("%q is read as %v", line, all)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add(entry("127.0.0.1:53", "0A", 0, 1) + entry("[fd12::1]:443", "07", 1000, 99))
	f.Add("\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, inodes, err := holder.ParseTable(strings.NewReader(head + text))
		if err != nil {
			return
		}
		// What was read can be written, and is then read as the same.
		var again strings.Builder
		for i, h := range all {
			state := "01"
			if h.Listens {
				state = "0A"
			}
			addr := h.At
			if !addr.IsValid() || h.UID < 0 {
				t.Fatalf("%q is read as %+v", text, h)
			}
			again.WriteString(strings.Replace(entry(addr.String(), state, h.UID, 0), " 0 1 0000", " "+strconv.FormatUint(inodes[i], 10)+" 1 0000", 1))
		}
		all2, inodes2, err := holder.ParseTable(strings.NewReader(head + again.String()))
		if err != nil {
			t.Fatal(err)
		}
		same := cmp.Options{cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty()}
		if diff := cmp.Diff(all, all2, same) + cmp.Diff(inodes, inodes2, same); diff != "" {
			t.Errorf("%q, read again as\n%q (-want +got):\n%s", text, again.String(), diff)
		}
	})
}

package holder

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// proc is a folder as Linux shows it at /proc, see proc(5).
type proc string

// socket is a line of a table of /proc/net.
type socket struct {
	Holder
	inode uint64 // 0: no process has it any more
}

// find returns the sockets of a network that are in the way of one at an address, with their processes.
func (p proc) find(network string, at netip.AddrPort) ([]Holder, error) {
	all, err := p.sockets(network)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(s socket) bool { return s.inode == 0 || !s.conflicts(at) })
	return rank(p.processes(all), at), nil
}

// others returns the sockets of other processes at the very address of one of ours.
func (p proc) others(network string, at netip.AddrPort) ([]Holder, error) {
	all, err := p.sockets(network)
	if err != nil {
		return nil, err
	}
	ours := p.opened("self")
	all = slices.DeleteFunc(all, func(s socket) bool {
		return s.inode == 0 || s.At != at || !s.Listens || slices.Contains(ours, s.inode)
	})
	return p.processes(all), nil
}

// processes returns who has the sockets. It looks through all processes, unless there is none to look for.
func (p proc) processes(all []socket) []Holder {
	if len(all) == 0 {
		return nil
	}
	wanted := map[uint64]bool{}
	for _, s := range all {
		wanted[s.inode] = true
	}
	pids := p.pids(wanted)
	holders := make([]Holder, len(all))
	for i, s := range all {
		holders[i] = s.Holder
		if pid := pids[s.inode]; pid != 0 {
			holders[i].PID, holders[i].Name = pid, p.name(pid)
		}
	}
	return holders
}

// sockets returns all of a network, of both families. A kernel without IPv6 has no table of that.
func (p proc) sockets(network string) ([]socket, error) {
	var all []socket
	for _, table := range []string{network, network + "6"} {
		file, err := os.Open(filepath.Join(string(p), "net", table))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the table of sockets: %w", err)
		}
		some, err := parseTable(network, file)
		_ = file.Close() // it was read
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file.Name(), err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// The columns of /proc/net/tcp and its kind, and the state of a socket that listens (TCP_LISTEN of the kernel's
// net/tcp_states.h) or, with UDP, is bound to no peer (TCP_CLOSE).
const (
	columnLocal = 1
	columnState = 3
	columnUID   = 7
	columnInode = 9

	stateListen  = "0A"
	stateUnbound = "07"
)

// parseTable reads a table of /proc/net. The first line names the columns.
func parseTable(network string, r io.Reader) ([]socket, error) {
	var all []socket
	lines := bufio.NewScanner(r)
	for head := true; lines.Scan(); head = false {
		if head {
			continue
		}
		s, err := parseSocket(lines.Text())
		if err != nil {
			return nil, err
		}
		s.Network = network
		all = append(all, s)
	}
	return all, lines.Err()
}

func parseSocket(line string) (socket, error) {
	columns := strings.Fields(line)
	if len(columns) <= columnInode {
		return socket{}, fmt.Errorf("%q has too few columns", line)
	}
	at, err := parseHexAddr(columns[columnLocal])
	if err != nil {
		return socket{}, err
	}
	uid, err := strconv.ParseUint(columns[columnUID], 10, 32)
	if err != nil {
		return socket{}, fmt.Errorf("reading a user: %w", err)
	}
	inode, err := strconv.ParseUint(columns[columnInode], 10, 64)
	if err != nil {
		return socket{}, fmt.Errorf("reading an inode: %w", err)
	}
	state := columns[columnState]
	return socket{Holder{At: at, UID: int(uid), Listens: state == stateListen || state == stateUnbound}, inode}, nil
}

// parseHexAddr reads an address with its port, such as 0100007F:1F55. The address is made of words of four bytes in
// the machine's order, each shown as a number.
func parseHexAddr(text string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("reading an address: %w", err)
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("reading a port: %w", err)
	}
	for i := 0; i+4 <= len(raw); i += 4 {
		word := raw[i : i+4]
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	addr, ok := netip.AddrFromSlice(raw)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("reading an address: %q is neither IPv4 nor IPv6", host)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), nil
}

// pids returns, by inode, the process that holds each of these sockets. Of several, such as a server and the workers
// that it forked, it is the first; the service manager, which may keep what it hands over, only if it is the only one.
// Processes that this user may not look into hold nothing.
func (p proc) pids(inodes map[uint64]bool) map[uint64]int {
	found := map[uint64]int{}
	entries, err := os.ReadDir(string(p))
	if err != nil {
		return found
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		for _, inode := range p.opened(e.Name()) {
			if old := found[inode]; inodes[inode] && (old <= 1 || pid > 1 && pid < old) {
				found[inode] = pid
			}
		}
	}
	return found
}

// opened returns the inodes of the sockets that a process has.
func (p proc) opened(pid string) []uint64 {
	folder := filepath.Join(string(p), pid, "fd")
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	var all []uint64
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(folder, e.Name()))
		if err != nil {
			continue
		}
		number, isSocket := strings.CutPrefix(target, "socket:[")
		if inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64); isSocket && err == nil {
			all = append(all, inode)
		}
	}
	return all
}

func (p proc) name(pid int) string {
	comm, err := os.ReadFile(filepath.Join(string(p), strconv.Itoa(pid), "comm"))
	if err != nil {
		return "a process that has just ended"
	}
	return printable(strings.TrimSuffix(string(comm), "\n"))
}

// printable returns a name as it is, or quoted if it would do more to a terminal than to be shown: a process chooses
// its own.
func printable(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}

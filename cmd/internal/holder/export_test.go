package holder

import (
	"io"
	"net/netip"
)

// FindIn is Find with another folder in the place of /proc.
func FindIn(folder, network string, at netip.AddrPort) ([]Holder, error) {
	return proc(folder).find(network, at)
}

// ExplainBy is Explain with another Find.
func ExplainBy(find func(string, netip.AddrPort) ([]Holder, error), p Program, err error) error {
	return explain(p, err, find)
}

// ParseTable returns the sockets of a table of /proc/net, and their inodes.
func ParseTable(r io.Reader) (all []Holder, inodes []uint64, err error) {
	sockets, err := parseTable("tcp", r)
	for _, s := range sockets {
		all, inodes = append(all, s.Holder), append(inodes, s.inode)
	}
	return all, inodes, err
}

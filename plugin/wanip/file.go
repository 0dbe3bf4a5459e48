package wanip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/zones"
)

// fileSource is a file that somebody else keeps, read anew each time. See [addrIn] for what it holds.
func fileSource(s corefile.Source) Source {
	name := s.Args[0]
	return Source{
		Name: s.String(), Operator: s.Operator(), Nature: Word, Secure: s.Secure(),
		Ask: func(_ context.Context, _ via.Path, f zones.Family) (netip.Addr, error) {
			text, err := readShort(name)
			if err != nil {
				return netip.Addr{}, fmt.Errorf("reading the address: %w", err)
			}
			return addrIn(text, f)
		},
	}
}

// readShort reads a file, and one byte more than it may have. A pipe or a device could keep us waiting for ever.
func readShort(name string) ([]byte, error) {
	if info, err := os.Stat(name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "read", Path: name, Err: errors.New("no regular file")}
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxText+1))
}

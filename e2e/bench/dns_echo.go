package main

import (
	"context"
	"fmt"
	"net"
)

// echo sends each datagram back, marked as an answer, until ctx ends: what a server in Go costs that knows nothing.
func echo(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	c, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp4", args[0])
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	conn := c.(*net.UDPConn)
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("reading: %w", err)
		}
		if n < 12 {
			continue
		}
		buf[2] |= 0x84 // an answer, authoritative
		_, _ = conn.WriteToUDPAddrPort(buf[:n], from)
	}
}

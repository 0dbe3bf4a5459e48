// Plexdns is a CoreDNS server with the plugin `plex`: the authoritative name server, with two views, of a
// cluster of Plex Media Servers.
package main

import (
	"os"

	"plexha/cmd/internal/dnsmain"
)

func main() { os.Exit(dnsmain.Main(os.Args[1:], os.Stdout, os.Stderr)) }

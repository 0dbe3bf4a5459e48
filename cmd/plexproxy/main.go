// Plexproxy is the HTTPS proxy before a cluster of Plex Media Servers: one name for all of them, with each client
// and each playback kept on its server.
package main

import (
	"os"

	"plexha/cmd/internal/proxymain"
)

func main() { os.Exit(proxymain.Main(os.Args[1:], os.Stdout, os.Stderr)) }

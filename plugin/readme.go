package plugin

import _ "embed"

// Readme is the plugin's manual, which plexctl makes the man page coredns-plex(7) of.
//
//go:embed README.md
var Readme string

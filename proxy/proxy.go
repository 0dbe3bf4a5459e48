// Package proxy is plexproxy: Caddy, embedded, with one configuration made from the plex blocks of a Corefile.
package proxy

import _ "embed" // the manual

// Readme is plexproxy's manual, of which plexctl makes the man page plexproxy(8).
//
//go:embed README.md
var Readme string

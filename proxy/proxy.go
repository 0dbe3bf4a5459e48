// Package proxy is plexproxy: Caddy, embedded, with one configuration made from the plex blocks of a Corefile.
package proxy

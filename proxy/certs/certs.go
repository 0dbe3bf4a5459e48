// Package certs holds the Caddy modules that certificates come through: DuckDNS's API for DNS-01, and files.
package certs

import (
	_ "github.com/libdns/duckdns" // speaks DuckDNS's API
	_ "github.com/libdns/libdns"
)

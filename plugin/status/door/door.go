// Package door decides who may see what a program shows over HTTP, and who may change it.
package door

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ofProxies are header fields that only proxies add, beside all X-Forwarded ones.
var ofProxies = []string{"Forwarded", "Via", "X-Real-Ip"}

// IsLocal reports whether a request that came over TCP is from this machine, and was not handed on by a proxy here.
func IsLocal(r *http.Request) bool {
	for name := range r.Header {
		if slices.Contains(ofProxies, name) || strings.HasPrefix(name, "X-Forwarded-") {
			return false
		}
	}
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && client.Addr().Unmap().IsLoopback()
}

// IsNamed reports whether a page elsewhere can not have made up the host that is asked: a name that somebody
// lets lead to this machine (DNS rebinding) is none of ours.
func IsNamed(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.EqualFold(strings.TrimSuffix(host, "."), "localhost")
}

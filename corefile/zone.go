package corefile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// errNoZone is said of a block that would be authoritative for everything.
var errNoZone = errors.New(`no zone: name one as the server block's key or behind plex, such as "home.duckdns.org"; "." is none`)

// schemes are those of CoreDNS's server block keys.
var schemes = []string{"dns", "tls", "https", "https3", "quic", "grpc"}

// parseZone takes a zone as the keys of server blocks have it: with a scheme and a port, or without.
func parseZone(key string) (string, error) {
	zone := key
	if scheme, rest, ok := strings.Cut(key, "://"); ok {
		if !slices.Contains(schemes, scheme) {
			return "", fmt.Errorf("%q: scheme %q is not %s%s", key, scheme, listed(schemes), didYouMean(scheme, schemes))
		}
		zone = rest
	}
	if i := strings.LastIndexByte(zone, ':'); i >= 0 && strings.Trim(zone[i+1:], "0123456789") == "" {
		zone = zone[:i]
	}
	if strings.Contains(zone, "/") || inZone(zone, "in-addr.arpa.") || inZone(zone, "ip6.arpa.") {
		return "", fmt.Errorf("%q is for reverse look-ups, where no node has a name", key)
	}
	if zone == "." || zone == "" {
		return ".", nil
	}
	if !isHostName(zone) || len(zone) > maxZone {
		return "", fmt.Errorf("%q is no domain name of at most %d characters", key, maxZone)
	}
	return fqdn(zone), nil
}

// inZone reports whether name is zone or below it. Zone is fully qualified and lower-case.
func inZone(name, zone string) bool {
	name = fqdn(name)
	return zone == "." || name == zone || strings.HasSuffix(name, "."+zone)
}

// InZone reports whether name is one of the block's zones or below one, in whatever letter case, with or
// without its final dot.
func (c *Config) InZone(name string) bool {
	return slices.ContainsFunc(c.Cluster.Origins, func(zone string) bool { return inZone(name, zone) })
}

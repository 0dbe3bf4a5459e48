// Command stock is CoreDNS as it is released, with all of its plugins, and plex among them. It shows that the
// plugin drops into any CoreDNS; whoever builds one adds the line `plex:plexha/plugin` to plugin.cfg, behind
// `transfer`, to the same end.
package main

import (
	"slices"

	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/core/plugin" // all plugins
	"github.com/coredns/coredns/coremain"

	_ "plexha/plugin"
)

func main() {
	behind := slices.Index(dnsserver.Directives, "transfer") + 1
	dnsserver.SetDirectives(slices.Insert(slices.Clone(dnsserver.Directives), behind, "plex"))
	coremain.Run()
}

package lint

import "plexha/corefile"

// say adds a finding at a place.
type say func(at pos, format string, args ...any)

// rule is one thing that hurts.
type rule struct {
	code    string // never changed once it is released: people filter by it
	level   Level
	program Program
	find    func(*file, say)
}

// rules are all that there are, in the order of the Corefile's reference.
var rules = []rule{
	{"proxy-is-node", Warning, Plexproxy, each(proxyIsNode)},
	{"unreachable", Warning, Plexdns, each(unreachable)},
	{"listen-ports", Warning, Both, each(listenPorts)},
	{"proxy-outside", Warning, Plexdns, each(proxyOutside)},
	{"internal-uplink", Warning, Both, each(internalUplink)},
	{"internal-everybody", Warning, Both, each(internalEverybody)},
	{"node-fallback", Note, Plexdns, each(nodeFallback)},
	{"node-ports", Warning, Plexdns, each(nodePorts)},
	{"alldown-empty", Warning, Plexdns, each(allDownEmpty)},
	{"probe-none", Warning, Both, each(probeNone)},
	{"ttl", Warning, Plexdns, each(ttl)},
	{"one-ns", Warning, Plexdns, each(oneNameServer)},
	{"no-ns", Mistake, Plexdns, each(noNameServer)},
	{"passthrough", Warning, Plexdns, each(passthrough)},
	{"rest-of-zone", Warning, Plexdns, each(restOfZone)},
	{"trust-ecs", Warning, Plexdns, each(trustECS)},
	{"token", Warning, Both, each(token)},
	{"verify-off", Warning, Plexdns, each(verifyOff)},
	{"affinity-off", Warning, Plexproxy, each(affinityOff)},
	{"tls-internal", Warning, Plexproxy, each(tlsInternal)},
	{"tls-off", Warning, Plexproxy, each(tlsOff)},
	{"storage", Warning, Plexproxy, each(storage)},
	{"max-requests", Warning, Plexproxy, each(maxRequests)},
	{"trusted-proxies", Warning, Plexproxy, each(trustedProxies)},
	{"status-public", Warning, Plexdns, each(statusPublic)},
	{"status-public", Warning, Plexproxy, each(proxyStatusPublic)},
	{"status-closed", Warning, Plexdns, each(statusClosed)},
	{"status-closed", Warning, Plexproxy, each(proxyStatusClosed)},
	{Lane, Note, Plexdns, each(laneAside)},
	{LaneShed, Mistake, Plexdns, laneShed},
	{"inactive", Note, Plexdns, each(inactive)},
	{"inactive", Note, Both, each(inactiveState)},
	{"no-reload", Warning, Plexdns, noReload},
	{"ready", Warning, Plexdns, ready},
	{"no-errors", Warning, Plexdns, noErrors},
	{"cache", Note, Plexdns, cacheBypassed},
	{"forward-self", Warning, Plexdns, forwardSelf},
	{"open-recursion", Warning, Plexdns, openRecursion},
}

// each has a rule look at each plex block.
func each(find func(*cluster, say)) func(*file, say) {
	return func(f *file, say say) {
		for _, c := range f.clusters {
			find(c, say)
		}
	}
}

// inactive notes what this version only checks.
func inactive(c *cluster, say say) {
	for _, feature := range c.Inactive {
		if feature != stateEtcd {
			say(c.at(feature), "%s is accepted, but not yet active in this version", feature)
		}
	}
}

// stateEtcd is how [corefile.Config.Inactive] calls the etcd of a `state` line.
const stateEtcd = "state etcd"

func inactiveState(c *cluster, say say) {
	if c.State.Etcd != "" {
		say(c.at("state"), "state etcd:// is accepted, but not yet active in this version: orders and state stay on each machine")
	}
}

// hasNodes reports whether the block may have several nodes.
func hasNodes(c *corefile.Config) bool { return len(c.Cluster.Nodes) > 1 || len(c.Finders) > 0 }

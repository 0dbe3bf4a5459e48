package corefile

// property is one row of the Corefile reference.
type property struct {
	usage    string // its grammar, which begins with its name
	name     string
	many     bool // it may stand several times
	inactive bool // this version only checks it
	secret   bool // its long words are not repeated in messages
	read     func(*block, *words)
}

// properties are all that may stand in a plex block, in the order of the reference.
var properties = []property{
	{
		name: "node", many: true, read: (*block).node,
		usage: "node NAME HOST[:PORT] [https [verify]] [at ADDRESS...] [weight N] [backup] [id MACHINEID]",
	},
	{name: "nodes", many: true, read: (*block).finder, usage: "nodes NAME DNSNAME [PORT] [max N]"},
	{name: "proxy", many: true, read: (*block).proxy, usage: "proxy ADDRESS[:PORT]..."},
	{name: "name", read: (*block).mainName, usage: "name LABEL"},
	{name: "internal", many: true, read: (*block).internal, usage: "internal PREFIX...|private|onlink"},
	{name: "external", many: true, read: (*block).external, usage: "external PREFIX..."},
	{
		name: "uplink", many: true, read: (*block).uplink,
		usage: "uplink NAME auto|ADDRESS... [via INTERFACE] [ipv6 ADDRESS|::SUFFIX[/LEN]|off] [probe tcp HOST:PORT]",
	},
	{name: "answer", read: (*block).answer, usage: "answer proxies|nodes [all|first|spread]"},
	{name: "alldown", read: (*block).allDown, usage: "alldown last_resort|servfail|empty"},
	{name: "probe", read: (*block).probe, usage: "probe plex|http PATH [status 200-399] [body REGEXP]|tcp|none"},
	{name: "interval", read: (*block).interval, usage: "interval D"},
	{name: "timeout", read: (*block).timeout, usage: "timeout D"},
	{name: "rise", read: (*block).rise, usage: "rise N"},
	{name: "fall", read: (*block).fall, usage: "fall N"},
	{name: "canary", read: (*block).canary, usage: "canary HOST:PORT"},
	{name: "ttl", read: (*block).ttl, usage: "ttl D [MIN]"},
	{name: "negative", read: (*block).negative, usage: "negative D"},
	{name: "ns", many: true, read: (*block).nameServer, usage: "ns NAME [ADDRESS...]"},
	{name: "zonefile", many: true, read: (*block).zoneFile, usage: "zonefile internal|external FILE"},
	{name: "passthrough", read: (*block).passThrough, usage: "passthrough NAME..."},
	{name: "fallthrough", read: (*block).fallThrough, usage: "fallthrough [ZONE...]"},
	{name: "wildcard", read: (*block).wildcard, usage: "wildcard"},
	{name: "trust_ecs", read: (*block).trustECS, usage: "trust_ecs PREFIX..."},
	{
		name: "duckdns", secret: true, read: (*block).duckDNS,
		usage: "duckdns [NAME] token_file FILE|token TOKEN|token from $CREDENTIALS_DIRECTORY[/NAME] " +
			"[every D] [refresh D] [verify off|verify at ADDRESS[:PORT]...] [api URL] [ipv4 off] [ipv6 off]",
	},
	{
		name: "detect", many: true, read: (*block).detect,
		usage: "detect SOURCE [at ADDRESS[:PORT]...]...|allow PREFIX...",
	},
	{name: "balance", read: (*block).balance, usage: "balance POLICY"},
	{name: "affinity", read: (*block).affinity, usage: "affinity plex [by client]|off"},
	{name: "tls", read: (*block).tls, usage: "tls acme EMAIL [dns] [ca URL]|internal|files CERT KEY|off"},
	{name: "listen", many: true, read: (*block).listen, usage: "listen [http://]ADDRESS... [h3]"},
	{name: "retry", read: (*block).retry, usage: "retry D [every D]"},
	{name: "max_requests", read: (*block).maxRequests, usage: "max_requests N"},
	{name: "trusted_proxies", read: (*block).trustedProxies, usage: "trusted_proxies PREFIX..."},
	{name: "storage", read: (*block).storage, usage: "storage DIR"},
	{name: "access_log", read: (*block).accessLog, usage: "access_log stdout|FILE"},
	{name: "state", secret: true, read: (*block).state, usage: "state DIR|etcd://..."},
	{name: "status", read: (*block).status, usage: "status ADDRESS [public]"},
	{name: "proxy_status", read: (*block).proxyStatus, usage: "proxy_status ADDRESS [public]"},
	{name: "open_ok", read: (*block).openToAll, usage: "open_ok NODE..."},
	{name: "lane", read: (*block).lane, usage: "lane off|on [SOCKETS]"},
	{name: "notify", many: true, inactive: true, secret: true, read: (*block).notify, usage: "notify URL..."},
}

// lookUp returns the property of that name, or nil.
func lookUp(name string) *property {
	for i := range properties {
		if properties[i].name == name {
			return &properties[i]
		}
	}
	return nil
}

// Properties returns the names of all properties, in the order of the reference.
func Properties() []string {
	names := make([]string, len(properties))
	for i, p := range properties {
		names[i] = p.name
	}
	return names
}

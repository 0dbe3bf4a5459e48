package holder

import (
	"fmt"
	"net/netip"
	"strings"
)

// freePort is the DNS port that we propose beside a resolver that keeps 53. Not 5353, which multicast DNS has on many
// machines.
const freePort = 5300

// kind is what sort of program holds a port.
type kind struct {
	names  []string // of processes: a whole name, or its beginning with * behind it
	advise func(conflict) string
}

// kinds are the programs that are often found at the ports that ours want. A name is cut off after 15 bytes. The
// first one that fits counts.
var kinds = []kind{
	{[]string{"systemd-resolve"}, adviseResolved},
	{[]string{"avahi-daemon", "mDNSResponder", "mdnsd"}, adviseMulticast},
	{[]string{"dnsmasq", "pihole-FTL", "AdGuardHome", "unbound", "named", "kresd", "coredns"}, adviseResolver},
	{[]string{"plexdns", "plexproxy", "plexctl"}, adviseOurs},
	{[]string{"nginx", "apache2", "httpd", "caddy", "haproxy", "traefik", "lighttpd"}, adviseWebServer},
	{[]string{"docker-proxy", "rootlessport", "conmon", "slirp4netns", "pasta*"}, adviseContainer},
	{[]string{"systemd"}, adviseSocketUnit},
	{[]string{"Plex Media Serv"}, advisePlex},
}

func (k kind) fits(name string) bool {
	for _, n := range k.names {
		if prefix, cut := strings.CutSuffix(n, "*"); n == name || cut && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// conflict is a port that a program wants and that somebody holds.
type conflict struct {
	wants Program
	bindError
	holder Holder
	name   string // of the holder's program, as far as it can be told
}

// advice says what to do about a holder.
func advice(p Program, b bindError, h Holder) string {
	c := conflict{p, b, h, h.program()}
	for _, k := range kinds {
		if k.fits(c.name) {
			return k.advise(c)
		}
	}
	return adviseStranger(c)
}

// users are those that packages run a program as. They tell of it where the process can't be seen.
var users = map[string]string{
	"user systemd-resolve": "systemd-resolve", "user avahi": "avahi-daemon", "user dnsmasq": "dnsmasq", "user pihole": "pihole-FTL",
	"user unbound": "unbound", "user bind": "named", "user named": "named", "user knot-resolver": "kresd", "user coredns": "coredns",
}

// stubs are the addresses of systemd-resolved for programs of its machine, see systemd-resolved.service(8).
var stubs = map[netip.Addr]bool{netip.MustParseAddr("127.0.0.53"): true, netip.MustParseAddr("127.0.0.54"): true}

// program returns the name of the holder's program, or a good guess.
func (h Holder) program() string {
	switch {
	case h.PID != 0:
		return h.Name
	case h.At.Port() == 53 && stubs[h.At.Addr()]:
		return "systemd-resolve"
	default:
		return users[userName(h.UID)]
	}
}

// plugins are those of plexdns that take a TCP port without being told which.
var plugins = map[uint16]string{6053: "pprof", 8080: "health", 8181: "ready", 9153: "prometheus"}

// elsewhere says how our program listens somewhere else. Another address helps only if the holder has a single one.
func (c conflict) elsewhere() string {
	address := !c.holder.At.Addr().IsUnspecified()
	switch {
	case c.wants == PlexProxy && address:
		return fmt.Sprintf("give plexproxy the other addresses of this machine alone, such as `listen 192.168.1.2:%d`, or another port: %s",
			c.at.Port(), otherPorts)
	case c.wants == PlexProxy:
		return "give plexproxy another port: " + otherPorts
	case c.network == "tcp" && plugins[c.at.Port()] != "":
		return fmt.Sprintf("give the plugin another one: `%s 127.0.0.1:%d`", plugins[c.at.Port()], c.at.Port()+1)
	case address:
		return fmt.Sprintf("give plexdns another address of this machine, with a line such as `bind 192.168.1.53` in each server block, "+
			"or another port: %s", c.otherPort())
	default:
		return "give plexdns another port: " + c.otherPort()
	}
}

const otherPorts = "`listen :8443 :8080`, and `proxy ADDRESS:8443`"

// otherPort says how to have DNS at another port.
func (b bindError) otherPort() string {
	port := freePort
	if b.at.Port() == freePort {
		port++
	}
	return fmt.Sprintf("`home.duckdns.org:%d { ... }`", port)
}

func adviseResolved(c conflict) string {
	if c.wants == PlexProxy || c.at.Port() != 53 {
		return adviseMulticast(c)
	}
	return "systemd-resolved answers this machine's own programs there: have plexdns listen at the machine's address in the house " +
		"alone, with a line such as `bind 192.168.1.53` in each server block\nor turn that off: DNSStubListener=no below [Resolve] in " +
		"/etc/systemd/resolved.conf.d/plexha.conf, then `systemctl restart systemd-resolved`, and have /etc/resolv.conf name a server"
}

func adviseMulticast(c conflict) string {
	if c.at.Port() != 5353 {
		return adviseStranger(c)
	}
	return "5353 is the port of multicast DNS: " + c.elsewhere()
}

// resolvers are what `plexctl resolver` calls the resolvers that serve a house.
var resolvers = map[string]string{
	"dnsmasq": "dnsmasq", "pihole-FTL": "pihole", "AdGuardHome": "adguardhome", "unbound": "unbound", "named": "bind", "kresd": "knot",
	"coredns": "coredns",
}

// adviseResolver is for resolvers that serve a house: one may keep port 53 and ask us.
func adviseResolver(c conflict) string {
	switch {
	case c.wants == PlexProxy:
		return adviseWebServer(c)
	case c.at.Port() != 53:
		return adviseStranger(c)
	}
	text := fmt.Sprintf("let it keep port 53 and ask plexdns for our zones: give plexdns another port, %s, and %s the lines of "+
		"`plexctl resolver %s`", c.otherPort(), c.name, resolvers[c.name])
	if at := c.holder.At.Addr(); c.name == "dnsmasq" && !at.IsUnspecified() {
		text += fmt.Sprintf("\nif it serves virtual machines or containers alone, at %s: give plexdns another address of this machine, "+
			"with a line such as `bind 192.168.1.53` in each server block", at)
	}
	return text
}

func adviseOurs(c conflict) string {
	if c.name != string(c.wants) {
		return "that is ours as well: " + c.elsewhere()
	}
	return fmt.Sprintf("it runs already: end that one first, by `systemctl stop %s` or `kill %d`; or %s",
		c.wants, c.holder.PID, c.elsewhere())
}

// webServers says how a server goes to another port, or passes our names on unopened.
var webServers = map[string]string{
	"nginx":       "let nginx keep it and pass our names on unopened, by `stream` with `ssl_preread`",
	"haproxy":     "let haproxy keep it and pass our names on unopened, by `mode tcp` with `req.ssl_sni`",
	"traefik":     "let traefik keep it and pass our names on unopened, by a TCP router with `HostSNI` and `passthrough`",
	"apache2":     "give Apache other ports in /etc/apache2/ports.conf",
	"httpd":       "give Apache other ports, by `Listen`",
	"caddy":       "give Caddy other ports, by `http_port` and `https_port`",
	"lighttpd":    "give lighttpd another one, by `server.port`",
	"pihole-FTL":  "give Pi-hole's pages other ports, by `pihole-FTL --config webserver.port 8080o,8443os`",
	"AdGuardHome": "give AdGuard Home's pages another port, by `address` below `http` in AdGuardHome.yaml",
}

func adviseWebServer(c conflict) string {
	text := webServers[c.name]
	if text == "" || c.wants == PlexDNS {
		return adviseStranger(c)
	}
	return fmt.Sprintf("stop it if nobody needs it, or %s\nor %s", text, c.elsewhere())
}

func adviseContainer(c conflict) string {
	return "a container has that port, which `docker ps` or `podman ps` shows: give it another one, or " + c.elsewhere()
}

func adviseSocketUnit(c conflict) string {
	const text = "a socket unit has that port, which `systemctl list-sockets` shows: "
	if c.wants == PlexProxy {
		return text + "if it is plexproxy's own, start plexproxy with `systemctl start`, which hands it over; if not, stop it, or " +
			c.elsewhere()
	}
	return text + "stop it, or " + c.elsewhere()
}

func advisePlex(c conflict) string { return "a node keeps its port: " + c.elsewhere() }

func adviseStranger(c conflict) string {
	if !c.holder.Listens {
		return "such a connection ends by itself: try again, or " + c.elsewhere()
	}
	return "stop it, or " + c.elsewhere()
}

// forbiddenAdvice is for a port that this user may not have.
func forbiddenAdvice(p Program, b bindError) string {
	everywhere := conflict{wants: p, bindError: b, holder: Holder{At: netip.AddrPortFrom(netip.IPv6Unspecified(), b.at.Port())}}
	if b.at.Port() >= 1024 {
		return "something on this machine forbids it, such as SELinux or a sandbox; or " + everywhere.elsewhere()
	}
	return fmt.Sprintf("ports below 1024 need root or the capability CAP_NET_BIND_SERVICE, by AmbientCapabilities= in a unit, or by "+
		"`setcap cap_net_bind_service=+ep` on the program\nor %s", everywhere.elsewhere())
}

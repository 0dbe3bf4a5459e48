package corefile

import (
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"plexha/zones"
)

// Config is one `plex { }` block, parsed and validated. It is immutable: nothing that gets one checks it
// again, and nothing changes it.
type Config struct {
	File string // the Corefile, or the imported file, that holds the block
	Line int    // the line of the word plex

	Cluster zones.Cluster  // names, members, how to answer
	Finders []Finder       // the `nodes` lines
	Uplinks []UplinkDetect // what Cluster.Uplinks does not say, one for each of those, in the same order

	Probe    Probe
	Interval time.Duration // from one probe's start to the next, while nothing is in doubt
	Timeout  time.Duration // of one probe, its body included
	Rise     int           // good probes in a row to come back
	Fall     int           // failed probes in a row to go down
	Canary   string        // HOST:PORT; empty: none

	ZoneFiles   []ZoneFile
	Passthrough []string       // fully qualified names, lower-case, that are the next plugin's
	Fallthrough []string       // zones whose unknown names are the next plugin's; nil: none, {"."}: all
	TrustECS    []netip.Prefix // resolvers whose client subnet chooses the view

	DuckDNS *DuckDNS       // nil: no duckdns line
	Detect  []Source       // never empty: DefaultSources if no line names one
	Allow   []netip.Prefix // special-purpose prefixes whose addresses count as external all the same

	Balance        string // Caddy's name of a policy
	Affinity       Affinity
	TLS            TLS
	Listen         []Listener
	RetryFor       time.Duration
	RetryEvery     time.Duration
	MaxRequests    int // per node; 0: no limit
	TrustedProxies []netip.Prefix
	Storage        string // plexproxy's storage folder; empty: Caddy's own
	AccessLog      string // the file that plexproxy logs each request to, or AccessLogStdout; empty: none

	State       State
	Status      Status // of plexdns
	ProxyStatus Status // of plexproxy
	OpenOK      []zones.NodeName
	Lane        Lane
	Notify      []Secret // shoutrrr URLs, which may hold passwords

	// Inactive names the properties of the block whose feature this version does not have yet, each once, in
	// the order of their first use. They are checked like all others.
	Inactive []string
}

// ProbeKind says how nodes are asked.
type ProbeKind uint8

// The kinds of probes.
const (
	ProbePlex ProbeKind = iota // GET /identity, with its identity learned
	ProbeHTTP                  // GET of a path, judged by status and body
	ProbeTCP                   // a connection
	ProbeNone                  // nothing is asked: every node counts as up
)

// Probe is the `probe` line.
type Probe struct {
	Kind      ProbeKind
	Path      string         // of ProbeHTTP, with the leading slash
	StatusMin int            // of ProbeHTTP: 200
	StatusMax int            // of ProbeHTTP: 399
	Body      *regexp.Regexp // of ProbeHTTP; nil: any body
}

// Finder is a `nodes` line: nodes found in the DNS.
type Finder struct {
	Name string // the nodes are Name1, Name2, ...
	DNS  string // the name asked for SRV, then A and AAAA
	Port uint16 // 0: SRV's, or 32400
	Max  int    // at most so many; 0: no limit
}

// UplinkDetect says how the external addresses of an uplink are found.
type UplinkDetect struct {
	Name   string     // the uplink's
	Via    string     // the interface that detection and probe go out through; empty: the routing table's
	NoIPv6 bool       // `ipv6 off`: no AAAA leads here
	Suffix netip.Addr // `ipv6 ::SUFFIX/LEN`: the low bits of the published IPv6 address; the zero Addr: none
	Bits   int        // LEN: how many high bits of it are the detected ones, 64 if not given; 0 without Suffix
}

// ZoneFile is a `zonefile` line.
type ZoneFile struct {
	View zones.View
	Path string // as written; relative to the folder of the `root` plugin, or the working directory
	Line int
}

// DuckDNS is the `duckdns` line.
type DuckDNS struct {
	Name string // the account's domain, without .duckdns.org

	// Exactly one of these is set.
	TokenFile  string
	Token      Secret
	Credential string // the name of a file in $CREDENTIALS_DIRECTORY, see systemd.exec(5)

	API      string           // the scheme and host that updates go to, such as https://127.0.0.1:8443; empty: DuckDNS's own
	Every    time.Duration    // between looks at the published record; 5 min
	Refresh  time.Duration    // between pushes of an unchanged address; 24 h
	NoVerify bool             // the published record is not looked at
	VerifyAt []netip.AddrPort // the name servers that are looked at; nil: DuckDNS's own, wherever they are
	NoIPv4   bool
	NoIPv6   bool
}

// Source is one source of the external address.
type Source struct {
	Kind      string           // opendns, cloudflare, google, akamai, https, interface, router, stun, command or file
	Transport string           // of an operator: udp, dot or doh, always set; of a router: natpmp or upnp, empty: both
	Args      []string         // a URL; an interface; a HOST:PORT; a command with its words; a path; UPnP's URL, if it is given
	At        []netip.AddrPort // who is asked instead of those that are known for it, with its port, but a router; nil: those
}

// Affinity says what keeps a client on its node.
type Affinity struct {
	Off      bool // Caddy's policy alone
	ByClient bool // new pins by the client's id instead of its token
}

// TLSKind says where plexproxy's certificates come from.
type TLSKind uint8

// The kinds of certificates.
const (
	TLSInternal TLSKind = iota
	TLSACME
	TLSFiles
	TLSOff
)

// TLS is the `tls` line.
type TLS struct {
	Kind     TLSKind
	Email    string // of TLSACME
	DNS      bool   // of TLSACME: by DNS-01 through DuckDNS
	CA       string // of TLSACME: the directory's URL; empty: Let's Encrypt
	CertFile string // of TLSFiles
	KeyFile  string // of TLSFiles
}

// AccessLogStdout is the access log that goes to the standard output.
const AccessLogStdout = "stdout"

// Listener is an address of a `listen` line, where plexproxy listens.
type Listener struct {
	Addr  string // HOST:PORT, :PORT or fd/N
	Plain bool   // HTTP without TLS
	H3    bool   // HTTP/3 as well, at the UDP port of that number; never with Plain
}

// String returns the address as a `listen` line has it, without the word h3.
func (l Listener) String() string {
	if l.Plain && !isPlainPort(l.Addr) {
		return plainScheme + l.Addr
	}
	return l.Addr
}

// State is the `state` line: where what must outlive the process is kept. It may name a folder, an etcd, or
// both.
type State struct {
	Dir  string // empty: the first of DefaultStateDirs that can be written
	Etcd string // an etcd:// URL, which may hold a password; empty: none
}

// DefaultStateDirs returns the folders that are tried, in this order, without a `state DIR`: the system's,
// then the user's (XDG Base Directory Specification, XDG_STATE_HOME) if the user has a home.
func DefaultStateDirs() []string {
	dirs := []string{"/var/lib/plexha"}
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return append(dirs, filepath.Join(state, "plexha"))
	}
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, ".local", "state", "plexha"))
	}
	return dirs
}

// Status is a `status` or `proxy_status` line.
type Status struct {
	Addr   netip.AddrPort
	Public bool // shown read-only to others than loopback
}

// Lane is the `lane` line.
type Lane struct {
	Off     bool
	Sockets int // 0: as many as fit
}

// ProxyPort is the port at which a proxy is probed when its line gives none: 443, or 80 with `tls off`.
func (t TLS) ProxyPort() uint16 {
	if t.Kind == TLSOff {
		return 80
	}
	return 443
}

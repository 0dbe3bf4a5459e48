package standin

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// DuckDNS is www.duckdns.org as the callers of its API see it: see ServeHTTP. Its records show at the name
// servers that [DuckDNS.NameServer] makes.
//
// It behaves as https://www.duckdns.org/spec.jsp says, and where that is silent as people have seen it.
type DuckDNS struct {
	// RefuseBelow makes a name with more than one label, plex.home, be refused. Else it means home.
	RefuseBelow bool
	// PartialList makes a call do what it can for the domains that are the token's, and say OK. Else one wrong
	// name spoils the list, as has been seen; neither is documented.
	PartialList bool
	// EmptyTXT makes a cleared TXT record show as an empty text, instead of not at all.
	EmptyTXT bool
	// Source is the address that calls come from, if it is not the connection's.
	Source netip.Addr

	mu       sync.Mutex
	tokens   map[string]string // by domain
	history  map[string][]since
	fault    DuckFault
	calls    []DuckCall
	servers  []netip.Addr  // of the zone's NS records
	released chan struct{} // closed when the fault changes

	busy, busiest int // calls that are being answered, now and at most
}

// DuckRecord is what DuckDNS holds for a domain.
type DuckRecord struct {
	IPv4, IPv6 netip.Addr // the zero Addr: none
	TXT        string     // empty: none
}

// since is a record from a time on.
type since struct {
	from   time.Time
	record DuckRecord
}

// DuckCall is one call of the API.
type DuckCall struct {
	At      time.Time
	From    string     // the address and port of the caller
	Domains []string   // without .duckdns.org
	Query   url.Values // the token too
	Answer  string     // what was said, or would have been without the fault
}

// NewDuckDNS returns a stand-in without accounts.
func NewDuckDNS() *DuckDNS {
	return &DuckDNS{tokens: map[string]string{}, history: map[string][]since{}, released: make(chan struct{})}
}

// Add gives an account domains, which have no records yet.
func (d *DuckDNS) Add(token string, domains ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range domains {
		d.tokens[name] = token
		d.history[name] = []since{{}}
	}
}

// SetFault changes how calls are answered from now on. Those that hang are let go, their connections cut.
func (d *DuckDNS) SetFault(f DuckFault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = f
	close(d.released)
	d.released = make(chan struct{})
}

// TLS returns how it answers over TLS: by its own certificate, or with [DuckStranger] by another host's.
func (d *DuckDNS) TLS(own, other tls.Certificate) *tls.Config {
	return &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.fault == DuckStranger {
			return &other, nil
		}
		return &own, nil
	}}
}

// Calls returns all calls until now, the oldest first.
func (d *DuckDNS) Calls() []DuckCall {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls)
}

// Record returns what a domain holds now.
func (d *DuckDNS) Record(domain string) DuckRecord {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at(domain, time.Now())
}

// SetRecord changes a domain, as its owner can on the web page.
func (d *DuckDNS) SetRecord(domain string, r DuckRecord) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(domain, r)
}

// at returns what a domain held then. The caller holds the lock.
func (d *DuckDNS) at(domain string, when time.Time) DuckRecord {
	for _, v := range slices.Backward(d.history[domain]) {
		if !v.from.After(when) {
			return v.record
		}
	}
	return DuckRecord{}
}

func (d *DuckDNS) put(domain string, r DuckRecord) {
	d.history[domain] = append(d.history[domain], since{time.Now(), r})
}

// ServeHTTP implements [http.Handler]: /update?domains=&token=[&ip=][&ipv6=][&txt=][&clear=true][&verbose=true]
// and /update/DOMAIN/TOKEN[/IP].
func (d *DuckDNS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query, ok := updateQuery(r.URL)
	switch {
	case r.Host == "duckdns.org":
		http.Redirect(w, r, "https://www.duckdns.org"+r.URL.RequestURI(), http.StatusMovedPermanently)
		return
	case !ok:
		http.NotFound(w, r)
		return
	}
	d.mu.Lock()
	fault, released := d.fault, d.released
	if fault == DuckAway {
		d.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	d.busy++
	d.busiest = max(d.busiest, d.busy)
	said := d.obey(query, r.RemoteAddr, fault)
	d.calls = append(d.calls, DuckCall{time.Now(), r.RemoteAddr, namesOf(query), query, said})
	d.mu.Unlock()
	defer d.done()
	fault.answer(w, r, said, released)
}

func (d *DuckDNS) done() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy--
}

// AtOnce returns how many calls there have been at the same time, at most.
func (d *DuckDNS) AtOnce() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.busiest
}

// updateQuery returns the parameters of a call, whichever form it has.
func updateQuery(u *url.URL) (url.Values, bool) {
	if u.Path == "/update" {
		return u.Query(), true
	}
	parts := strings.Split(strings.TrimPrefix(u.Path, "/update/"), "/")
	if !strings.HasPrefix(u.Path, "/update/") || len(parts) < 2 || len(parts) > 3 {
		return nil, false
	}
	query := url.Values{"domains": {parts[0]}, "token": {parts[1]}}
	if len(parts) == 3 {
		query.Set("ip", parts[2])
	}
	return query, true
}

// namesOf returns the domains of a call, in lower case and without .duckdns.org.
func namesOf(query url.Values) []string {
	var names []string
	for name := range strings.SplitSeq(query.Get("domains"), ",") {
		names = append(names, strings.TrimSuffix(strings.ToLower(name), duckZone))
	}
	return names
}

const duckZone = ".duckdns.org"

const ko = "KO"

// obey does what a call asks and returns the answer. One wrong name, a wrong token or a wrong address spoils
// it for all names. The caller holds the lock.
func (d *DuckDNS) obey(query url.Values, from string, fault DuckFault) string {
	names, ok := d.owned(namesOf(query), query.Get("token"))
	change, echo, good := changeOf(query, d.source(from))
	if !ok || !good || fault == DuckKO {
		return ko
	}
	word := "NOCHANGE"
	for _, name := range names {
		was := d.at(name, time.Now())
		is := was
		change(&is)
		if is != was {
			word = "UPDATED"
		}
		if is != was && fault != DuckLie {
			d.put(name, is)
		}
	}
	if query.Get("verbose") != "true" {
		return "OK"
	}
	return strings.Join(append(append([]string{"OK"}, echo...), word), "\n")
}

// owned returns the domains that names are or lie below, if they are the token's.
func (d *DuckDNS) owned(names []string, token string) ([]string, bool) {
	var out []string
	for _, name := range names {
		if dot := strings.LastIndexByte(name, '.'); dot >= 0 && !d.RefuseBelow {
			name = name[dot+1:]
		}
		if has, ok := d.tokens[name]; ok && has == token {
			out = append(out, name)
		} else if !d.PartialList {
			return nil, false
		}
	}
	return out, len(out) > 0
}

// source returns the address that a call comes from.
func (d *DuckDNS) source(from string) netip.Addr {
	if d.Source.IsValid() {
		return d.Source
	}
	ap, err := netip.ParseAddrPort(from)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// changeOf returns what a call changes, and what a verbose answer repeats of it.
func changeOf(query url.Values, source netip.Addr) (change func(*DuckRecord), echo []string, ok bool) {
	cleared := query.Get("clear") == "true"
	if query.Has("txt") {
		text := query.Get("txt")
		if cleared {
			text = ""
		}
		return func(r *DuckRecord) { r.TXT = text }, []string{text}, true
	}
	if cleared {
		return func(r *DuckRecord) { r.IPv4, r.IPv6 = netip.Addr{}, netip.Addr{} }, []string{"", ""}, true
	}
	v4, v6, ok := addressesOf(query, source)
	change = func(r *DuckRecord) {
		if v4.IsValid() {
			r.IPv4 = v4
		}
		if v6.IsValid() {
			r.IPv6 = v6
		}
	}
	return change, []string{text(v4), text(v6)}, ok
}

// addressesOf returns the addresses of a call. Without any, the caller's own counts, if it is an IPv4 one.
func addressesOf(query url.Values, source netip.Addr) (v4, v6 netip.Addr, ok bool) {
	for _, word := range []string{query.Get("ip"), query.Get("ipv6")} {
		if word == "" {
			continue
		}
		addr, err := netip.ParseAddr(word)
		switch {
		case err != nil:
			return v4, v6, false
		case addr.Is4():
			v4 = addr
		default:
			v6 = addr
		}
	}
	if !v4.IsValid() && !v6.IsValid() {
		v4 = source
	}
	return v4, v6, v4.IsValid() && v4.Is4() || v6.IsValid()
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

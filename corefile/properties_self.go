package corefile

import (
	"net/netip"
	"net/url"
	"strings"

	"plexha/zones"
)

// maxSockets bounds the lane's sockets at one address: more than any machine has cores to serve them.
const maxSockets = 1024

// Where the status pages are shown by default.
var (
	statusAddr      = netip.MustParseAddrPort("127.0.0.1:8053")
	proxyStatusAddr = netip.MustParseAddrPort("127.0.0.1:8054")
)

// state takes a folder, an etcd, or one of each.
func (b *block) state(w *words) {
	s := &b.cfg.State
	for more := true; more; more = w.peek() != "" {
		word := w.need("DIR")
		scheme, _, isURL := strings.Cut(word, "://")
		u, err := url.Parse(word)
		switch {
		case isURL && scheme != "etcd":
			w.giveUp("a state folder, or a URL with the scheme etcd, not %q%s", scheme, didYouMean(scheme, []string{"etcd"}))
		case isURL && (err != nil || u.Host == ""):
			w.giveUp("the etcd URL has no host: write etcd://HOST:PORT/PREFIX")
		case isURL && s.Etcd == "":
			s.Etcd = word
			b.inactive("state etcd")
		case !isURL && s.Dir == "":
			s.Dir = word
		default:
			w.giveUp("one folder and one etcd at most: write %s", w.usage)
		}
	}
}

func (b *block) status(w *words) { b.cfg.Status = statusLine(w) }

func (b *block) proxyStatus(w *words) { b.cfg.ProxyStatus = statusLine(w) }

func statusLine(w *words) Status {
	s := Status{Addr: value(w, "ADDRESS", parseStatus)}
	if word := w.peek(); word != "" {
		s.Public = w.choice("public", "public") != ""
	}
	return s
}

func (b *block) openToAll(w *words) {
	for _, name := range each(w, "NODE", parseLabel) {
		if !b.again(w, "open_ok "+name, name) {
			b.openOK = append(b.openOK, at[zones.NodeName]{w.pos, zones.NodeName(name)})
			b.cfg.OpenOK = append(b.cfg.OpenOK, zones.NodeName(name))
		}
	}
}

func (b *block) lane(w *words) {
	switch w.choice("off|on", "off", "on") {
	case "off":
		b.cfg.Lane.Off = true
	case "on":
		if w.peek() != "" {
			b.cfg.Lane.Sockets = w.count("SOCKETS", 1, maxSockets)
		}
	}
}

func (b *block) notify(w *words) {
	for _, u := range each(w, "URL", parseSecretURL) {
		if !b.again(w, "notify "+u.Reveal(), "the same URL") {
			b.cfg.Notify = append(b.cfg.Notify, u)
		}
	}
}

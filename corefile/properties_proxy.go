package corefile

import "time"

// policies are those of Caddy's that need no words of their own.
var policies = []string{"uri_hash", "random", "least_conn", "first", "round_robin", "ip_hash", "client_ip_hash"}

func (b *block) balance(w *words) { b.cfg.Balance = w.choice("POLICY", policies...) }

func (b *block) affinity(w *words) {
	switch w.choice("plex|off", "plex", "off") {
	case "off":
		b.cfg.Affinity.Off = true
	case "plex":
		if w.maybe("by") {
			b.cfg.Affinity.ByClient = w.choice("client", "client") != ""
		}
	}
}

func (b *block) tls(w *words) {
	t := &b.cfg.TLS
	switch w.choice("acme|internal|files|off", "acme", "internal", "files", "off") {
	case "acme":
		*t = acme(w)
	case "internal":
		t.Kind = TLSInternal
	case "files":
		*t = TLS{Kind: TLSFiles, CertFile: w.need("CERT"), KeyFile: w.need("KEY")}
	case "off":
		t.Kind = TLSOff
	}
}

func acme(w *words) TLS {
	t := TLS{Kind: TLSACME, Email: value(w, "EMAIL", parseEmail)}
	for o := w.option("dns", "ca"); o != ""; o = w.option("dns", "ca") {
		switch o {
		case "dns":
			t.DNS = true
		case "ca":
			t.CA = value(w, "ca", parseHTTPS)
		}
	}
	return t
}

// h3 ends a `listen` line whose addresses speak HTTP/3 as well.
const h3 = "h3"

// listen takes the addresses of a line. Whether those with TLS keep it depends on the `tls` line.
func (b *block) listen(w *words) {
	withH3 := len(w.rest) > 0 && w.rest[len(w.rest)-1] == h3
	if withH3 {
		w.rest = w.rest[:len(w.rest)-1]
	}
	encrypted := false
	for _, l := range each(w, "ADDRESS", parseListen) {
		encrypted = encrypted || !l.Plain
		l.H3 = withH3 && !l.Plain
		if !b.again(w, "listen "+l.Addr, l.Addr) {
			b.cfg.Listen = append(b.cfg.Listen, l)
		}
	}
	if withH3 && !encrypted && w.ok {
		w.errorf("h3 needs TLS, and no address of the line has it")
	}
}

func (b *block) retry(w *words) {
	b.cfg.RetryFor = w.duration("D", 0)
	if w.option("every") != "" {
		b.cfg.RetryEvery = w.duration("every", time.Millisecond)
	}
}

func (b *block) maxRequests(w *words) { b.cfg.MaxRequests = w.count("N", 0, noLimit) }

func (b *block) trustedProxies(w *words) { b.cfg.TrustedProxies = b.prefixList(w) }

func (b *block) storage(w *words) { b.cfg.Storage = w.need("DIR") }

func (b *block) accessLog(w *words) { b.cfg.AccessLog = w.need("stdout|FILE") }

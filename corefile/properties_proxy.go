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

func (b *block) listen(w *words) {
	for _, addr := range each(w, "ADDRESS", parseListen) {
		if !b.again(w, "listen "+addr, addr) {
			b.cfg.Listen = append(b.cfg.Listen, addr)
		}
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

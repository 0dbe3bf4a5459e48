package demo

import "fmt"

// invite says what a person can do now.
func (h *home) invite(p *page) {
	main := bare(mainName)
	p.printf("\nAsk plexdns as one inside, as one outside, and DuckDNS:\n\n")
	for _, q := range []string{"-b %s " + main, "-b %s " + bare(statusName) + " TXT"} {
		p.printf("   dig @%s -p %d %s\n", h.DNS.Addr(), h.DNS.Port(), fmt.Sprintf(q, Inside.Addr()))
	}
	p.printf("   dig @%s -p %d -b %s %s\n", h.DNS.Addr(), h.DNS.Port(), Outside.Addr(), main)
	p.printf("   dig @%s -p %d %s\n", h.Names.Addr(), h.Names.Port(), main)

	p.printf("\nGo through plexproxy, whose authority is one of its own:\n\n")
	p.printf("   ROOT=%s\n", authorityFile(h.dir))
	for _, host := range []string{main, hostOf(Plex1)} {
		where := fmt.Sprintf("%s:%d", host, h.Proxy.Port())
		p.printf("   curl --cacert $ROOT --resolve %s:%s https://%s/identity\n", where, h.Proxy.Addr(), where)
	}
	p.printf("\nLook at the status pages of plexdns and plexproxy, and change the Corefile:\n\n")
	for _, place := range []string{"http://" + h.Status.String(), "http://" + h.ProxyStatus.String(), h.corefile()} {
		p.printf("   %s\n", place)
	}
	p.printf("\n")
}

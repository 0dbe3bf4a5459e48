package proxymain

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"plexha/corefile"
	"plexha/proxy"
)

// check has Caddy look at what the blocks make, and says what would be served.
func check(stdout io.Writer, blocks []*corefile.Config) error {
	if err := proxy.Check(blocks); err != nil {
		return err
	}
	var out strings.Builder
	for i, c := range blocks {
		if i > 0 {
			out.WriteByte('\n')
		}
		describe(&out, c)
	}
	_, err := io.WriteString(stdout, out.String())
	return err
}

// describe writes a paragraph for a block.
func describe(out *strings.Builder, c *corefile.Config) {
	scheme := "https"
	if c.TLS.Kind == corefile.TLSOff {
		scheme = "http"
	}
	for _, origin := range c.Cluster.Origins {
		origin = strings.TrimSuffix(origin, ".")
		main := fmt.Sprintf("%s://%s.%s", scheme, c.Cluster.Main, origin)
		who := "to the node of each client, else by"
		if c.Affinity.Off {
			who = "by"
		}
		fmt.Fprintf(out, "%s: %s %s\n", main, who, c.Balance)
		for _, n := range c.Cluster.Nodes {
			fmt.Fprintf(out, "%s://%s.%s: to %s\n", scheme, n.Name, origin, net.JoinHostPort(n.Host, strconv.Itoa(int(n.Port))))
		}
		for _, f := range c.Finders {
			fmt.Fprintf(out, "%s://%sN.%s: to the nodes that %s names\n", scheme, f.Name, origin, f.DNS)
		}
		fmt.Fprintf(out, "%s://%s: leads to %s\n", scheme, origin, main)
	}
	fmt.Fprintf(out, "certificates: %s\n", certificates(c.TLS))
	for _, l := range c.Listen {
		fmt.Fprintf(out, "listens at %s%s\n", l.Addr, kind(l, c.TLS.Kind))
	}
	fmt.Fprintf(out, "state and metrics at %s\n", c.ProxyStatus.Addr)
}

func certificates(t corefile.TLS) string {
	switch t.Kind {
	case corefile.TLSACME:
		how := "shown at our ports"
		if t.DNS {
			how = "shown at DuckDNS"
		}
		ca := t.CA
		if ca == "" {
			ca = "Let's Encrypt"
		}
		return fmt.Sprintf("from %s for %s, %s", ca, t.Email, how)
	case corefile.TLSFiles:
		return "from " + t.CertFile
	case corefile.TLSOff:
		return "none"
	default:
		return "from our own authority: TVs and phones refuse them"
	}
}

func kind(l corefile.Listener, tls corefile.TLSKind) string {
	switch {
	case l.H3:
		return " (HTTPS, HTTP/3 too)"
	case !l.Plain:
		return " (HTTPS)"
	case tls == corefile.TLSOff:
		return " (HTTP)"
	default:
		return " (HTTP, leads to HTTPS)"
	}
}

package corefile_test

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plexha/corefile"
)

// equal compares configurations by what they say.
var equal = cmp.Options{
	cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{}),
	cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b corefile.Secret) bool { return a.Reveal() == b.Reveal() }),
	cmp.Transformer("regexp", func(re *regexp.Regexp) string {
		if re == nil {
			return "(none)"
		}
		return re.String()
	}),
}

// token has the form of DuckDNS's.
const token = "8f14e45f-ceea-467f-a8a3-5f1c0e3d2b1a"

// server is a server block with one plex block, whose first property stands in line 3.
func server(properties string) string {
	return "home.duckdns.org {\nplex {\n" + properties + "\n}\n}\n"
}

// read parses a Corefile that must be good.
func read(t *testing.T, text string) []*corefile.Config {
	t.Helper()
	configs, err := corefile.Read("Corefile", strings.NewReader(text))
	if err != nil {
		t.Fatalf("reading\n%s\ngives\n%v", text, err)
	}
	return configs
}

// block parses a block that must be good, with a node before the properties.
func block(t *testing.T, properties string) *corefile.Config {
	t.Helper()
	return read(t, server("node plex1 docker1\n"+properties))[0]
}

// complaints returns what is wrong with a Corefile, line by line.
func complaints(t *testing.T, text string) string {
	t.Helper()
	configs, err := corefile.Read("Corefile", strings.NewReader(text))
	if err == nil {
		return "no error"
	}
	if configs != nil {
		t.Errorf("got %d configurations with the error", len(configs))
	}
	return err.Error()
}

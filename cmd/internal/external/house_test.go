package external_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plexha/cmd/internal/command"
	"plexha/cmd/internal/external"
	"plexha/corefile"
	"plexha/e2e/standin"
)

const duckToken = "12345678-9abc-4def-8123-456789abcdef"

var (
	truth = netip.MustParseAddr("203.0.113.7")
	lie   = netip.MustParseAddr("203.0.113.66")
	free  = netip.MustParseAddrPort("127.0.0.1:0")
)

// house is a home with all that its Corefile leads to: echoes of two operators, the operator's own file, DuckDNS
// with two name servers.
type house struct {
	tb            testing.TB
	dir           string
	opendns, stun *standin.EchoServer
	duck          *standin.DuckDNS
	servers       []*standin.NameServer
	api           string
	sources       []string // of the Corefile
}

// newHouse returns one whose packets come from truth.
func newHouse(tb testing.TB) *house {
	tb.Helper()
	h := &house{tb: tb, dir: tb.TempDir(), duck: standin.NewDuckDNS()}
	world := standin.NewEcho()
	world.SetAddress(netip.MustParsePrefix("127.0.0.0/8"), truth)
	h.opendns, h.stun = h.echo(world, standin.EchoOpenDNS), h.echo(world, standin.EchoSTUN)
	h.word(truth.String())
	h.duck.Add(duckToken, "home")
	api := httptest.NewServer(h.duck)
	tb.Cleanup(api.Close)
	h.api = api.URL
	for range 2 {
		s, err := h.duck.NameServer(free)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(s.Close)
		h.servers = append(h.servers, s)
	}
	h.detect("opendns udp at "+h.opendns.Addr().String(), "stun "+h.stun.Addr().String(), "file "+filepath.Join(h.dir, "address"))
	return h
}

// detect has the Corefile name these sources.
func (h *house) detect(sources ...string) {
	h.tb.Helper()
	h.sources = sources
	h.write("")
}

func (h *house) echo(world *standin.Echo, kind standin.EchoKind) *standin.EchoServer {
	h.tb.Helper()
	s, err := world.Serve(standin.EchoOptions{Kind: kind, Addr: free})
	if err != nil {
		h.tb.Fatal(err)
	}
	h.tb.Cleanup(s.Close)
	return s
}

// word is what the operator's own file says.
func (h *house) word(text string) {
	h.tb.Helper()
	h.file("address", text+"\n")
}

func (h *house) file(name, content string) string {
	h.tb.Helper()
	file := filepath.Join(h.dir, name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		h.tb.Fatal(err)
	}
	return file
}

// write writes the Corefile, with more lines in the block.
func (h *house) write(more string) {
	h.tb.Helper()
	h.file("Corefile", fmt.Sprintf(`home.duckdns.org {
    plex {
        node    plex1 127.0.0.1
        uplink  wan auto ipv6 off
        detect  allow 203.0.113.0/24
        detect  %s
        duckdns token_file %s api %s verify at %s %s ipv6 off
        state   %s
        %s
    }
}
`, strings.Join(h.sources, "\n        detect  "), h.file("token", duckToken), h.api,
		h.servers[0].Addr(), h.servers[1].Addr(), h.dir, more))
}

// config returns the block of the Corefile.
func (h *house) config() *corefile.Config {
	h.tb.Helper()
	blocks, err := corefile.Load(filepath.Join(h.dir, "Corefile"))
	if err != nil {
		h.tb.Fatal(err)
	}
	return blocks[0]
}

// run is plexctl with these commands alone.
func run(ctx context.Context, args []string, out io.Writer) error {
	p := command.Program{Name: "plexctl", Commands: external.Commands}
	return p.Run(ctx, args, strings.NewReader(""), out, io.Discard)
}

// says runs a command with the house's Corefile. Whatever happens, the token is told to nobody.
func (h *house) says(name string, args ...string) (string, error) {
	h.tb.Helper()
	var out strings.Builder
	args = append(strings.Fields(name), append(args, "-conf", filepath.Join(h.dir, "Corefile"))...)
	err := run(h.tb.Context(), args, &out)
	if all := fmt.Sprintf("%s %v %+v", out.String(), err, err); strings.Contains(all, duckToken[:8]) {
		h.tb.Errorf("the token is told:\n%s", all)
	}
	return out.String(), err
}

// want fails if an output does not hold the words, or the error not its own. No words for the error: there is none.
func want(t *testing.T, out string, err error, words []string, wrong string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Errorf("the output lacks %q:\n%s", w, out)
		}
	}
	switch {
	case wrong == "" && err != nil:
		t.Errorf("it fails: %v\n%s", err, out)
	case wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)):
		t.Errorf("the error is %v, want %s\n%s", err, wrong, out)
	}
}

// record is what DuckDNS holds.
func (h *house) record() netip.Addr { return h.duck.Record("home").IPv4 }

// holds has DuckDNS hold an address from now on.
func (h *house) holds(a netip.Addr) { h.duck.SetRecord("home", standin.DuckRecord{IPv4: a}) }

// refusing answers every call as something that is not DuckDNS.
func refusing(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

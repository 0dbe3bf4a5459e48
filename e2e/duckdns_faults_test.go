package e2e_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"plexha/e2e/internal/gate"
	"plexha/e2e/standin"
)

// fleet is many homes of one plexdns, each with a DuckDNS of its own. All have the token.
type fleet struct {
	*plexdns

	state   string // the state folder; the Corefile and the token are elsewhere
	homes   map[string]*duckHome
	metrics netip.AddrPort
	status  netip.AddrPort
}

// duckHome is one home of a fleet, home.duckdns.org with another label.
type duckHome struct {
	name string
	duck *standin.DuckDNS
	ns   *standin.NameServer
}

// fleetBlock is the server block of one home.
const fleetBlock = `%s.duckdns.org:%d {
    errors
    debug
    log
    bind 127.0.0.1
    reload 2s 0s
    prometheus %s
    plex {
        node    plex1 127.0.0.1:9
        probe   none
        tls     off
        uplink  wan auto ipv6 off
        detect  file %s
        detect  allow 203.0.113.0/24
        duckdns %s api %s verify at %s
        internal 127.0.0.0/8
        external 127.9.9.0/24
        state   %s
        status  %s
    }
}
`

// newFleet starts a DuckDNS for each name, but not plexdns. The homes have their token in turn in a file, in
// the Corefile and from the service manager.
func newFleet(tb testing.TB, names []string) *fleet {
	tb.Helper()
	authority, err := standin.NewAuthority()
	if err != nil {
		tb.Fatal(err)
	}
	f := &fleet{
		plexdns: newPlexdns(tb), state: tb.TempDir(), homes: map[string]*duckHome{},
		metrics: netip.AddrPortFrom(inside, freePort(tb, inside)), status: netip.AddrPortFrom(inside, freePort(tb, inside)),
	}
	file := func(name, content string) string {
		name = filepath.Join(f.dir, name)
		writeFile(tb, name, content)
		return name
	}
	tokens := []string{"token_file " + file("duck", duckToken+"\n"), "token " + duckToken, "token from $CREDENTIALS_DIRECTORY/duck"}
	f.env = []string{"SSL_CERT_FILE=" + file("roots.pem", string(authority.PEM())), "CREDENTIALS_DIRECTORY=" + f.dir, "GOTRACEBACK=all"}
	address := file("address", firstAddr.String()+"\n")
	var corefile strings.Builder
	for i, name := range names {
		h := &duckHome{name: name, duck: standin.NewDuckDNS()}
		h.duck.Add(duckToken, name)
		api, err := serveDuckDNS(tb, authority, h.duck, inside)
		if err != nil {
			tb.Fatal(err)
		}
		if h.ns, err = h.duck.NameServer(netip.AddrPortFrom(inside, freePort(tb, inside))); err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(h.ns.Close)
		f.homes[name] = h
		fmt.Fprintf(&corefile, fleetBlock, name, f.addr.Port(), f.metrics, address, tokens[i%len(tokens)], api, h.ns.Addr(), f.state, f.status)
	}
	f.write(corefile.String())
	return f
}

// get returns what plexdns answers at an address of its own.
func (f *fleet) get(at netip.AddrPort, path string) (string, error) {
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Get("http://" + at.String() + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// duckRecord is what status.json says of the A record of a home.
type duckRecord struct {
	Published netip.Addr
	View      string
	Error     string
	Verified  time.Time
}

// records returns those of all homes, by name.
func (f *fleet) records() (map[string]duckRecord, error) {
	body, err := f.get(f.status, "/status.json")
	if err != nil {
		return nil, err
	}
	var s struct {
		Clusters []struct {
			DuckDNS struct {
				Name string
				IPv4 duckRecord
			}
		}
	}
	err = json.Unmarshal([]byte(body), &s)
	out := map[string]duckRecord{}
	for _, c := range s.Clusters {
		out[strings.TrimSuffix(c.DuckDNS.Name, ".duckdns.org")] = c.DuckDNS.IPv4
	}
	return out, err
}

// eventually waits until all homes are as they should, which bad returns a complaint about.
func (f *fleet) eventually(within time.Duration, bad func(h *duckHome, r duckRecord) string) {
	f.tb.Helper()
	eventually(f.tb, within, func() error {
		records, err := f.records()
		if err != nil {
			return err
		}
		var all error
		for name, h := range f.homes {
			if why := bad(h, records[name]); why != "" {
				all = errors.Join(all, fmt.Errorf("%s: %s", name, why))
			}
		}
		return all
	})
}

// trouble is what is wrong with one home's DuckDNS, and what shows of that.
type trouble struct {
	api   standin.DuckFault
	names standin.NameServerFault
	err   string // a part of the push's error; empty: there is none
	view  string // of the looks at the name servers, with a push that was good
	most  int    // calls until all is well; 0: 1 without err, 2 with it
}

// troubles are all that the stand-in can have.
var troubles = map[string]trouble{
	"fine":     {api: standin.DuckFine, view: "verified"},
	"slow":     {api: standin.DuckSlow, view: "verified"},
	"trickle":  {api: standin.DuckTrickle, view: "verified"},
	"crlf":     {api: standin.DuckCRLF, view: "verified"},
	"lie":      {api: standin.DuckLie, view: "propagating", most: 2}, // until two minutes are over
	"ko":       {api: standin.DuckKO, err: "DuckDNS refused the update"},
	"gone":     {api: standin.DuckGone, err: "404 Not Found"},
	"gateway":  {api: standin.DuckGateway, err: "502 Bad Gateway"},
	"busy":     {api: standin.DuckBusy, err: "429 Too Many Requests"},
	"portal":   {api: standin.DuckPortal, err: "neither DuckDNS's OK nor its KO"},
	"error":    {api: standin.DuckError, err: "500 Internal Server Error"},
	"hang":     {api: standin.DuckHang, err: "pushing"},
	"hangbody": {api: standin.DuckHangBody, err: "pushing"},
	"reset":    {api: standin.DuckReset, err: "EOF"},
	"away":     {api: standin.DuckAway, err: "EOF", most: 1},
	"empty":    {api: standin.DuckEmpty, err: "neither DuckDNS's OK nor its KO"},
	"redirect": {api: standin.DuckRedirect, err: "302 Found"},
	"echo":     {api: standin.DuckEcho, err: "another address than the one that was sent"},
	"stranger": {api: standin.DuckStranger, err: "certificate", most: 1},

	"drop":     {names: standin.NameServerDrop, view: "unreachable"},
	"servfail": {names: standin.NameServerFail, view: "unreachable"},
	"truncate": {names: standin.NameServerTruncate, view: "verified"},
	"forward":  {names: standin.NameServerForward, view: "intercepted"},
}

// TestDuckDNSTroubles has each of them at once, ends them, and sees that all is well then. Meanwhile the token
// must show nowhere.
func TestDuckDNSTroubles(t *testing.T) {
	t.Parallel()
	gate.Need(t, minutes)
	var names []string
	for name := range troubles {
		names = append(names, name)
	}
	f := newFleet(t, names)
	for name, h := range f.homes {
		h.duck.SetFault(troubles[name].api)
		h.ns.SetFault(troubles[name].names)
	}
	f.start(names[0])
	f.eventually(time.Minute, func(h *duckHome, r duckRecord) string {
		switch want := troubles[h.name]; {
		case want.err != "" && !strings.Contains(r.Error, want.err):
			return fmt.Sprintf("the push's error is %q, want %q", r.Error, want.err)
		case want.err == "" && (r.Error != "" || r.Published != firstAddr):
			return fmt.Sprintf("%s was published, error %q", r.Published, r.Error)
		case want.err == "" && r.View != want.view:
			return fmt.Sprintf("the name servers are seen as %q, want %q", r.View, want.view)
		}
		return ""
	})
	said := f.saidNow(t)
	for _, h := range f.homes {
		h.duck.SetFault(standin.DuckFine)
		h.ns.SetFault(standin.NameServerFine)
	}
	began := time.Now()
	if resp, err := http.Post("http://"+f.status.String()+"/duckdns", "", nil); err != nil {
		t.Fatal(err)
	} else {
		resp.Body.Close()
	}
	late := map[string]time.Duration{}
	f.eventually(6*time.Minute, func(h *duckHome, r duckRecord) string {
		if r.Error != "" || r.View != "verified" || h.duck.Record(h.name).IPv4 != firstAddr {
			return fmt.Sprintf("seen as %q, error %q", r.View, r.Error)
		}
		late[h.name] = cmp.Or(late[h.name], time.Since(began).Round(time.Second))
		return ""
	})
	t.Logf("all is well again after: %v", late)
	for _, h := range f.homes {
		h.checkCalls(t)
	}
	if n := f.proc.output.count("It says no more than KO"); n != 1 {
		t.Errorf("the log speaks of a KO %d times, want once", n)
	}
	for where, text := range f.saidNow(t) {
		said[where+", in the end"] = text
	}
	maps.Copy(said, f.ctlSays(t))
	said["the goroutines' dump"] = f.dump(t)
	said["the log"] = f.proc.output.String()
	tellNoToken(t, said)
}

// checkCalls checks that DuckDNS got no more calls than it should, well apart, and the token with each.
func (h *duckHome) checkCalls(t *testing.T) {
	t.Helper()
	want := troubles[h.name]
	most := want.most
	if most == 0 {
		most = map[bool]int{true: 1, false: 2}[want.err == ""]
	}
	calls := h.duck.Calls()
	if len(calls) == 0 || len(calls) > most {
		t.Errorf("%s: %d calls, want 1 to %d", h.name, len(calls), most)
	}
	for i, c := range calls {
		if c.Query.Has("txt") || c.Query.Has("clear") || c.Query.Has("ipv6") || c.Query.Get("ip") != firstAddr.String() {
			t.Errorf("%s: a call with %v", h.name, c.Query)
		}
		if c.Query.Get("token") != duckToken {
			t.Errorf("%s: a call without the token", h.name)
		}
		if i > 0 && c.At.Sub(calls[i-1].At) < 55*time.Second {
			t.Errorf("%s: two calls within %s", h.name, c.At.Sub(calls[i-1].At))
		}
	}
}

// start starts plexdns, and returns when it answers for one of the homes.
func (f *fleet) start(name string) {
	f.tb.Helper()
	f.launch()
	eventually(f.tb, 30*time.Second, func() error {
		_, err := f.tryAsk(inside, name+".duckdns.org.", dns.TypeSOA)
		return err
	})
}

// saidNow returns what plexdns says to those who ask it, and what it has written to its state folder.
func (f *fleet) saidNow(t *testing.T) map[string]string {
	t.Helper()
	said := map[string]string{}
	for where, at := range map[string]netip.AddrPort{"/metrics": f.metrics, "/status.json": f.status, "/": f.status} {
		body, err := f.get(at, where)
		if err != nil {
			t.Fatal(err)
		}
		said[where] = body
	}
	socket := clientIn(f.state)
	for _, path := range []string{"/status.json", "/nothing"} {
		resp, err := socket.Get("http://plexdns" + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		said["socket "+path] = string(body)
	}
	if !strings.Contains(said["/metrics"], "coredns_plex_duckdns_") {
		t.Error("the metrics know no DuckDNS")
	}
	files, err := filepath.Glob(filepath.Join(f.state, "*.duckdns.json"))
	if err != nil || len(files) != len(f.homes) {
		t.Errorf("%d state files of DuckDNS, want %d: %v", len(files), len(f.homes), err)
	}
	entries, err := os.ReadDir(f.state)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			content, err := os.ReadFile(filepath.Join(f.state, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			said[e.Name()] = string(content)
		}
	}
	return said
}

// ctlSays returns what plexctl says of the homes.
func (f *fleet) ctlSays(t *testing.T) map[string]string {
	t.Helper()
	said := map[string]string{}
	for _, line := range []string{"probe", "probe -json", "duckdns verify", "duckdns once -n", "duckdns clear -n", "duckdns once"} {
		args := append(strings.Fields(line), "-conf", f.file())
		cmd := exec.CommandContext(t.Context(), programs.path(t, "plexctl"), args...)
		cmd.Env = append(os.Environ(), f.env...)
		out, err := cmd.CombinedOutput() // its exit code says how the homes are
		if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
			t.Fatal(err)
		}
		said["plexctl "+line] = string(out)
	}
	return said
}

// dump has it read the Corefile again, then say what it is doing and end, and returns the latter.
func (f *fleet) dump(t *testing.T) string {
	t.Helper()
	f.proc.signal(t, syscall.SIGUSR1)
	eventually(t, time.Minute, func() error {
		if f.proc.output.count("Reloading complete") == 0 {
			return errors.New("not reloaded")
		}
		return nil
	})
	f.ends = true
	f.proc.signal(t, syscall.SIGABRT) // CoreDNS ends silently by SIGQUIT, for which Go would have done this
	_ = f.proc.wait(t, 20*time.Second)
	_, dump, _ := strings.Cut(f.proc.output.String(), "SIGABRT: abort")
	if strings.Count(dump, "\ngoroutine ") < 10 {
		t.Error("no dump of goroutines")
	}
	return dump
}

// tellNoToken looks for the token, and for parts of it.
func tellNoToken(t *testing.T, said map[string]string) {
	t.Helper()
	for where, text := range said {
		if where != "/" && text == "" && !strings.HasSuffix(where, ".lock") {
			t.Errorf("%s: nothing to look at", where)
		}
		for _, part := range []string{duckToken, duckToken[:18], duckToken[18:], strings.ReplaceAll(duckToken, "-", "")} {
			if i := strings.Index(text, part); i >= 0 {
				t.Errorf("%s holds the token: %q", where, text[max(0, i-80):min(len(text), i+80)])
				break
			}
		}
	}
}

// TestHelpTellsNoToken: nor do the texts that need no configuration, or refuse one.
func TestHelpTellsNoToken(t *testing.T) {
	t.Parallel()
	program := programs.path(t, "plexdns")
	file := filepath.Join(t.TempDir(), "Corefile")
	for name, line := range map[string]string{
		"quoted": `token "'` + duckToken + `'"`, "named": "token TOKEN=" + duckToken, "twice": "token " + duckToken + duckToken,
		"another word": "token " + duckToken + " evry 5m",
	} {
		writeFile(t, file, "home.duckdns.org:0 {\n    plex {\n        node plex1 127.0.0.1:9\n        duckdns "+line+"\n    }\n}\n")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		out, err := exec.CommandContext(ctx, program, "-conf", file).CombinedOutput()
		cancel()
		if err == nil {
			t.Errorf("%s: it ends without an error", name)
		}
		tellNoToken(t, map[string]string{name: string(out)})
	}
	out, _ := exec.CommandContext(t.Context(), program, "-h").CombinedOutput()
	tellNoToken(t, map[string]string{"-h": string(out)})
}

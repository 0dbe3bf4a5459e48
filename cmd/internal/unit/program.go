package unit

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"plexha/corefile"
)

// Our programs.
const (
	programDNS   = "plexdns"
	programProxy = "plexproxy"
)

// stateFolder is the one of StateDirectory=plexha.
const stateFolder = "/var/lib/plexha"

// program is one of ours: all that the texts are made of.
type program struct {
	Zones       []string
	Exec        string // the program's own path
	Corefile    string
	Credentials []string // NAME:FILE, of DuckDNS's token
	TokenFiles  []string // that plexha must be able to read
	Folders     []string // beyond the state folder, that plexha must be able to write
	Home        bool     // it reads from somebody's home
	OwnStorage  bool     // Caddy keeps certificates where the Corefile says
	Sockets     []socket
	Ports       bool // it opens its ports itself
}

// socket is one that systemd opens for plexproxy.
type socket struct {
	Listen string // what is meant by fd/N
	Port   uint16
}

// program returns the unit of one of our programs, or plexproxy's socket.
func (o *options) program(name string, blocks []*corefile.Config) (string, error) {
	p := &program{Exec: filepath.Join(o.programs, name), Corefile: corefilePath, Ports: true}
	if !filepath.IsAbs(p.Exec) {
		return "", fmt.Errorf("-bin %q: want an absolute path", o.programs)
	}
	if filepath.IsAbs(o.Conf) {
		p.Corefile = filepath.Clean(o.Conf)
	}
	for _, cfg := range blocks {
		p.Zones = append(p.Zones, zoneOf(cfg))
	}
	p.credentials(name, blocks)
	p.folders(name, blocks)
	var err error
	if name == programProxy {
		p.Sockets, err = socketsOf(blocks)
		p.Ports = slices.ContainsFunc(blocks, opensPorts)
	}
	switch {
	case err != nil:
		return "", err
	case !o.socket:
		return render(name, p)
	case name != programProxy:
		return "", errors.New("-socket is for plexproxy: CoreDNS opens its own")
	case p.Sockets == nil:
		return "", errors.New("no listen line takes a socket from systemd: write `listen fd/3 http://fd/4` for HTTPS and what leads to it")
	default:
		return render("socket", p)
	}
}

// credentials takes from where DuckDNS's token comes. plexproxy needs it for certificates alone.
func (p *program) credentials(name string, blocks []*corefile.Config) {
	for _, cfg := range blocks {
		if d := cfg.DuckDNS; d != nil && (name == programDNS || cfg.TLS.DNS) {
			switch {
			case d.Credential != "":
				p.Credentials = appendNew(p.Credentials, d.Credential+":"+credentialFile(d.Credential))
			case d.TokenFile != "":
				p.TokenFiles = appendNew(p.TokenFiles, d.TokenFile)
				p.reads(d.TokenFile)
			}
		}
	}
}

// credentialFile is where the programs' own message tells people to put a token.
func credentialFile(name string) string {
	if name == "duckdns_token" {
		return "/etc/plexha/duckdns.token"
	}
	return "/etc/plexha/" + name
}

// folders takes where the program writes and reads.
func (p *program) folders(name string, blocks []*corefile.Config) {
	p.OwnStorage = true
	p.reads(p.Corefile)
	for _, cfg := range blocks {
		p.writes(cfg.State.Dir)
		if name == programDNS {
			for _, z := range cfg.ZoneFiles {
				p.reads(z.Path)
			}
			continue
		}
		p.writes(cfg.Storage)
		if cfg.AccessLog != corefile.AccessLogStdout && cfg.AccessLog != "" {
			p.writes(filepath.Dir(cfg.AccessLog))
		}
		p.reads(cfg.TLS.CertFile)
		p.reads(cfg.TLS.KeyFile)
		p.OwnStorage = p.OwnStorage && cfg.Storage != ""
	}
}

// writes notes a folder that is not below the state folder.
func (p *program) writes(dir string) {
	if !filepath.IsAbs(dir) || dir == stateFolder || strings.HasPrefix(dir, stateFolder+"/") {
		return
	}
	p.Folders = appendNew(p.Folders, dir)
	p.reads(dir)
}

// homes are what ProtectHome= hides.
var homes = []string{"/home/", "/ro" + "ot/", "/run/user/"}

func (p *program) reads(file string) {
	p.Home = p.Home || slices.ContainsFunc(homes, func(home string) bool { return strings.HasPrefix(file, home) })
}

func appendNew(all []string, one string) []string {
	if slices.Contains(all, one) {
		return all
	}
	return append(all, one)
}

// opensPorts reports whether a block has a listener beside those of systemd.
func opensPorts(cfg *corefile.Config) bool {
	return slices.ContainsFunc(cfg.Listen, func(l corefile.Listener) bool { return !strings.HasPrefix(l.Addr, "fd/") })
}

// firstSocket is the number of the first one that systemd hands over, see sd_listen_fds(3).
const firstSocket = 3

// socketsOf returns what the listen lines take from systemd, in order of its number. nil: nothing.
func socketsOf(blocks []*corefile.Config) ([]socket, error) {
	byNumber := map[int]socket{}
	for _, cfg := range blocks {
		for _, l := range cfg.Listen {
			digits, ok := strings.CutPrefix(l.Addr, "fd/")
			if !ok {
				continue
			}
			n, err := strconv.Atoi(digits)
			if err != nil {
				return nil, fmt.Errorf("reading listen %s: %w", l, err)
			}
			s := socket{l.String(), 443}
			if l.Plain || cfg.TLS.Kind == corefile.TLSOff {
				s.Port = 80
			}
			byNumber[n] = s
		}
	}
	var all []socket
	for n := firstSocket; n < firstSocket+len(byNumber); n++ {
		s, ok := byNumber[n]
		if !ok {
			return nil, fmt.Errorf("the listen lines have %d sockets of systemd's and not fd/%d: it numbers them from fd/%d "+
				"on", len(byNumber), n, firstSocket)
		}
		all = append(all, s)
	}
	return all, nil
}

package corefile

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/coredns/caddy/caddyfile"
)

// directive is the plugin's name in a server block.
const directive = "plex"

// Load reads the plex blocks of a Corefile on disk, in file order. Without any, the error is [ErrNoBlock];
// mistakes come as [Errors], all in one go.
func Load(path string) ([]*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the Corefile: %w", err)
	}
	return Read(path, bytes.NewReader(text))
}

// Read is [Load] for a Corefile that is not, or not only, on disk. Relative `import` lines start from the
// folder of name, as they do in CoreDNS.
func Read(name string, r io.Reader) ([]*Config, error) {
	text, err := io.ReadAll(r) // the lexer panics on read errors
	if err != nil {
		return nil, fmt.Errorf("reading the Corefile: %w", err)
	}
	servers, err := caddyfile.Parse(name, bytes.NewReader(text), nil)
	if err != nil {
		return nil, fromCaddy(name, err)
	}
	p := parser{owners: map[string]pos{}}
	for _, server := range servers {
		d := caddyfile.NewDispenserTokens(name, server.Tokens[directive])
		p.server(&d, server.Keys)
	}
	if len(p.configs) == 0 && len(p.errs.list) == 0 {
		return nil, Errors{{File: name, Err: ErrNoBlock}}
	}
	return p.result()
}

// Parser reads a Corefile one server block after the other, as CoreDNS hands them out, and finds what is
// wrong between them: a zone that two plex blocks want. The zero value is ready for a new Corefile.
type Parser struct {
	owners map[string]pos
}

// Parse reads the plex blocks of one more server block: d holds its plex tokens, none of them taken yet, and
// keys are the server block's. All mistakes come in one [Errors].
func (r *Parser) Parse(d *caddyfile.Dispenser, keys []string) ([]*Config, error) {
	if r.owners == nil {
		r.owners = map[string]pos{}
	}
	p := parser{owners: r.owners}
	p.server(d, keys)
	return p.result()
}

// parser reads the plex blocks of one or more server blocks.
type parser struct {
	configs []*Config
	errs    mistakes
	owners  map[string]pos // the plex block that each zone belongs to
}

func (p *parser) result() ([]*Config, error) {
	if err := p.errs.err(); err != nil {
		return nil, err
	}
	return p.configs, nil
}

func (p *parser) server(d *caddyfile.Dispenser, keys []string) {
	s := splitter{tokens: drain(d), errs: &p.errs}
	for s.more() {
		b := newBlock(s.block(), &p.errs)
		b.zones(keys)
		p.own(b)
		for _, l := range b.raw.lines {
			b.property(l)
		}
		b.finish()
		p.configs = append(p.configs, b.cfg)
	}
}

// own takes the block's zones for it. A second block for one zone would write the same state files.
func (p *parser) own(b *block) {
	for _, zone := range b.cfg.Cluster.Origins {
		if first, taken := p.owners[zone]; taken {
			p.errs.addf(b.pos, "zone %q belongs to the plex block in %s already: give that one both keys, or this one another zone",
				zone, first.seenFrom(b.pos))
			continue
		}
		p.owners[zone] = b.pos
	}
}

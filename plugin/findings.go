package plugin

import (
	"slices"

	"github.com/coredns/caddy"

	"plexha/corefile"
	"plexha/corefile/lint"
	"plexha/plugin/runtime"
)

// findings is what is unwise in the Corefile of a CoreDNS instance. Its blocks share it.
type findings struct {
	blocks []*corefile.Config // all, once every setup has been called
	all    []lint.Finding     // those for who runs plexdns
	read   bool
}

func (f *findings) join(cfg *corefile.Config) { f.blocks = append(f.blocks, cfg) }

// of returns what is unwise about a block. The first call reads the Corefile, adds what is found otherwise, and tells
// the log what was not unwise before a reload.
func (f *findings) of(cfg *corefile.Config, otherwise []lint.Finding) []lint.Finding {
	if !f.read {
		f.read = true
		all := caddy.Instances()
		input := all[len(all)-1].Caddyfile() // of the one that is being started
		for _, found := range append(lint.Check(input.Path(), input.Body()), otherwise...) {
			f.add(found)
		}
		slices.SortStableFunc(f.all, lint.Compare)
		f.say()
	}
	out := []lint.Finding{}
	for _, found := range f.all {
		if f.block(found) == cfg {
			out = append(out, found)
		}
	}
	return out
}

// add keeps what concerns who runs plexdns. It would not start with a mistake, but for one.
func (f *findings) add(found lint.Finding) {
	if found.Code == lint.LaneShed {
		found.Level = lint.Warning
	}
	if found.Concerns(lint.Plexdns) && found.Level != lint.Mistake {
		f.all = append(f.all, found)
	}
}

// say writes down what is new. What stands in another line now is not.
func (f *findings) say() {
	var texts []string
	for _, found := range f.all {
		texts = append(texts, found.Code+" "+found.Text)
	}
	unsaid := runtime.Unsaid(texts)
	for i, found := range f.all {
		switch {
		case !slices.Contains(unsaid, texts[i]):
		case found.Level == lint.Warning:
			log.Warning(found.String())
		default:
			log.Info(found.String())
		}
	}
}

// block returns which block a finding is about: the last one before it in its file, else the first.
func (f *findings) block(found lint.Finding) *corefile.Config {
	var last *corefile.Config
	for _, cfg := range f.blocks {
		if cfg.File == found.File && cfg.Line <= found.Line && (last == nil || last.Line < cfg.Line) {
			last = cfg
		}
	}
	if last == nil {
		return f.blocks[0]
	}
	return last
}

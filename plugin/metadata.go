package plugin

import (
	"context"

	"github.com/coredns/coredns/plugin/metadata"
	"github.com/coredns/coredns/request"
)

// Metadata implements [metadata.Provider]: plex/view is the client's view, and plex/node the node that the
// question is about: the one whose name is asked or, with `spread`, the node or proxy that was chosen for the
// client; else empty.
func (p *Plex) Metadata(ctx context.Context, state request.Request) context.Context {
	for _, p := range p.siblings {
		if origin := p.origin(state); origin != "" {
			return p.metadataOf(ctx, state, origin)
		}
	}
	return ctx
}

func (p *Plex) metadataOf(ctx context.Context, state request.Request, origin string) context.Context {
	c := p.current.Load()
	if c == nil {
		return ctx
	}
	who, err := p.client(c, state)
	if err != nil {
		return ctx
	}
	qname := state.Name()
	metadata.SetValueFunc(ctx, "plex/view", who.view.String)
	metadata.SetValueFunc(ctx, "plex/node", func() string {
		z := c.zone(origin, who)
		switch z.kind(qname) {
		case kindNode:
			return qname[:len(qname)-len(origin)-1]
		case kindMain:
			return string(who.variant)
		default:
			return ""
		}
	})
	return ctx
}

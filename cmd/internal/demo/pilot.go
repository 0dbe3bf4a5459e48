package demo

import "context"

// keysHelp says what the keys do.
const keysHelp = `1, 2, p  kill or revive plex1, plex2, the proxy
w        give the home its other external address
d        drain the tv's node, or take that back
q        end it all, as Ctrl-C does`

// pilot does to a home what a person's keys say.
type pilot struct {
	world   World
	wan     Member // Wan or WanNew, whose address the home has
	drained Member // empty: none
	tv      Film
	tablet  Film
}

// newPilot has films played in a home that has just been started.
func newPilot(w World) *pilot {
	return &pilot{world: w, wan: Wan, tv: w.Play(TV), tablet: w.Play(Tablet)}
}

// press does what a key says, and says what was done; nothing if the key means nothing.
func (p *pilot) press(ctx context.Context, key string) (done string, err error) {
	switch key {
	case "1":
		return p.toggle(ctx, Plex1)
	case "2":
		return p.toggle(ctx, Plex2)
	case "p":
		return p.toggle(ctx, Proxy)
	case "w":
		return p.move(ctx)
	case "d":
		return p.drain(ctx)
	default:
		return "", nil
	}
}

// toggle kills a node or the proxy, or revives it.
func (p *pilot) toggle(ctx context.Context, m Member) (string, error) {
	if p.world.Alive(m) {
		return string(m) + " killed", p.world.Kill(m)
	}
	return string(m) + " revived", p.world.Revive(ctx, m)
}

// move gives the home the other one of its two external addresses.
func (p *pilot) move(ctx context.Context) (string, error) {
	if p.wan == Wan {
		p.wan = WanNew
	} else {
		p.wan = Wan
	}
	return "wan moved to " + p.wan.Addr().String(), p.world.Move(ctx, p.wan)
}

// drain drains the node that the tv plays from, or takes back what was drained.
func (p *pilot) drain(ctx context.Context) (string, error) {
	if m := p.drained; m != "" {
		p.drained = ""
		return string(m) + " taken back", p.world.Order(ctx, m, Undrain)
	}
	p.drained = Plex1
	if seen := p.tv.Seen(); seen.Node != "" {
		p.drained = seen.Node
	}
	return string(p.drained) + " drained", p.world.Order(ctx, p.drained, Drain)
}

package operate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"plexha/cmd/internal/command"
	"plexha/cmd/internal/socket"
	"plexha/corefile"
	"plexha/corefile/state"
	"plexha/plugin/probe"
	"plexha/zones"
	"plexha/zones/board"
)

var (
	drainCommand = command.Command{
		Name: "drain", Args: "NODE", Summary: "take a node out of service without breaking a playback",
		About: `DNS answers as if the node were down, while another one is up; plexproxy sends
nobody new there, and lets those who watch something end. With -wait it returns
when the last playback that plexproxy sees on the node has ended: a paused one
has when its app has said nothing for 10 minutes. What clients play past the
proxy, at the node's own address, is invisible.

The order is given to the plexdns that runs here, else to the plexproxy, else
written into the state folder. It stays when the waiting ends, however it does.`,
		Kinds: []command.Kind{command.Node},
		Flags: &command.Flags{Define: func(set *flag.FlagSet) { new(orderOptions).defineWait(set) }, Kinds: kinds},
		Exits: []command.Exit{{Code: exitUnwell, Meaning: "playbacks went on for longer than -timeout"}},
		Run:   drain,
	}
	undrainCommand = command.Command{
		Name: "undrain", Args: "NODE", Summary: "put a node back into service",
		About: "Takes back what was ordered of the node, whatever it was.",
		Kinds: []command.Kind{command.Node},
		Flags: &command.Flags{Define: func(set *flag.FlagSet) { new(orderOptions).where.define(set) }, Kinds: kinds},
		Run:   undrain,
	}
	orderCommand = command.Command{
		Name: "order", Args: "NODE up|drain|down|none",
		Summary: "say how a node, a proxy or an uplink is to be taken, whatever its probes say",
		About: `up     as if it were up
drain  as if it were down while another one is up; playbacks go on
down   as if it were dead
none   as its probes say: takes back what was ordered

The real state goes on being tracked, and is shown beside the order. A proxy is
named by its address, with its port where several have that.`,
		Kinds: []command.Kind{command.Node, "up|drain|down|none"},
		Flags: &command.Flags{Define: func(set *flag.FlagSet) { new(orderOptions).define(set) }, Kinds: kinds},
		Run:   order,
	}
)

type orderOptions struct {
	where

	lasts   time.Duration
	why     string
	wait    bool
	timeout time.Duration
}

func (o *orderOptions) define(set *flag.FlagSet) {
	o.where.define(set)
	set.DurationVar(&o.lasts, "for", 0, "`DURATION` after which the order ends by itself, such as 2h (default: never)")
	set.StringVar(&o.why, "why", "", "`TEXT` for those who look at the status")
}

func (o *orderOptions) defineWait(set *flag.FlagSet) {
	o.define(set)
	set.BoolVar(&o.wait, "wait", false, "return when the last playback on the node has ended")
	set.DurationVar(&o.timeout, "timeout", 0, "`DURATION` with -wait: the longest that it may take (default: no end)")
}

func drain(ctx context.Context, args []string, _ io.Reader, out, _ io.Writer) error {
	var o orderOptions
	name, err := o.parse(args, o.defineWait)
	switch {
	case err != nil:
		return err
	case o.timeout != 0 && !o.wait:
		return command.Usagef("-timeout goes with -wait")
	case !o.wait:
		_, err := o.give(ctx, name, zones.OrderDrain, out)
		return err
	default:
		return o.giveAndWait(ctx, name, out)
	}
}

func undrain(ctx context.Context, args []string, _ io.Reader, out, _ io.Writer) error {
	var o orderOptions
	name, err := o.parse(args, o.where.define)
	if err != nil {
		return err
	}
	_, err = o.give(ctx, name, zones.NoOrder, out)
	return err
}

func order(ctx context.Context, args []string, _ io.Reader, out, _ io.Writer) error {
	var o orderOptions
	rest, err := command.Parse(args, o.define)
	if err != nil {
		return err
	}
	if len(rest) != 2 {
		return command.Usagef("want a name and up, drain, down or none")
	}
	what, ok := zones.OrderOf(rest[1])
	if !ok {
		return command.Usagef("unknown order %q: want up, drain, down or none", rest[1])
	}
	if err := o.isSane(what); err != nil {
		return err
	}
	_, err = o.give(ctx, strings.ToLower(rest[0]), what, out)
	return err
}

// parse reads the arguments of a command about one name.
func (o *orderOptions) parse(args []string, define func(*flag.FlagSet)) (name string, err error) {
	rest, err := command.Parse(args, define)
	if err != nil {
		return "", err
	}
	if len(rest) != 1 {
		return "", command.Usagef("want the name of one node, and there are %d", len(rest))
	}
	return strings.ToLower(rest[0]), o.isSane(zones.OrderDrain)
}

func (o *orderOptions) isSane(what zones.Order) error {
	switch {
	case o.lasts < 0 || o.timeout < 0:
		return command.Usagef("a duration below 0 has ended already")
	case what == zones.NoOrder && (o.lasts != 0 || o.why != ""):
		return command.Usagef("taking an order back has neither an end nor a reason: leave out -for and -why")
	default:
		return nil
	}
}

// given is an order that is in force.
type given struct {
	name, zone string
	order      zones.Order
	until      time.Time
}

// sentence says what holds now.
func (g given) sentence() string {
	end := "until it is taken back"
	if !g.until.IsZero() {
		end = "until " + clock(g.until)
	}
	s := fmt.Sprintf("%s of %s ", g.name, g.zone)
	switch g.order {
	case zones.OrderDrain:
		return s + "drains " + end
	case zones.OrderDown:
		return s + "counts as down " + end
	case zones.OrderUp:
		return s + "counts as up " + end
	default:
		return s + "is what its probes say"
	}
}

// word is the order's in requests and in JSON.
func word(o zones.Order) string {
	if o == zones.NoOrder {
		return "none"
	}
	return o.String()
}

// give gives an order, and says who sees it.
func (o *orderOptions) give(ctx context.Context, name string, what zones.Order, out io.Writer) ([]given, error) {
	g := given{name: name, zone: o.origin(), order: what}
	if o.lasts > 0 {
		g.until = time.Now().Add(o.lasts).Truncate(time.Second)
	}
	p := &printer{w: out}
	all, err := o.tell(ctx, g, p)
	return all, errors.Join(err, p.err)
}

// tell gives an order to the instances of -at, or else to the program that runs here, or else to the orders file.
func (o *orderOptions) tell(ctx context.Context, g given, p *printer) ([]given, error) {
	if o.at != nil {
		return o.tellEach(ctx, g, p)
	}
	cfg, err := o.owner(g.name)
	if err != nil {
		return nil, err
	}
	var s corefile.State
	if cfg != nil {
		s, g.zone = cfg.State, zoneOf(cfg)
	}
	here := []socket.Client{socket.Of(s), socket.ProxyOf(s)}
	for _, c := range here {
		all, err := o.ask(ctx, c, g)
		if errors.Is(err, socket.ErrNone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return all, o.confirm(ctx, here, all, p)
	}
	if cfg == nil {
		return nil, fmt.Errorf("neither plexdns nor plexproxy runs here, and %w", command.ErrNoCorefile)
	}
	return []given{g}, o.write(cfg, g, p)
}

// tellEach gives an order to the instances of -at. Those that share a state folder get it twice, which changes nothing.
func (o *orderOptions) tellEach(ctx context.Context, g given, p *printer) ([]given, error) {
	clients, err := o.clients()
	if err != nil {
		return nil, err
	}
	var all []given
	var errs []error
	for _, c := range clients {
		told, err := o.ask(ctx, c, g)
		if err == nil {
			err = o.confirm(ctx, []socket.Client{c}, told, p)
		}
		errs = append(errs, err)
		for _, g := range told {
			if !slices.Contains(all, g) {
				all = append(all, g)
			}
		}
	}
	return all, errors.Join(errs...)
}

// ask has an instance take an order.
func (o *orderOptions) ask(ctx context.Context, c socket.Client, g given) ([]given, error) {
	in, err := c.Order(ctx, socket.Order{Zone: g.zone, Name: g.name, Order: word(g.order), Until: g.until, Why: o.why})
	var all []given
	for _, g.zone = range in {
		all = append(all, g)
	}
	return all, err
}

// write writes an order for those who will run.
func (o *orderOptions) write(cfg *corefile.Config, g given, p *printer) error {
	dir, err := state.Dir(cfg.State)
	if err != nil {
		return err
	}
	file := state.File(dir, g.zone, "orders")
	orders := state.Orders{File: file, Groups: groups(cfg)}
	now := time.Now()
	line := board.OrderLine{Name: g.name, Order: g.order, Until: g.until, Why: o.why}
	if err := orders.Set(line, board.New(probe.BoardConfig(cfg), now).Snapshot(), now); err != nil {
		return err
	}
	p.printf("%s\nneither plexdns nor plexproxy runs here: they see it in %s when they start\n", g.sentence(), file)
	return nil
}

func groups(cfg *corefile.Config) []string {
	var all []string
	for _, f := range cfg.Finders {
		all = append(all, f.Name)
	}
	return all
}

// owner returns the block that has a name; nil: there is no Corefile to tell.
func (o *orderOptions) owner(name string) (*corefile.Config, error) {
	blocks, err := o.blocks()
	if err != nil || blocks == nil {
		return nil, err
	}
	var found []*corefile.Config
	var zones, names []string
	for _, cfg := range blocks {
		names = append(names, Names(cfg)...)
		if has(cfg, name) {
			found = append(found, cfg)
			zones = append(zones, zoneOf(cfg))
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("there is no node, proxy or uplink %q: want one of %s", name, strings.Join(names, " "))
	default:
		return nil, fmt.Errorf("%s is in %s: say with -zone which is meant", name, strings.Join(zones, " and in "))
	}
}

// Names returns the names of a block that orders may be about.
func Names(cfg *corefile.Config) []string {
	var all []string
	for _, n := range cfg.Cluster.Nodes {
		all = append(all, string(n.Name))
	}
	for _, p := range cfg.Cluster.Proxies {
		all = append(all, p.Subject().Name)
	}
	for _, u := range cfg.Cluster.Uplinks {
		all = append(all, u.Name)
	}
	return all
}

// has reports whether a block has somebody of a name, or may find one.
func has(cfg *corefile.Config, name string) bool {
	if slices.Contains(Names(cfg), name) {
		return true
	}
	for _, p := range cfg.Cluster.Proxies {
		for _, a := range p.Addrs {
			if name == a.String() || strings.Trim(name, "[]") == a.Addr().String() {
				return true
			}
		}
	}
	return slices.ContainsFunc(cfg.Finders, func(f corefile.Finder) bool {
		number, ok := strings.CutPrefix(name, f.Name)
		n, err := strconv.ParseUint(number, 10, 16)
		return ok && err == nil && n > 0
	})
}

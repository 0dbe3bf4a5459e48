package operate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"plexha/cmd/internal/socket"
	"plexha/plugin/status"
	"plexha/zones"
)

// How long a program may take to see an order that is in the file, and how often it is asked.
const (
	seenWithin = 2 * time.Second
	askEvery   = 100 * time.Millisecond
)

// confirm asks back, and says who sees the orders.
func (o *orderOptions) confirm(ctx context.Context, clients []socket.Client, orders []given, p *printer) error {
	var errs []error
	for _, g := range orders {
		by, alone, err := g.seenBy(ctx, clients)
		errs = append(errs, err)
		verb := "sees"
		if len(by) > 1 {
			verb = "see"
		}
		if len(by) > 0 {
			p.printf("%s: %s %s it\n", g.sentence(), strings.Join(by, " and "), verb)
		}
		if alone {
			p.printf("%s\n", g.alone())
		}
	}
	return errors.Join(errs...)
}

// alone says what an order does when no other node is up.
func (g given) alone() string {
	if g.order == zones.OrderDrain {
		return "no other node is up: clients are led there until one is"
	}
	return "no other node is up"
}

// seenBy returns which programs show the order, and whether no other node is up. The error says which one runs, has the
// name, and does not show it in time.
func (g given) seenBy(ctx context.Context, clients []socket.Client) (by []string, alone bool, err error) {
	var errs []error
	for _, c := range clients {
		v, err := g.await(ctx, c)
		switch {
		case errors.Is(err, socket.ErrNone):
		case err != nil:
			errs = append(errs, err)
		case v.known:
			by = append(by, v.who(c))
			alone = alone || v.alone
		}
	}
	return by, alone, errors.Join(errs...)
}

// view is how an instance shows the subject of an order.
type view struct {
	program socket.Program
	known   bool // there is such a one
	order   string
	alone   bool // it is a node that is not led to, and no other is up
}

func (v view) who(c socket.Client) string {
	if c.Program == "" {
		return fmt.Sprintf("%s at %s", v.program, c)
	}
	return string(v.program)
}

// await asks an instance until it shows the order.
func (g given) await(ctx context.Context, c socket.Client) (view, error) {
	want := g.order.String()
	if g.order == zones.NoOrder {
		want = ""
	}
	late := time.After(seenWithin)
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		r, err := c.Report(ctx)
		if err != nil {
			return view{}, err
		}
		v := g.viewOf(r)
		if !v.known || v.order == want {
			return v, nil
		}
		select {
		case <-tick.C:
		case <-late:
			return view{}, fmt.Errorf("%s at %s does not see it: does it use the same state folder?", v.program, c)
		case <-ctx.Done():
			return view{}, context.Cause(ctx)
		}
	}
}

// viewOf finds the subject of the order in what an instance knows.
func (g given) viewOf(r *socket.Report) view {
	v := view{program: r.Program()}
	others := 0
	look := func(name, state, order string) {
		switch {
		case name == g.name:
			v.known, v.order = true, order
		case state == zones.Up.String() && order == "" || order == zones.OrderUp.String():
			others++
		}
	}
	switch {
	case r.Plexproxy != nil:
		for _, k := range r.Plexproxy.Clusters {
			for i := range k.Nodes {
				if n := &k.Nodes[i]; k.Zone == g.zone {
					look(string(n.Name), n.State, n.Order)
				}
			}
		}
	default:
		if k := clusterOf(r.Plexdns, g.zone); k != nil {
			for i := range k.Nodes {
				look(string(k.Nodes[i].Name), k.Nodes[i].State, k.Nodes[i].Order)
			}
			if !v.known {
				return g.besideNodes(k, v)
			}
		}
	}
	leaves := g.order == zones.OrderDrain || g.order == zones.OrderDown
	v.alone = v.known && leaves && others == 0
	return v
}

// besideNodes finds a proxy or an uplink.
func (g given) besideNodes(k *status.Cluster, v view) view {
	for i := range k.Uplinks {
		if u := &k.Uplinks[i]; u.Name == g.name {
			v.known, v.order = true, u.Order
		}
	}
	for i := range k.Proxies {
		q := &k.Proxies[i]
		is := q.Name == g.name
		for _, a := range q.Addresses {
			is = is || a.Address.String() == strings.Trim(g.name, "[]")
		}
		if is {
			v.known, v.order = true, q.Order
		}
	}
	return v
}

func clusterOf(d *status.Document, zone string) *status.Cluster {
	for i := range d.Clusters {
		if d.Clusters[i].Zone == zone {
			return &d.Clusters[i]
		}
	}
	return nil
}

package plugin

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"plexha/zones/board"
)

func (p *Plex) ordersFile() string { return p.fileName(p.zone(), "orders") }

// readOrders takes over the orders file. A bad one leaves the orders as they were.
func (p *Plex) readOrders() {
	if p.state == "" {
		return
	}
	f, err := os.Open(p.ordersFile())
	if errors.Is(err, fs.ErrNotExist) {
		p.board.SetOrders(nil, time.Now())
		return
	}
	if err != nil {
		log.Errorf("reading the orders: %v", err)
		return
	}
	defer func() { _ = f.Close() }() // only read
	orders, err := board.ParseOrders(f)
	if err != nil {
		log.Errorf("reading the orders in %s: %v: the last good ones stay in force", p.ordersFile(), err)
		return
	}
	for _, unknown := range p.board.SetOrders(orders, time.Now()) {
		if slices.ContainsFunc(p.groups(), func(g string) bool { return strings.HasPrefix(unknown, g) }) {
			continue // a node that may be found yet
		}
		log.Warningf("reading the orders in %s: there is no node, proxy or uplink %q", p.ordersFile(), unknown)
	}
}

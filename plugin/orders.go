package plugin

import (
	"errors"
	"fmt"
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
	orders, err := loadOrders(p.ordersFile())
	if err != nil {
		p.badOrders = true
		log.Errorf("%v: the last good ones stay in force", err)
		return
	}
	if p.badOrders {
		p.badOrders = false
		log.Infof("reading the orders in %s: nothing is wrong any more", p.ordersFile())
	}
	for _, unknown := range p.board.SetOrders(orders, time.Now()) {
		if slices.ContainsFunc(p.groups(), func(g string) bool { return strings.HasPrefix(unknown, g) }) {
			continue // a node that may be found yet
		}
		log.Warningf("reading the orders in %s: there is no node, proxy or uplink %q", p.ordersFile(), unknown)
	}
}

// loadOrders reads an orders file. One that does not exist holds none.
func loadOrders(file string) ([]board.OrderLine, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the orders: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	orders, err := board.ParseOrders(f)
	if err != nil {
		return nil, fmt.Errorf("reading the orders in %s: %w", file, err)
	}
	return orders, nil
}

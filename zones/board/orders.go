package board

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"plexha/zones"
)

// OrderLine is one line of an orders file: what the operator said of one subject.
//
// Its name is a node's or an uplink's (a name that both have means the node), or one of a proxy's
// ADDRESS:PORT, or its ADDRESS alone if no other proxy has it. Of several lines that mean one subject, in
// whatever words, the last that has not ended holds.
type OrderLine struct {
	Name  string
	Order zones.Order
	Until time.Time // zero: until it is taken back
	Why   string    // the operator's words, without the #
}

// String returns the line as it stands in the file, without the line's end.
func (o OrderLine) String() string {
	line := o.Name + " " + o.Order.String()
	if !o.Until.IsZero() {
		line += " " + o.Until.UTC().Format(time.RFC3339Nano)
	}
	if o.Why != "" {
		line += " # " + strings.ReplaceAll(o.Why, "\n", " ")
	}
	return line
}

func (o OrderLine) expired(now time.Time) bool { return !o.Until.IsZero() && !now.Before(o.Until) }

// ParseOrders reads an orders file: one line each, NAME up|drain|down [UNTIL] [# WHY], UNTIL as in RFC 3339
// with or without seconds. Empty lines and those that start with # count as nothing. Of several lines with
// one name the last is returned alone. An error names the line and what is allowed.
func ParseOrders(r io.Reader) ([]OrderLine, error) {
	var out []OrderLine
	scan := bufio.NewScanner(r)
	for n := 1; scan.Scan(); n++ {
		text, why, _ := strings.Cut(scan.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		o, err := parseOrder(words)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		o.Why = strings.TrimSpace(why)
		out = slices.DeleteFunc(out, func(old OrderLine) bool { return old.Name == o.Name })
		out = append(out, o)
	}
	if err := scan.Err(); err != nil {
		return nil, fmt.Errorf("reading orders: %w", err)
	}
	return out, nil
}

func parseOrder(words []string) (OrderLine, error) {
	if len(words) < 2 || len(words) > 3 {
		return OrderLine{}, fmt.Errorf("reading %q: want NAME up|drain|down [UNTIL] [# WHY]", strings.Join(words, " "))
	}
	o := OrderLine{Name: strings.ToLower(words[0])}
	if o.Order, _ = zones.OrderOf(words[1]); o.Order == zones.NoOrder { // which no line gives
		return OrderLine{}, fmt.Errorf("unknown order %q: want up, drain or down", words[1])
	}
	if len(words) == 3 {
		until, err := parseUntil(words[2])
		if err != nil {
			return OrderLine{}, err
		}
		o.Until = until
	}
	return o, nil
}

// The years in which an order may end: those that RFC 3339 can write, without the zero Time, which stands
// for never.
const firstYear, lastYear = 1970, 9999

func parseUntil(word string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
		t, err := time.Parse(layout, word)
		if t = t.UTC(); err == nil && t.Year() >= firstYear && t.Year() <= lastYear {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("reading the end %q: want a time such as 2026-11-22T20:00Z", word)
}

// SetOrders replaces all orders and returns the names among them that mean no subject of the board, or
// more than one.
func (b *Board) SetOrders(orders []OrderLine, now time.Time) (unknown []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.orders
	b.orders = slices.Clone(orders)
	b.expireOrders(now)
	for _, o := range b.orders {
		if b.named(o.Name) == nil {
			unknown = append(unknown, o.Name)
		}
	}
	if !slices.Equal(before, b.orders) {
		b.publish(now)
		b.wakeRun()
	}
	return unknown
}

// named returns the subject that an order's name means, or nil.
func (b *Board) named(name string) *subject {
	id, ok := meant(name, func(yield func(zones.Subject, []netip.AddrPort) bool) {
		for _, s := range b.subjects {
			if !yield(s.id, s.proxy.Addrs) {
				return
			}
		}
	})
	if !ok {
		return nil
	}
	return b.find(id)
}

// Named returns the subject that an order's name means in a snapshot. It reports false if there is none, or more
// than one.
func Named(s *zones.Snapshot, name string) (zones.Subject, bool) {
	return meant(strings.ToLower(name), func(yield func(zones.Subject, []netip.AddrPort) bool) {
		proxies := s.Proxies
		for subject := range s.Subjects {
			var addrs []netip.AddrPort
			if subject.Kind == zones.KindProxy {
				addrs, proxies = proxies[0].Proxy.Addrs, proxies[1:]
			}
			if !yield(subject, addrs) {
				return
			}
		}
	})
}

// meant finds the subject that a name means: a node or else an uplink of that name, or the proxy at ADDRESS:PORT,
// or the only one at ADDRESS.
func meant(name string, subjects iter.Seq2[zones.Subject, []netip.AddrPort]) (zones.Subject, bool) {
	withPort, _ := netip.ParseAddrPort(name)
	alone, _ := netip.ParseAddr(strings.Trim(name, "[]"))
	var uplink, proxy zones.Subject
	var isUplink bool
	atAddr := 0 // proxies
	for s, addrs := range subjects {
		switch {
		case s.Kind != zones.KindProxy && s.Name != name:
		case s.Kind == zones.KindNode:
			return s, true
		case s.Kind == zones.KindUplink:
			uplink, isUplink = s, true
		case slices.Contains(addrs, withPort):
			return s, true
		case slices.ContainsFunc(addrs, func(a netip.AddrPort) bool { return a.Addr() == alone }):
			proxy = s
			atAddr++
		}
	}
	if isUplink {
		return uplink, true
	}
	return proxy, atAddr == 1
}

// liveOrders returns the orders that hold at now, by whom they are on.
func (b *Board) liveOrders(now time.Time) map[*subject]OrderLine {
	if len(b.orders) == 0 {
		return nil
	}
	live := map[*subject]OrderLine{}
	for _, o := range b.orders {
		if s := b.named(o.Name); s != nil && !o.expired(now) {
			live[s] = o
		}
	}
	return live
}

// expireOrders drops the orders that have ended and reports whether there were any.
func (b *Board) expireOrders(now time.Time) bool {
	before := len(b.orders)
	b.orders = slices.DeleteFunc(b.orders, func(o OrderLine) bool { return o.expired(now) })
	return len(b.orders) != before
}

package board

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"plexha/zones"
)

// OrderLine is one line of an orders file: what the operator said of one subject.
type OrderLine struct {
	Name  string // of a node or an uplink, or a proxy's ADDRESS:PORT
	Order zones.Order
	Until time.Time // zero: until it is taken back
	Why   string    // the operator's words, without the #
}

// String returns the line as it stands in the file.
func (o OrderLine) String() string {
	line := o.Name + " " + o.Order.String()
	if !o.Until.IsZero() {
		line += " " + o.Until.UTC().Format(time.RFC3339)
	}
	if o.Why != "" {
		line += " # " + o.Why
	}
	return line
}

// names reports whether the order is on that subject.
func (o OrderLine) names(id zones.Subject) bool { return o.Name == id.Name }

func (o OrderLine) expired(now time.Time) bool { return !o.Until.IsZero() && !now.Before(o.Until) }

// ParseOrders reads an orders file: one line each, NAME up|drain|down [UNTIL] [# WHY], UNTIL as in RFC 3339
// with or without seconds. Empty lines and those that start with # count as nothing. Of several lines on one
// subject the last holds. An error names the line and what is allowed.
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
	return out, scan.Err()
}

func parseOrder(words []string) (OrderLine, error) {
	if len(words) < 2 || len(words) > 3 {
		return OrderLine{}, fmt.Errorf("reading %q: want NAME up|drain|down [UNTIL] [# WHY]", strings.Join(words, " "))
	}
	o := OrderLine{Name: strings.ToLower(words[0])}
	switch words[1] {
	case "up":
		o.Order = zones.OrderUp
	case "drain":
		o.Order = zones.OrderDrain
	case "down":
		o.Order = zones.OrderDown
	default:
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

func parseUntil(word string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, word); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("reading the end %q: want a time such as 2026-11-22T20:00Z", word)
}

// SetOrders replaces all orders and returns the names among them that are no subject of the board.
func (b *Board) SetOrders(orders []OrderLine, now time.Time) (unknown []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.orders = slices.Clone(orders)
	b.expireOrders(now)
	for _, o := range orders {
		if !slices.ContainsFunc(b.subjects, func(s *subject) bool { return o.names(s.id) }) {
			unknown = append(unknown, o.Name)
		}
	}
	b.publish(now)
	b.wakeRun()
	return unknown
}

// expireOrders drops the orders that have ended and reports whether there were any.
func (b *Board) expireOrders(now time.Time) bool {
	before := len(b.orders)
	b.orders = slices.DeleteFunc(b.orders, func(o OrderLine) bool { return o.expired(now) })
	return len(b.orders) != before
}

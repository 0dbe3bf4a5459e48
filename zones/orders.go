package zones

import (
	"fmt"
	"maps"
	"time"
)

// OrderChange is one thing that the operator has said of a subject, or that has ended.
type OrderChange struct {
	Subject Subject
	Health  *Health // as it is now
	Ended   bool    // the order was to last until a time that has come; else, without an order now, it was withdrawn
}

// OrdersSince returns what differs from the orders of an earlier snapshot, in the order of the subjects. What
// is gone has no orders.
func (s *Snapshot) OrdersSince(before *Snapshot) []OrderChange {
	var out []OrderChange
	was := maps.Collect(before.Subjects)
	for subject, now := range s.Subjects {
		old := was[subject]
		if old == nil {
			old = &Health{}
		}
		if old.Order == now.Order && old.OrderUntil.Equal(now.OrderUntil) && old.OrderWhy == now.OrderWhy {
			continue
		}
		ended := now.Order == NoOrder && !old.OrderUntil.IsZero() && !s.At.Before(old.OrderUntil)
		out = append(out, OrderChange{subject, now, ended})
	}
	return out
}

// Text tells of the change; who is the subject as the reader knows it.
func (c OrderChange) Text(who string) string {
	switch h := c.Health; {
	case c.Ended:
		return fmt.Sprintf("the order on %s has ended", who)
	case h.Order == NoOrder:
		return fmt.Sprintf("the order on %s has been withdrawn", who)
	default:
		return fmt.Sprintf("order on %s: %s", who, h.orderText())
	}
}

func (h *Health) orderText() string {
	text := h.Order.String()
	if !h.OrderUntil.IsZero() {
		text += " until " + h.OrderUntil.UTC().Format(time.RFC3339)
	}
	if h.OrderWhy != "" {
		text += ": " + h.OrderWhy
	}
	return text
}

package page

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Order is what a form orders.
type Order struct {
	Zone  string // as the form has it; empty: it does not say
	Name  string // of a node, a proxy or an uplink: one word, lower case
	Order string // up, drain, down, or none, which takes back what was ordered
	Until time.Time
	Why   string // in one line
}

// maxWhy bounds the operator's words, in bytes: they stand in a line of a file and in a cell of a table.
const maxWhy = 200

// maxFor bounds an order's time. One that is longer has no end in all but name.
const maxFor = 10 * 365 * 24 * time.Hour

// ReadOrder reads a form with zone, name, order, until (RFC 3339) or for (a Go duration), and why. The error says what
// is allowed.
func ReadOrder(form url.Values, now time.Time) (Order, error) {
	o := Order{
		Zone: form.Get("zone"), Name: strings.ToLower(strings.TrimSpace(form.Get("name"))), Order: form.Get("order"),
		Why: strings.Join(strings.FieldsFunc(form.Get("why"), isGap), " "),
	}
	switch {
	case o.Name == "":
		return Order{}, errors.New("name is missing: want that of a node, a proxy or an uplink")
	case strings.ContainsFunc(o.Name, isGap) || strings.Contains(o.Name, "#"):
		return Order{}, fmt.Errorf("name %q is not one word", o.Name)
	case !slices.Contains([]string{"up", "drain", "down", "none"}, o.Order):
		return Order{}, fmt.Errorf("unknown order %q: want one of up drain down none", o.Order)
	case len(o.Why) > maxWhy:
		return Order{}, fmt.Errorf("why is longer than %d bytes", maxWhy)
	}
	var err error
	if o.Until, err = readEnd(form.Get("until"), form.Get("for"), now); err != nil {
		return Order{}, err
	}
	if o.Order == "none" && !o.Until.IsZero() {
		return Order{}, errors.New("an order that is taken back has no end: leave out until and for")
	}
	return o, nil
}

// readEnd returns when an order ends; zero: when it is taken back.
func readEnd(until, lasts string, now time.Time) (time.Time, error) {
	switch {
	case until != "" && lasts != "":
		return time.Time{}, errors.New("until and for exclude each other")
	case until != "":
		t, err := time.Parse(time.RFC3339, until)
		if err != nil {
			return time.Time{}, fmt.Errorf("reading until %q: want a time such as 2026-11-22T20:00:00Z", until)
		}
		if !t.After(now) || t.Sub(now) > maxFor {
			return time.Time{}, fmt.Errorf("until %s: want a time to come, within ten years", until)
		}
		return t.UTC(), nil
	case lasts != "":
		d, err := time.ParseDuration(lasts)
		if err != nil || d <= 0 || d > maxFor {
			return time.Time{}, fmt.Errorf("reading for %q: want a duration such as 2h30m", lasts)
		}
		return now.Add(d + time.Second - 1).UTC().Truncate(time.Second), nil // the second that ends it
	default:
		return time.Time{}, nil
	}
}

// isGap reports whether a rune can not stand in a word of the orders file.
func isGap(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == unicode.ReplacementChar
}

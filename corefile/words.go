package corefile

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// words hands out the words of one property line, and collects what is wrong with them.
//
// After a word that means nothing, or one that is missing, the rest of the line can't be understood: it is
// given up, so that one mistake makes one message. After a bad value the line goes on. No word is ever
// empty: "" stands for the end of the line.
type words struct {
	pos
	usage string // the property's grammar
	about string // what messages begin with: the property, with a name once that is known
	rest  []string
	used  []string // options that were read

	errs   *mistakes
	ok     bool // no mistake yet
	lost   bool // the rest has been given up
	secret bool // the line may hold a secret anywhere: its long words are not repeated in messages
}

func (w *words) errorf(format string, args ...any) {
	w.ok = false
	w.errs.addf(w.pos, "%s: %w", w.about, fmt.Errorf(format, args...))
}

// giveUp reports a mistake after which the line can't be understood.
func (w *words) giveUp(format string, args ...any) {
	if !w.lost {
		w.errorf(format, args...)
	}
	w.lost, w.rest = true, nil
}

// call puts the name of what the line is about into the messages to come.
func (w *words) call(name string) {
	if name != "" {
		w.about += " " + name
	}
}

// noSecret is how long a word may be to be shown on a line with secrets: tokens are longer.
const noSecret = 12

// quote returns a word for a message.
func (w *words) quote(word string) string {
	if w.secret && len(word) > noSecret {
		return "[redacted]"
	}
	return strconv.Quote(word)
}

// peek returns the next word without taking it.
func (w *words) peek() string {
	if len(w.rest) == 0 {
		return ""
	}
	return w.rest[0]
}

// next takes the next word.
func (w *words) next() string {
	word := w.peek()
	if word != "" {
		w.rest = w.rest[1:]
	}
	return word
}

// maybe takes the next word if it is the one given.
func (w *words) maybe(word string) bool {
	if w.peek() != word {
		return false
	}
	w.next()
	return true
}

// need takes a word that must be there.
func (w *words) need(what string) string {
	word := w.next()
	if word == "" {
		w.giveUp("%s is missing: write %s", what, w.usage)
	}
	return word
}

// end reports words that are left over.
func (w *words) end() {
	if word := w.next(); word != "" {
		w.giveUp("unexpected %s: write %s", w.quote(word), w.usage)
	}
}

// choice takes a word that must be one of a list.
func (w *words) choice(what string, allowed ...string) string {
	word := w.need(what)
	if word == "" || slices.Contains(allowed, word) {
		return word
	}
	w.giveUp("%s is not %s%s", w.quote(word), listed(allowed), didYouMean(word, allowed))
	return ""
}

// option takes the next option of a line whose options come in any order. It returns "" at the end.
func (w *words) option(allowed ...string) string {
	word := w.next()
	switch {
	case word == "":
	case !slices.Contains(allowed, word):
		w.giveUp("unexpected %s, allowed here: %s%s", w.quote(word), listed(allowed), didYouMean(word, allowed))
		return ""
	case slices.Contains(w.used, word):
		w.giveUp("%s stands twice", word)
		return ""
	default:
		w.used = append(w.used, word)
	}
	return word
}

// value takes a word that must be there and parses it. It returns the zero value after a mistake.
func value[T any](w *words, what string, parse func(string) (T, error)) T {
	var none T
	word := w.need(what)
	if word == "" {
		return none
	}
	v, err := parse(word)
	switch {
	case err != nil && w.secret && tokenLike.MatchString(word):
		w.errorf("%s [redacted] looks like a token: write token before it", what)
		return none
	case err != nil:
		w.errorf("%s %w", what, err)
		return none
	}
	return v
}

// each parses all words that are left, of which there must be one. Bad ones are left out.
func each[T any](w *words, what string, parse func(string) (T, error)) []T {
	var all []T
	for more := true; more; more = w.peek() != "" {
		before := len(w.errs.list)
		if v := value(w, what, parse); len(w.errs.list) == before && !w.lost {
			all = append(all, v)
		}
	}
	return all
}

// addrs takes addresses up to a word that does not look like one. There must be one, and none twice.
func (w *words) addrs() []netip.Addr {
	var all []netip.Addr
	for more := true; more; more = strings.ContainsAny(w.peek(), ".:") {
		addr := value(w, "ADDRESS", parseAddr)
		switch {
		case !addr.IsValid():
		case slices.Contains(all, addr):
			w.errorf("address %v stands twice", addr)
		default:
			all = append(all, addr)
		}
	}
	return all
}

func (w *words) duration(what string, shortest time.Duration) time.Duration {
	return value(w, what, func(s string) (time.Duration, error) { return parseDuration(s, shortest) })
}

func (w *words) count(what string, least, most int) int {
	return value(w, what, func(s string) (int, error) { return parseCount(s, least, most) })
}

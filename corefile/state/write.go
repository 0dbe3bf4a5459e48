package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"plexha/zones"
	"plexha/zones/board"
)

// OrderError is why an order cannot be given, if it is the order's fault and not the file's.
type OrderError struct{ Err error }

// Unwrap returns Err.
func (e *OrderError) Unwrap() error { return e.Err }

// Error implements error.
func (e *OrderError) Error() string { return e.Err.Error() }

// longestWhy bounds the operator's words, in characters: they are shown beside a state.
const longestWhy = 200

// Set gives an order on one of a snapshot's subjects, or on a node that may be found yet, or with [zones.NoOrder]
// takes back what there is on it. It writes the file, in which all other lines stay as they are, and tells nobody:
// see [Orders.Read]. A file with a mistake is left alone. Others may do the same at once.
//
// The error is an [*OrderError] if it is the order's fault.
func (o *Orders) Set(line board.OrderLine, snap *zones.Snapshot, now time.Time) error {
	line.Name = strings.ToLower(line.Name)
	line.Why = oneLine(line.Why)
	if !line.Until.IsZero() {
		line.Until = line.Until.Add(time.Second - 1).Truncate(time.Second) // which a person can read
	}
	subject, known := board.Named(snap, line.Name)
	if !known && !o.mayBeFound(line.Name) && !(line.Order == zones.NoOrder && o.holds(line.Name)) {
		return &OrderError{o.nobody(line.Name, snap)}
	}
	if line.Order != zones.NoOrder {
		if err := check(line, now); err != nil {
			return &OrderError{err}
		}
	}
	// One subject may have several names, and of several lines on it the last holds.
	return o.write(line, func(name string) bool {
		other, ok := board.Named(snap, name)
		return name == line.Name || known && ok && other == subject
	})
}

// check says why an order cannot be given to anybody.
func check(line board.OrderLine, now time.Time) error {
	switch {
	case !line.Until.IsZero() && !line.Until.After(now):
		return fmt.Errorf("the order would end at %s, which is past", line.Until.UTC().Format(time.RFC3339))
	case utf8.RuneCountInString(line.Why) > longestWhy:
		return fmt.Errorf("the reason is too long: want %d characters at most", longestWhy)
	}
	_, err := board.ParseOrders(strings.NewReader(line.String()))
	return err
}

// holds reports whether the file has an order on that name: one on somebody who is gone may be taken back.
func (o *Orders) holds(name string) bool {
	orders, _ := o.load() // what is wrong with it is said when it is written
	return slices.ContainsFunc(orders, func(l board.OrderLine) bool { return l.Name == name })
}

// nobody says who is not there, and who is.
func (o *Orders) nobody(name string, snap *zones.Snapshot) error {
	var names []string
	for s := range snap.Subjects {
		names = append(names, s.Name)
	}
	for _, group := range o.Groups {
		names = append(names, group+"1", group+"2...")
	}
	return fmt.Errorf("there is no node, proxy or uplink %q: want one of %s", name, strings.Join(names, " "))
}

// write puts a line in the place of those on the same subject.
func (o *Orders) write(line board.OrderLine, same func(name string) bool) error {
	if info, err := os.Lstat(o.File); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("writing the orders: %s is no regular file, and would become one", o.File)
	}
	release, err := lockSoon(o.File)
	if err != nil {
		return fmt.Errorf("writing the orders: %w", err)
	}
	defer release()
	old, err := Read(o.File)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the orders: %w", err)
	}
	if _, err := board.ParseOrders(strings.NewReader(string(old))); err != nil {
		return fmt.Errorf("nothing is written, since the orders in %s have a mistake: %w", o.File, err)
	}
	text := edit(string(old), line, same)
	if text == string(old) {
		return nil
	}
	if err := replace(o.File, []byte(text), share); err != nil {
		return fmt.Errorf("writing the orders: %w", err)
	}
	return nil
}

// edit returns the text of an orders file without mistake, with a line in the place of the last of those on the same
// subject, or behind all others if there is none. The others on it are left out, and all are with
// [zones.NoOrder].
func edit(text string, line board.OrderLine, same func(name string) bool) string {
	lines := strings.SplitAfter(text, "\n")
	place := -1
	for i, l := range lines {
		order, _, _ := strings.Cut(l, "#")
		if words := strings.Fields(order); len(words) > 0 && same(strings.ToLower(words[0])) {
			place, lines[i] = i, ""
		}
	}
	if line.Order == zones.NoOrder {
		return strings.Join(lines, "")
	}
	if place < 0 {
		if last := len(lines) - 1; lines[last] != "" {
			lines[last] += "\n" // it had no end
		}
		return strings.Join(lines, "") + line.String() + "\n"
	}
	lines[place] = line.String() + "\n"
	return strings.Join(lines, "")
}

// oneLine returns a reason as it can stand in a line.
func oneLine(why string) string {
	why = strings.ToValidUTF8(why, "?")
	return strings.Join(strings.FieldsFunc(why, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}

// Whoever else writes an orders file is through with it in a moment.
const (
	lockPause    = 10 * time.Millisecond
	lockPatience = 3 * time.Second
)

// lockSoon is [Lock], but waits for whoever has it.
func lockSoon(file string) (release func(), err error) {
	for began := time.Now(); ; <-time.After(lockPause) {
		release, err = Lock(file)
		if !errors.Is(err, ErrTaken) || time.Since(began) > lockPatience {
			return release, err
		}
	}
}

package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"plexha/zones/board"
	"plexha/zones/diary"
)

// OrdersBoard gets the orders; *board.Board is one.
type OrdersBoard interface {
	SetOrders(orders []board.OrderLine, now time.Time) (unknown []string)
}

// Orders is the orders file of a cluster. Its methods may be called by several goroutines at once.
type Orders struct {
	File   string
	Groups []string // the names of the `nodes` lines: who is named after one may be found yet

	mu      sync.Mutex
	bad     bool     // the last reading has failed
	unknown []string // names that the last good reading found on nobody
}

// Read takes over what the file says now, and returns what the log is to say of it. A bad file leaves the
// orders as they were; one that does not exist holds none.
func (o *Orders) Read(b OrdersBoard, now time.Time) []diary.Line {
	o.mu.Lock()
	defer o.mu.Unlock()
	orders, err := o.load()
	if err != nil {
		o.bad = true
		return []diary.Line{{Level: diary.Error, Text: err.Error() + ": the last good ones stay in force"}}
	}
	var lines []diary.Line
	if o.bad {
		o.bad = false
		lines = append(lines, o.line(diary.Info, "nothing is wrong any more"))
	}
	said := o.unknown
	o.unknown = b.SetOrders(orders, now)
	for _, name := range o.unknown {
		if o.mayBeFound(name) || slices.Contains(said, name) {
			continue
		}
		lines = append(lines, o.line(diary.Warning, fmt.Sprintf("there is no node, proxy or uplink %q", name)))
	}
	return lines
}

// mayBeFound reports whether a `nodes` line may find a node of that name: the line's name with a number.
func (o *Orders) mayBeFound(name string) bool {
	return slices.ContainsFunc(o.Groups, func(group string) bool {
		number, ok := strings.CutPrefix(name, group)
		n, err := strconv.ParseUint(number, 10, 16)
		return ok && err == nil && n > 0
	})
}

func (o *Orders) line(level diary.Level, text string) diary.Line {
	return diary.Line{Level: level, Text: fmt.Sprintf("reading the orders in %s: %s", o.File, text)}
}

func (o *Orders) load() ([]board.OrderLine, error) {
	// A link may lead to what only this program may read, and a mistake in it would be quoted in the log.
	if info, err := os.Lstat(o.File); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return nil, fmt.Errorf("reading the orders: %s is a symbolic link", o.File)
	}
	text, err := Read(o.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the orders: %w", err)
	}
	orders, err := board.ParseOrders(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("reading the orders in %s: %w", o.File, err)
	}
	return orders, nil
}

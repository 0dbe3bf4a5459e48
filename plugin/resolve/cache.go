package resolve

import (
	"slices"
	"sync"
	"time"
)

// What bounds how long an answer holds.
const (
	shortest = 30 * time.Second // a TTL of 0 would cost a connection for each look
	longest  = time.Hour        // a server that moved in spite of its TTL is found again within it
)

// cache keeps answers by name. Nothing is ever dropped: the names are those of the Corefile.
type cache[T any] struct {
	mu    sync.Mutex
	known map[string]entry[T]
}

type entry[T any] struct {
	values []T
	until  time.Time
}

// get returns the values of a name, found anew when they are too old. What was found before holds for a while
// longer if nothing is found now. Two who ask at once may both look.
func (c *cache[T]) get(name string, find func() (answer[T], error)) ([]T, error) {
	old := c.peek(name)
	if time.Now().Before(old.until) {
		return slices.Clone(old.values), nil
	}
	found, err := find()
	if err != nil && old.values == nil {
		return nil, err
	}
	if err != nil {
		found = answer[T]{old.values, shortest}
	}
	c.put(name, entry[T]{found.values, time.Now().Add(min(max(found.ttl, shortest), longest))})
	return slices.Clone(found.values), nil
}

func (c *cache[T]) peek(name string) entry[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[name]
}

func (c *cache[T]) put(name string, e entry[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[string]entry[T]{}
	}
	c.known[name] = e
}

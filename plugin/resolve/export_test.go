package resolve

import (
	"context"
	"time"

	"github.com/miekg/dns"
)

// Cache is a cache of words.
type Cache struct{ c cache[string] }

// Get returns the words of a name, found anew when they are too old.
func (c *Cache) Get(name string, find func() (values []string, ttl time.Duration, err error)) ([]string, error) {
	return c.c.get(name, func() (answer[string], error) {
		values, ttl, err := find()
		return answer[string]{values, ttl}, err
	})
}

// Race asks servers that are words.
func Race(
	ctx context.Context, servers []string, patience time.Duration,
	ask func(context.Context, string) (string, error), discard func(string),
) (string, error) {
	return race(ctx, servers, patience, ask, discard)
}

// Run takes steps that find words.
func Run(ctx context.Context, steps ...func(context.Context) (string, error)) (string, error) {
	var taken []step[string]
	for _, s := range steps {
		taken = append(taken, func(ctx context.Context) (answer[string], error) {
			word, err := s(ctx)
			return answer[string]{values: []string{word}}, err
		})
	}
	found, err := run(ctx, "looking up it", taken)
	if err != nil {
		return "", err
	}
	return found.values[0], nil
}

// Pipeline asks for the addresses of a name over one connection.
func Pipeline(ctx context.Context, conn *dns.Conn, name string) ([]*dns.Msg, error) {
	return pipeline(conn)(ctx, bothFamilies(name))
}

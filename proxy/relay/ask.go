package relay

import (
	"context"
	"errors"
	"net/http"
	"time"

	"plexha/proxy/affinity"
)

// mayAsk reports whether the answer may be that of the wrong node: of a session that another one has begun,
// or to a token that another one has given.
func (t *trip) mayAsk(status int) bool {
	if !t.reads || t.req.Method == http.MethodOptions {
		return false
	}
	var ask affinity.Ask
	switch status {
	case http.StatusNotFound:
		ask = affinity.AskOn404
	case http.StatusUnauthorized:
		ask = affinity.AskOn401
	}
	return t.place.Ask&ask != 0 && t.relay.asks.allow(t.client)
}

// askOthers asks each other node that is up once, and returns the first good answer, or, if there is none,
// the one that it was given. That stays open meanwhile: it is small, and waits in the connection.
func (t *trip) askOthers(res *http.Response) *http.Response {
	first, asked := t.first.node, res.StatusCode
	for i := range t.side.all.All {
		n := t.view.nodes[i]
		if n == first || !t.side.all.All[i].Up {
			continue
		}
		first.stats.retries[askedKind(asked)].Add(1)
		better, err := t.ask(n)
		if err != nil {
			continue
		}
		if !knows(better.StatusCode, asked) {
			_ = better.Body.Close()
			continue
		}
		_ = res.Body.Close()
		n.stats.saves[askedKind(asked)].Add(1)
		t.from, t.status = n, better.StatusCode
		return better
	}
	return res
}

var errAskedTooLong = errors.New("the node that was asked as well took too long")

// ask asks another node, which must answer while the request may still wait: there is an answer to give.
func (t *trip) ask(n *node) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(t.req.Context()) // ends with the request: it is the answer's too
	late := time.AfterFunc(t.patience(), func() { cancel(errAskedTooLong) })
	res, err := t.attempt(ctx, new(attempt), n)
	if !late.Stop() && err == nil {
		_ = res.Body.Close() // it came at the very moment, and its connection is closed already
		err = errAskedTooLong
	}
	return res, err
}

// patience is how long another node may take: what is left of `retry`, or, without one, a second, which is a guess.
func (t *trip) patience() time.Duration {
	if t.view.retryFor() <= 0 {
		return time.Second
	}
	return t.retryLeft()
}

func askedKind(status int) kind {
	if status == http.StatusNotFound {
		return kindAsked404
	}
	return kindAsked401
}

// knows reports whether a node that answers so knows what the first one did not: what was asked for, or who
// asks.
func knows(status, first int) bool {
	switch status {
	case first, http.StatusUnauthorized, http.StatusForbidden:
		return false
	default:
		return status < http.StatusInternalServerError
	}
}

// isPush reports whether the class is of websockets and event streams.
func isPush(c affinity.Class) bool { return c == affinity.Push }

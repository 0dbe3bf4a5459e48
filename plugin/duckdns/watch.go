package duckdns

import (
	"context"
	"crypto/sha256"
	"fmt"

	"plexha/corefile/watch"
)

// watchToken wakes the worker when the token's file changes. Without, it reads the file whenever it wakes anyway.
func (w *Worker) watchToken(ctx context.Context) {
	err := watch.Files(ctx, []string{w.o.Config.TokenFile}, func() { fill(w.touched) })
	if err != nil {
		w.log.to[debug](err.Error())
	}
}

// readToken reads the token, and forgets the failures of another one. Only a hash of it is kept.
func (w *Worker) readToken() {
	t, err := w.o.Token()
	var sum [sha256.Size]byte
	if err == nil {
		sum = sha256.Sum256([]byte(t.Reveal()))
	}
	known, before := w.tokenRead, w.tokenSum
	w.tokenRead, w.tokenSum, w.tokenErr = true, sum, err
	if err != nil {
		w.log.say("token", severe, fmt.Sprintf("%s cannot be kept up to date: %v", w.name, err))
		return
	}
	if !known || sum == before {
		return
	}
	w.log.forget("token")
	w.log.forget("ko")
	w.alerted, w.unsaved = false, true
	for _, k := range w.keepers {
		k.record = k.record.renewed()
	}
	w.log.say("new token", info, w.name+": there is another token")
}

package relay

import (
	"hash/maphash"

	"golang.org/x/time/rate"
)

const (
	// askRate and askBurst bound for how many requests a second of one client the other nodes are asked as well.
	// A player that another proxy has served asks for a few segments before its session is known here, and a
	// browser for the files of one page. Both numbers are guesses, on the generous side.
	askRate  = 10
	askBurst = 100
	// askSlots is how many clients are told apart; others share a slot.
	askSlots = 256
)

// askers bounds how often other nodes are asked, by the clients' addresses: the requests of one who makes
// sessions and tokens up would cost as many as there are nodes.
type askers struct {
	seed  maphash.Seed
	slots [askSlots]*rate.Limiter
}

func newAskers() *askers {
	a := &askers{seed: maphash.MakeSeed()}
	for i := range a.slots {
		a.slots[i] = rate.NewLimiter(askRate, askBurst)
	}
	return a
}

// allow reports whether others may be asked for one more request of the client at this address.
func (a *askers) allow(client string) bool {
	return a.slots[maphash.String(a.seed, client)%askSlots].Allow()
}

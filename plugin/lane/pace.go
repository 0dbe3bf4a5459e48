package lane

import "time"

const (
	// napTime is how long a worker lets packets gather, at least: the system may take 50 us more. To be called for a
	// packet, and to call its client, costs as much as three answers, and with naps that is done for ever more of them at
	// a time: the more there are, the less each one costs.
	napTime = 100 * time.Microsecond
	// turnTime is how long a worker that naps keeps others waiting who have the same CPU. In between it waits as they do,
	// in the runtime's poller, which looks after all connections then.
	turnTime = 2 * time.Millisecond
	// rush is how many packets in a turnTime make a worker nap: 100,000 a second. Below that a client would notice the nap
	// sooner than the CPU.
	rush = 200
	// worth is how many packets must come in a nap for it to have been worth it. Clients that ask only once they are
	// answered send no more than they have under way: whoever waits for them waits in vain.
	worth = 8
)

// pace tells whether so many packets come to a worker that it should nap.
type pace struct {
	began   time.Time // the turn
	packets int       // in it
	rushed  bool      // it should
}

// over reports whether the turn is.
func (p *pace) over() bool { return time.Since(p.began) >= turnTime }

// turn ends the turn if it is over, and begins the next.
func (p *pace) turn() {
	took := time.Since(p.began)
	if took < turnTime {
		return
	}
	p.rushed = time.Duration(p.packets)*turnTime >= rush*took
	p.began, p.packets = p.began.Add(took), 0
}

// napped takes in how many packets have come in a nap.
func (p *pace) napped(n int) {
	p.packets += n
	p.rushed = n >= worth
}

package lane

import "time"

const (
	// napTime is how long a worker lets packets gather, at least: the system may take 50 us more. To be called for a
	// packet, and to call its client, costs as much as three answers, and with naps that is done for ever more of them at
	// a time: the more there are, the less each one costs.
	napTime = 100 * time.Microsecond
	// turnTime is how long a worker that naps goes without waiting together with all others, in the runtime's poller,
	// which looks after their connections then.
	turnTime = 2 * time.Millisecond
	// rush is how many packets in a turnTime make a worker nap: 100,000 a second. Below that a client would notice the nap
	// sooner than the CPU.
	rush = 200
	// worth is how many packets must come in a nap for it to have been worth it.
	worth = 8
	// poorTurns is after how many turns in a row with naps and with clearly fewer packets a worker does without naps, and
	// awakeTurns for how many. Clients that ask only once they are answered send no more than they have under way.
	poorTurns, awakeTurns = 2, 32
)

// pace tells whether so many packets come to a worker that it should nap.
type pace struct {
	rushed bool // it should

	began   time.Time // the turn
	packets int       // in it
	naps    int       // in it

	usual int // packets in a turnTime without naps, when that was last seen
	poor  int // turns in a row with naps and with clearly fewer
	awake int // turns to come without naps
}

// over reports whether the turn is, late whether it has been for as long: there were packets all the time.
func (p *pace) over() bool { return time.Since(p.began) >= turnTime }
func (p *pace) late() bool { return time.Since(p.began) >= 2*turnTime }

// napped takes in how many packets have come in a nap.
func (p *pace) napped(n int) {
	p.naps++
	p.packets += n
	p.rushed = n >= worth
}

// turn ends the turn if it is over, and begins the next.
func (p *pace) turn() {
	took := time.Since(p.began)
	if took < turnTime {
		return
	}
	packets := int(time.Duration(p.packets) * turnTime / took)
	p.judge(packets)
	p.rushed = packets >= rush && p.awake == 0
	p.began, p.packets, p.naps = p.began.Add(took), 0, 0
}

// judge takes in how many packets a turn had in a turnTime.
func (p *pace) judge(packets int) {
	switch {
	case p.naps == 0:
		p.usual, p.poor, p.awake = packets, 0, max(0, p.awake-1)
	case packets >= p.usual*3/4:
		p.poor = 0
	default:
		if p.poor++; p.poor >= poorTurns {
			p.poor, p.awake = 0, awakeTurns
		}
	}
}

package lane

import "time"

// A worker that many packets come to waits for them in other ways than one with few. Each of these has the CPU to itself
// for a moment, so that it can't be the way for long:
//
//   - It waits in the system call that reads. The kernel then calls it for the first packet alone.
//   - It naps, packets or not. To be called, and to call a client that waits for its answer, costs as much as three
//     answers. With naps that is done for more of them at a time. But clients that ask only once they are answered may
//     send all they can and then wait for the nap to end: whether it pays is tried.
const (
	// napTime is how long a nap is, at least: the system may take 50 us more.
	napTime = 100 * time.Microsecond
	// patience is how long a worker waits in a system call. The kernel makes it a tick of its clock, 4 ms at most where
	// that is the usual one.
	patience = time.Millisecond
	// turnTime is how long a worker goes without waiting together with all others, in the runtime's poller, which looks
	// after their connections then.
	turnTime = 2 * time.Millisecond
	// rush is how many packets in a turnTime make a worker wait in other ways than the poller, 32,000 a second, and napRush
	// how many make it nap, 100,000 a second: below that a client would notice the nap sooner than the CPU.
	rush    = 64
	napRush = 200
	// trialTurns is for how many turns naps are tried, and their absence before; stayTurns for how many the better one is
	// kept.
	trialTurns = 16
	stayTurns  = 128
)

// phase is what a worker in a rush does about naps.
type phase int

const (
	awake   phase = iota // sees what comes without
	trying               // sees what comes with them
	staying              // goes by what it has seen
)

// pace tells how a worker should wait.
type pace struct {
	rushed bool // not in the poller
	naps   bool

	began   time.Time // the turn
	packets int       // in it

	phase phase
	turns int // of the phase, that have been
	sum   int // of packets in these
	usual int // the sum of the last phase awake
	pays  bool
}

// turn ends the turn if it is over, and begins the next.
func (p *pace) turn() {
	took := time.Since(p.began)
	if took < turnTime {
		return
	}
	packets := int(time.Duration(p.packets) * turnTime / took)
	p.began, p.packets = p.began.Add(took), 0
	p.rushed = packets >= rush
	if packets < napRush {
		p.naps, p.phase, p.turns, p.sum = false, awake, 0, 0
		return
	}
	p.turns++
	p.sum += packets
	p.next()
	p.naps = p.phase == trying || p.phase == staying && p.pays
}

// next begins the next phase if this one is over.
func (p *pace) next() {
	switch {
	case p.phase == awake && p.turns == trialTurns:
		p.phase, p.usual = trying, p.sum
	case p.phase == trying && p.turns == trialTurns:
		p.phase, p.pays = staying, p.sum >= p.usual*9/10
	case p.phase == staying && p.turns == stayTurns:
		p.phase = awake
	default:
		return
	}
	p.turns, p.sum = 0, 0
}

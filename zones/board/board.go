// Package board turns the verdicts of probes and the operator's orders into immutable snapshots.
//
// It does no I/O and reads no clock but through the timers of [Board.Run]: every verdict carries its time.
package board

import (
	"context"
	"net/netip"
	"time"

	"plexha/zones"
)

// Config says how a board judges.
type Config struct {
	Cluster  *zones.Cluster
	Rise     int           // good verdicts in a row to come back, 1 or more
	Fall     int           // failed verdicts in a row to go down, 1 or more
	Interval time.Duration // of the probes; with Timeout the span of verdicts that an isolation takes back
	Timeout  time.Duration
	Canary   bool // a canary is asked before a verdict that would leave nothing up
	NoProbe  bool // nodes are not asked: each counts as up as soon as an address is known
}

// Board judges verdicts and publishes snapshots. All methods may be called at once from several goroutines.
type Board struct{}

// New returns a board on which nothing is known yet.
func New(cfg Config, now time.Time) *Board { panic("later") }

// Seed takes over what old knew of the subjects that are the same here: same kind, name, HOST:PORT.
func (b *Board) Seed(old *zones.Snapshot, now time.Time) { panic("later") }

// Report judges one verdict and returns the state that the verdict's address is in now. A caller probes
// faster while that is in doubt ([zones.State.InDoubt]).
func (b *Board) Report(v Verdict) zones.State { panic("later") }

// SetAddrs says which addresses a subject has now. What is known of an address that stays is kept; a new
// one starts unknown. An empty list is ignored: the last good addresses are kept.
func (b *Board) SetAddrs(s zones.Subject, addrs []netip.Addr, now time.Time) { panic("later") }

// SetFound says which nodes the `nodes` line of that name has found, in order.
func (b *Board) SetFound(group string, nodes []zones.Node, now time.Time) { panic("later") }

// Snapshot returns the newest snapshot. It never waits.
func (b *Board) Snapshot() *zones.Snapshot { panic("later") }

// Canary returns a channel that gets a value whenever the canary must be asked now.
func (b *Board) Canary() <-chan struct{} { panic("later") }

// CanaryResult says whether the canary answered.
func (b *Board) CanaryResult(ok bool, now time.Time) { panic("later") }

// Subscribe returns a channel that holds a value whenever a snapshot has come that the subscriber has not
// been told of, and a function that ends the subscription. A slow subscriber sees the newest only.
func (b *Board) Subscribe() (news <-chan struct{}, cancel func()) { panic("later") }

// Run publishes what was held back to be published together, ends orders that expire, and asks for the
// canary while isolated, until ctx ends.
func (b *Board) Run(ctx context.Context) error { panic("later") }

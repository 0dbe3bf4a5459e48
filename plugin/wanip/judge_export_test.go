package wanip

import (
	"context"
	"net/netip"
	"time"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/zones"
)

// Memory is one family as it is judged by hand.
type Memory struct{ memory }

// NewMemory remembers what is known, and that these sources told it last.
func NewMemory(known Known, voices ...string) Memory {
	return Memory{memory{known: known, voices: voices}}
}

var actionWords = map[action]string{keep: "keep", askAll: "ask all", askAgain: "ask again", adopt: "adopt"}

func (m *Memory) Judge(findings []Finding, alone bool, now time.Time) string {
	var act action
	m.memory, act = m.judge(findings, alone, now)
	return actionWords[act]
}

func (m *Memory) Hear(f Finding, now time.Time) string {
	var act action
	m.memory, act = m.hear(f, now)
	return actionWords[act]
}

func (m *Memory) Known() Known { return m.known }
func (m *Memory) Agree() bool  { return m.agree }

// Diagnose returns the texts of the troubles.
func (m *Memory) Diagnose(findings []Finding, f zones.Family, expected bool) []string {
	var out []string
	for _, t := range m.diagnose(findings, f, expected) {
		out = append(out, t.text)
	}
	return out
}

// Refuse says why a block does not believe an address.
func Refuse(cfg *corefile.Config, a netip.Addr, f zones.Family) string {
	return New(Options{Config: cfg}).rules.refuse(a, f)
}

// Offer is what the addresses of an uplink are put together from.
type Offer struct {
	Uplink     corefile.UplinkDetect
	Given      []netip.Addr
	IPv4, IPv6 netip.Addr
	Proxy      bool
}

func (o Offer) Publish() (addrs []netip.Addr, noIPv6 string) {
	return offer{o.Uplink, o.Given, o.IPv4, o.IPv6, o.Proxy}.publish()
}

var IsProxy = isProxy

// Talker says troubles by hand: one topic has one text.
type Talker struct{ talker }

func NewTalker() Talker { return Talker{newTalker(nil, time.Time{})} }

func (t Talker) Tell(text string, now time.Time) (begins, ends []string, later bool) {
	if text == "" {
		return t.tell(nil, now)
	}
	return t.tell([]trouble{{unconfirmed, text}}, now)
}

// HostingIPv6 replaces what this host says of its own IPv6 address.
func (o Options) HostingIPv6(a string) Options {
	return o.HostedBy(func(via.Path) (netip.Addr, error) {
		if a == "" {
			return netip.Addr{}, ErrNothing
		}
		return netip.MustParseAddr(a), nil
	})
}

// HostedBy does so, knowing the path.
func (o Options) HostedBy(hostIPv6 func(via.Path) (netip.Addr, error)) Options {
	o.hostIPv6 = hostIPv6
	return o
}

// Following replaces the kernel's events.
func (o Options) Following(events <-chan struct{}) Options {
	o.follow = func(ctx context.Context, changed func()) error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-events:
				changed()
			}
		}
	}
	return o
}

// Steadily replaces chance by nothing.
func (o Options) Steadily() Options {
	o.jitter = func(d time.Duration) time.Duration { return d }
	return o
}

// Clocked replaces the clock on the wall.
func (o Options) Clocked(wall func() time.Time) Options {
	o.wall = wall
	return o
}

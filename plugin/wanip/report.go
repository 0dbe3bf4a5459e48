package wanip

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"plexha/zones"
)

// Result is what came of one question, for metrics.
type Result uint8

// The results.
const (
	Same    Result = iota // the address that is known
	Other                 // another one
	Refused               // one that cannot be the external address
	Nothing               // there is none of that family
	Failed                // no answer, or none that could be understood
)

var resultNames = [...]string{"same", "other", "refused", "nothing", "error"}

// String returns the result's word in metrics.
func (r Result) String() string { return resultNames[r] }

// Observation is one question that was answered, or was not.
type Observation struct {
	Uplink string
	Source string
	Family zones.Family
	Result Result
	Took   time.Duration
}

// result says what a finding means to one who knows an address.
func (f Finding) result(known netip.Addr) Result {
	switch {
	case errors.Is(f.Err, ErrNothing):
		return Nothing
	case f.Err != nil:
		return Failed
	case f.Refused != "":
		return Refused
	case f.Addr == known:
		return Same
	default:
		return Other
	}
}

// Log is where messages go. A nil member drops its own.
type Log struct {
	Info    func(msg string)
	Warning func(msg string)
}

func (l Log) orSilent() Log {
	if l.Info == nil {
		l.Info = func(string) {}
	}
	if l.Warning == nil {
		l.Warning = func(string) {}
	}
	return l
}

// Of returns what the report says of one family.
func (r Report) Of(f zones.Family) FamilyReport { return *r.family(f) }

func (r *Report) family(f zones.Family) *FamilyReport {
	if f == zones.IPv6 {
		return &r.IPv6
	}
	return &r.IPv4
}

// confirms reports whether an address that is published was found, or told again, in this process.
func (r *Report) confirms(a netip.Addr) bool {
	return slices.Contains(r.Published, a) && !r.family(zones.FamilyOf(a)).Known.Confirmed.IsZero()
}

func troubleText(troubles []trouble) string {
	var texts []string
	for _, t := range troubles {
		texts = append(texts, t.text)
	}
	return strings.Join(texts, "; ")
}

// quiet is how long nothing more is said of a topic after something was.
const quiet = time.Hour

// talker says each trouble once, when it has lasted for a while, and when it is over. One that comes and goes is
// heard of once an hour.
type talker struct{ topics map[topic]*talk }

type talk struct {
	began time.Time // when the trouble did; the zero Time: there is none
	seen  time.Time // when it last was there
	told  bool      // that it is there
	last  time.Time // when something was said
}

// newTalker returns a talker who has told of these topics already.
func newTalker(told []string, now time.Time) talker {
	t := talker{map[topic]*talk{}}
	for _, about := range told {
		t.topics[topic(about)] = &talk{began: now, seen: now, told: true, last: now}
	}
	return t
}

// told returns the topics that were told and are not over.
func (t talker) told() []string {
	var out []string
	for about, k := range t.topics {
		if k.told {
			out = append(out, string(about))
		}
	}
	slices.Sort(out)
	return out
}

// tell returns what is to be said of the troubles that there are, and whether some are left to be told later.
func (t talker) tell(troubles []trouble, now time.Time) (begins, ends []string, later bool) {
	for _, o := range troubles {
		k := t.topics[o.topic]
		if k == nil {
			k = &talk{}
			t.topics[o.topic] = k
		}
		if k.begins(o.topic, now) {
			begins = append(begins, o.text)
		}
		later = later || !k.told
	}
	for about, k := range t.topics {
		if k.seen != now && k.ends(about, now) {
			ends = append(ends, string(about))
		}
	}
	slices.Sort(ends)
	return begins, ends, later
}

// begins takes note that the trouble is there, and reports whether it is time to say so.
func (k *talk) begins(about topic, now time.Time) bool {
	if k.began.IsZero() {
		k.began = now
	}
	k.seen = now
	lately := !k.last.IsZero() && now.Sub(k.last) < quiet
	if k.told || lately || now.Sub(k.began) < about.lasting() {
		return false
	}
	k.told, k.last = true, now
	return true
}

// ends takes note that the trouble is not there, and reports whether it is time to say so.
func (k *talk) ends(about topic, now time.Time) bool {
	if k.told && now.Sub(k.seen) < about.over() {
		return false
	}
	told := k.told
	k.began, k.told = time.Time{}, false
	if told {
		k.last = now
	}
	return told
}

// changed says that an address was found, for the log.
func changed(f zones.Family, before, after Known) string {
	text := fmt.Sprintf("its %s address is %s (%s)", familyWord(f), after.Addr, strings.Join(after.By, ", "))
	if before.Addr.IsValid() {
		text += fmt.Sprintf("; it was %s", before.Addr)
	}
	return text
}

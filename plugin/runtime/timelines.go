package runtime

import (
	"slices"

	"plexha/zones/timeline"
)

var (
	timelines = map[string]*timeline.Timeline{} // by zone; guarded by mu
	unwise    []string                          // what was said of the last Corefile; guarded by mu
	refusal   error                             // why the last Corefile was refused; guarded by mu
)

// Timeline returns what has happened to a zone in this process.
func Timeline(zone string) *timeline.Timeline {
	mu.Lock()
	defer mu.Unlock()
	t := timelines[zone]
	if t == nil {
		t = &timeline.Timeline{}
		timelines[zone] = t
	}
	return t
}

// Unsaid returns which of the things that can be said of a Corefile were not said of the one before it: a reload
// repeats nothing.
func Unsaid(all []string) []string {
	mu.Lock()
	defer mu.Unlock()
	said := unwise
	unwise = slices.Clone(all)
	return slices.DeleteFunc(slices.Clone(all), func(text string) bool { return slices.Contains(said, text) })
}

// Refuse takes note of why a Corefile is refused, which CoreDNS does not tell the instance that goes on.
func Refuse(why error) {
	mu.Lock()
	defer mu.Unlock()
	refusal = why
}

// Refusal returns why the last Corefile was refused; nil: we have not refused it.
func Refusal() error {
	mu.Lock()
	defer mu.Unlock()
	return refusal
}

package duckdns

import "time"

// Log is where the worker's lines go. Those for which there is no function are not written.
type Log struct {
	Debug   func(string) // for those who look for it
	Info    func(string) // worth to be known later
	Warning func(string) // somebody should look at it
	Error   func(string) // something that was asked for is not done, and only the operator can help
}

type level uint8

const (
	debug level = iota
	info
	warning
	severe
)

// repeatAfter is when a line that still says the same may be said again.
const repeatAfter = time.Hour

// teller says nothing twice within an hour, unless it has said something else on the topic in between. It is for
// one goroutine.
type teller struct {
	to   [severe + 1]func(string)
	said map[string]saying // by topic
}

// saying is what was last said on a topic.
type saying struct {
	text string
	at   time.Time
	on   bool // of what begins and ends: it has begun
	told bool // and the log says so
}

func newTeller(l Log) *teller {
	t := &teller{to: [severe + 1]func(string){l.Debug, l.Info, l.Warning, l.Error}, said: map[string]saying{}}
	for i := range t.to {
		if t.to[i] == nil {
			t.to[i] = func(string) {}
		}
	}
	return t
}

// say writes a line.
func (t *teller) say(topic string, l level, text string) {
	if last, ok := t.said[topic]; ok && text == last.text && time.Since(last.at) < repeatAfter {
		return
	}
	t.said[topic] = saying{text: text, at: time.Now()}
	t.to[l](text)
}

// forget lets a line on the topic be said again: what it was about has ended.
func (t *teller) forget(topic string) { delete(t.said, topic) }

// begins writes a line about something that goes on, once until it ends.
func (t *teller) begins(topic string, l level, text string) {
	last, ok := t.said[topic]
	if last.on {
		return
	}
	last.on, last.told = true, !ok || time.Since(last.at) >= repeatAfter
	if last.told {
		last.at = time.Now()
		t.to[l](text)
	}
	t.said[topic] = last
}

// ends writes a line about the end of something whose begin was told.
func (t *teller) ends(topic string, l level, text string) {
	last := t.said[topic]
	if !last.on {
		return
	}
	if last.told {
		t.to[l](text)
	}
	last.on = false
	t.said[topic] = last
}

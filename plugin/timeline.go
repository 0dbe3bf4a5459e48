package plugin

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"plexha/plugin/duckdns"
	"plexha/plugin/runtime"
	"plexha/zones"
	"plexha/zones/timeline"
)

// serves tells that the block's instance has come to serve.
func (p *Plex) serves(how string) {
	p.happened(timeline.Event{
		At: time.Now(), Level: timeline.Info, Kind: timeline.Configuration,
		Text: fmt.Sprintf("%s is %s by plexdns %s", filepath.Base(p.cfg.File), how, Version),
	})
}

// stays tells that another instance was to replace the block's, and could not.
func (p *Plex) stays() {
	select {
	case <-p.stopped:
		return // another one has replaced it meanwhile
	default:
	}
	e := timeline.Event{
		At: time.Now(), Level: timeline.Error, Kind: timeline.Configuration,
		Text: "the changed Corefile is refused, the one before goes on: the log says why",
	}
	if why := runtime.Refusal(); why != nil {
		first, rest, _ := strings.Cut(why.Error(), "\n")
		e.Text = "the changed Corefile is refused, the one before goes on: " + shortened(first)
		if rest != "" {
			e.Text += fmt.Sprintf(" (and %d more)", strings.Count(rest, "\n")+1)
		}
	}
	p.happened(e)
}

// shortened returns a text that a row of a table can hold; the log has all of it.
func shortened(text string) string {
	const most = 160 // characters
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "..."
	}
	return text
}

// duckTold returns what tells the timeline of each report on DuckDNS.
func (p *Plex) duckTold() func(duckdns.Report) {
	began := time.Now()
	var before duckdns.Report
	if old, ok := runtime.Latest(p.zone()).(*Plex); ok && old.duck != nil {
		before = *old.DuckDNS()
	}
	return func(r duckdns.Report) {
		p.happened(duckEvents(before, r, began, time.Now())...)
		before = r
		p.shown.tell()
	}
}

// duckEvents returns what is new in a report. What was published before began is not.
func duckEvents(before, now duckdns.Report, began, at time.Time) []timeline.Event {
	var out []timeline.Event
	say := func(level timeline.Level, format string, args ...any) {
		text := now.Name + ": " + fmt.Sprintf(format, args...)
		out = append(out, timeline.Event{At: at, Level: level, Kind: timeline.DuckDNS, Text: text})
	}
	switch {
	case before.Token == "" && now.Token != "":
		say(timeline.Error, "there is no token to tell DuckDNS anything with: %s", now.Token)
	case before.Token != "" && now.Token == "":
		say(timeline.Info, "there is a token again")
	}
	for _, f := range zones.Families() {
		if was, is := before.Of(f), now.Of(f); !is.Off {
			pushEvent(recordOf(f), was, is, began, say)
			sightEvent(recordOf(f), was, is, say)
		}
	}
	return out
}

// recordOf is how a family's record is called.
func recordOf(f zones.Family) string {
	if f == zones.IPv6 {
		return "AAAA"
	}
	return "A"
}

type sayer func(level timeline.Level, format string, args ...any)

// pushEvent tells what came of updates. That DuckDNS has taken again what it had is no news, unless it had refused it.
func pushEvent(record string, was, is duckdns.FamilyReport, began time.Time, say sayer) {
	failed, fails := !was.FailingSince.IsZero(), !is.FailingSince.IsZero()
	pushed := is.PublishedAt.After(was.PublishedAt) && !is.PublishedAt.Before(began)
	switch {
	case was.RefusedSince.IsZero() && !is.RefusedSince.IsZero():
		say(timeline.Error, "DuckDNS refuses to set %s to %s: %s", record, is.Wanted, is.Error)
	case fails && !failed:
		say(timeline.Warning, "DuckDNS cannot be told that %s is %s: %s; it is tried again", record, is.Wanted, is.Error)
	case pushed && (is.Published != was.Published || is.Changed || failed):
		say(timeline.Info, "%s is %s%s", record, is.Published, noLonger(was.Published, is.Published))
	case failed && !fails && !pushed:
		say(timeline.Info, "%s needs no update any more", record)
	}
}

func noLonger(was, is netip.Addr) string {
	if !was.IsValid() || was == is {
		return ""
	}
	return ", no longer " + was.String()
}

// sightEvent tells whether DuckDNS's name servers show what they should.
func sightEvent(record string, was, is duckdns.FamilyReport, say sayer) {
	switch drifted, drifts := !was.Since.IsZero(), !is.Since.IsZero(); {
	case drifts && !drifted:
		say(timeline.Warning, "%s should be %s, but DuckDNS's name servers show %s", record, is.Published, addrsText(is.Other))
	case drifted && !drifts:
		say(timeline.Info, "DuckDNS's name servers show the right %s again", record)
	}
}

func addrsText(addrs []netip.Addr) string {
	var out []string
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return strings.Join(out, " ")
}

package duckdns

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"plexha/corefile"
	"plexha/zones"
)

// tellAfter is how long something must have failed before the log says so: what lasts shorter needs nobody.
const tellAfter = 10 * time.Minute

// recordType is how a family's record is called.
func recordType(f zones.Family) string {
	if f == zones.IPv6 {
		return "AAAA"
	}
	return "A"
}

// topic is what a line is about: something of one record.
func (k *keeper) topic(what string) string { return recordType(k.family) + " " + what }

// sayTaken tells of a push that DuckDNS took. That it has taken what it had been told before is no news, unless
// pushes had failed.
func (w *Worker) sayTaken(k *keeper, before record) {
	r := k.record
	text := fmt.Sprintf("%s: %s is %s, of uplink %s", w.name, recordType(k.family), r.Published, r.Uplink)
	switch {
	case before.Published.IsValid() && before.Published != r.Published:
		text += ", no longer " + before.Published.String()
	case !r.Changed:
		text += ", as it was"
	}
	if before.Told {
		text += fmt.Sprintf("; DuckDNS takes updates again, after %s", since(before.FailingSince))
		w.alerted = false
		w.log.forget("ko")
	}
	if r.Published == before.Published && !before.Told {
		w.log.to[debug](text)
		return
	}
	w.log.say(k.topic("is"), info, text)
}

// sayFailed tells of a push that failed: at once if it is KO, which only the operator can mend, and if there was
// never a good one, since who sets something up reads the log then. All others have their time, see complain.
func (w *Worker) sayFailed(k *keeper, err error) {
	r := &k.record
	text := fmt.Sprintf("%s: %s: %v", w.name, recordType(k.family), err)
	switch ko := errors.Is(err, ErrRefused); {
	case ko && !w.alerted:
		w.alerted, r.Told = true, true
		w.log.say("ko", severe, w.alert(text, r.TriedAddr))
	case !ko && !r.Published.IsValid() && !r.Told:
		r.Told = true
		w.log.say(k.topic("fails"), warning, text+"; it is tried again and again")
	default:
		w.log.to[debug](text + "; next at " + r.Retry.UTC().Format(time.RFC3339))
	}
}

// alert says what the operator should look at after a KO.
func (w *Worker) alert(text string, sent netip.Addr) string {
	return fmt.Sprintf(
		"%s. It says no more than KO, so check that the token %s is that of the account at www.duckdns.org, that %q is"+
			" one of the domains there, and that %s is right. It is tried again more and more seldom, and as soon as the"+
			" token changes", text, place(w.o.Config), w.o.Config.Name, sent)
}

// place says where the operator has put the token.
func place(cfg *corefile.DuckDNS) string {
	switch {
	case cfg.TokenFile != "":
		return "in " + cfg.TokenFile
	case cfg.Credential != "":
		return "in the credential " + cfg.Credential
	default:
		return "in the Corefile"
	}
}

// complain tells once of pushes that have failed for long. It returns when that will be; zero: there is nothing
// to tell.
func (w *Worker) complain(k *keeper) time.Time {
	r := &k.record
	if r.FailingSince.IsZero() || r.Told || k.plan.why == "" {
		return time.Time{}
	}
	if at := r.FailingSince.Add(tellAfter); at.After(time.Now()) {
		return at
	}
	r.Told, w.unsaved = true, true
	w.log.say(k.topic("fails"), warning, fmt.Sprintf(
		"%s: %s should be %s, but DuckDNS has taken no update for %s: %s; it is tried again and again",
		w.name, recordType(k.family), k.plan.wanted.Addr, since(r.FailingSince), r.Error))
	return time.Time{}
}

// saySeen tells what a look has shown that is news.
func (w *Worker) saySeen(k *keeper, before sight, was record) {
	s, r := k.sight, k.record
	about := fmt.Sprintf("%s: %s", w.name, recordType(k.family))
	if s.last.view == Verified && !before.pushed.IsZero() {
		text := fmt.Sprintf("%s %s is verified after %s, by %d of %d name servers of DuckDNS",
			about, r.Published, since(before.pushed), r.By, r.Of)
		if was.Verified.IsZero() {
			w.log.say(k.topic("verified"), info, text)
		} else {
			w.log.to[debug](text)
		}
	}
	switch {
	case s.last.view == Verified:
		w.log.ends(k.topic("drift"), debug, about+" is as it should be again")
	case s.drifted():
		w.log.begins(k.topic("drift"), warning, about+driftText(s, was, k.family)+k.stale())
	}
	if why := s.last.intercepted(); why != "" {
		w.log.begins("intercepted", warning, fmt.Sprintf(
			"%s cannot be verified: somebody answers for the name servers of DuckDNS: %s. Is port 53 redirected?", w.name, why))
	} else if s.last.view != Unreachable {
		w.log.ends("intercepted", info, w.name+": nobody answers for the name servers of DuckDNS any more")
	}
	switch {
	case s.silent.IsZero():
		w.log.ends(k.topic("silent"), info, about+" can be verified again")
	case r.Published.IsValid() && time.Since(s.silent) >= tellAfter:
		w.log.begins(k.topic("silent"), info, fmt.Sprintf("%s cannot be verified: %s", about, s.last.why))
	}
}

// driftText says that a record is not what was pushed: somebody else has set it, or DuckDNS has not.
func driftText(s sight, r record, f zones.Family) string {
	if !r.Published.IsValid() {
		return fmt.Sprintf(" is %s at DuckDNS, which plexdns has not set and has no %s address to put there: clients"+
			" outside are led there all the same, until `plexctl duckdns clear` takes the records of both families away",
			text(s.other), f)
	}
	if r.Verified.IsZero() {
		return fmt.Sprintf(" should be %s, which DuckDNS took %s ago, but all its name servers show %s; it is told again",
			r.Published, since(r.PublishedAt), text(s.other))
	}
	return fmt.Sprintf(" should be %s, but all name servers of DuckDNS show %s; it is set again. Does another program set it?",
		r.Published, text(s.other))
}

// stale says why a record is not set again at once, if it is not.
func (k *keeper) stale() string {
	seen := k.plan.wanted.Seen
	if !k.plan.wanted.unseenSince(k.sight.since) {
		return ""
	}
	return fmt.Sprintf(" But not before a source tells that %s is still our address: none has since %s",
		k.plan.wanted.Addr, seen.UTC().Format(time.RFC3339))
}

// since is how long ago a time was, as a person says it.
func since(t time.Time) time.Duration {
	d := time.Since(t)
	if d > time.Minute {
		return d.Round(time.Second)
	}
	return d.Round(time.Millisecond)
}

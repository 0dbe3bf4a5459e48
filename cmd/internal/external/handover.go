package external

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"plexha/cmd/internal/socket"
	"plexha/plugin/status"
	"plexha/zones"
)

// How long plexdns is given, and how often it is asked whether it is done.
const (
	detectTime = 15 * time.Second // two rounds of 5 s, with 5 s between them
	pushTime   = 60 * time.Second // a push and a look for each family
	askEvery   = 250 * time.Millisecond
)

var errTooLong = errors.New("plexdns takes too long: see its log")

// handOver has the plexdns that runs with that socket do it, and shows what came of it. The error is
// [socket.ErrNone] if none does.
func handOver(ctx context.Context, c socket.Client, zone string, p *page) error {
	d, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if clusterOf(d, zone) == nil {
		return fmt.Errorf("the plexdns that runs here does not serve %s: give the Corefile that it reads with -conf FILE", zone)
	}
	p.printf("a plexdns runs here, and is asked to do it\n")
	if err := redetect(ctx, c, d, zone); err != nil {
		return err
	}
	begin := time.Now()
	if err := c.Push(ctx, zone); err != nil {
		return err
	}
	done := func(k *status.Cluster) bool {
		return k.DuckDNS != nil && !k.DuckDNS.Waiting && k.DuckDNS.At.After(begin)
	}
	k, err := await(ctx, c, zone, pushTime, done)
	if err != nil {
		return err
	}
	return tell(k.DuckDNS, p)
}

// redetect has plexdns ask all sources again, if there is an address to find. Another one than before is believed
// after a second round. What is not by then is not waited for: the record that is wanted tells.
func redetect(ctx context.Context, c socket.Client, d *status.Document, zone string) error {
	found := func(u status.Uplink) bool { return u.External != nil }
	if !slices.ContainsFunc(clusterOf(d, zone).Uplinks, found) {
		return nil
	}
	begin := time.Now()
	if err := c.Detect(ctx, zone); err != nil {
		return err
	}
	_, err := await(ctx, c, zone, detectTime, func(k *status.Cluster) bool {
		return !slices.ContainsFunc(k.Uplinks, func(u status.Uplink) bool { return found(u) && !settled(u.External, begin) })
	})
	if errors.Is(err, errTooLong) {
		return nil
	}
	return err
}

// settled reports whether all sources have been asked since, and no address that they tell waits to be believed.
func settled(e *status.External, begin time.Time) bool {
	return e.At.After(begin) && !isWaiting(e.IPv4) && !isWaiting(e.IPv6)
}

// isWaiting reports whether all that the sources tell is another address than the one that is known.
func isWaiting(f status.Family) bool {
	told := func(f status.Finding) bool { return f.Address.IsValid() && f.Refused == "" }
	known := func(o status.Finding) bool { return told(o) && o.Address == f.Address }
	return slices.ContainsFunc(f.Findings, told) && !slices.ContainsFunc(f.Findings, known)
}

// await asks plexdns about a zone until it is done. The error is errTooLong if that takes longer than the limit.
func await(
	ctx context.Context, c socket.Client, zone string, limit time.Duration, done func(*status.Cluster) bool,
) (*status.Cluster, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer cancel()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		d, err := c.Status(ctx)
		if err != nil && ctx.Err() == nil {
			return nil, err
		}
		if k := clusterOf(d, zone); k != nil && done(k) {
			return k, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

func clusterOf(d *status.Document, zone string) *status.Cluster {
	if d == nil {
		return nil
	}
	for i := range d.Clusters {
		if d.Clusters[i].Zone == zone {
			return &d.Clusters[i]
		}
	}
	return nil
}

// tell shows how the records are. The error says which of them are not as they should be, or that none can be.
func tell(d *status.DuckDNS, p *page) error {
	var errs []error
	known := false
	for _, r := range []struct {
		family zones.Family
		*status.Record
	}{{zones.IPv4, d.IPv4}, {zones.IPv6, d.IPv6}} {
		if r.Record == nil {
			continue
		}
		known = known || r.Wanted.IsValid() || r.Published.IsValid()
		sentence, err := outcome(r.Record)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", r.family, err))
			continue
		}
		p.printf("%s: %s\n", r.family, sentence)
	}
	if d.Trouble != "" {
		errs = append(errs, errors.New(d.Trouble))
	}
	if !known && errs == nil {
		return errNoAddress(d.Name)
	}
	return errors.Join(errs...)
}

// outcome says in a sentence how a record is.
func outcome(r *status.Record) (string, error) {
	switch {
	case r.Error != "":
		again := ""
		if !r.NextPush.IsZero() {
			again = fmt.Sprintf(": %s will be pushed at %s", r.Wanted, clock(r.NextPush))
		}
		return "", fmt.Errorf("%s%s", r.Error, again)
	case !r.Wanted.IsValid() && !r.Published.IsValid():
		return "nothing to push: no address that can be believed is known", nil
	case !r.NextPush.IsZero() && r.Wanted != r.Published:
		return fmt.Sprintf("%s will be pushed at %s", r.Wanted, clock(r.NextPush)), nil
	}
	answer := "NOCHANGE"
	if r.Changed {
		answer = "UPDATED"
	}
	text := fmt.Sprintf("DuckDNS took %s at %s (%s)", r.Published, clock(r.PublishedAt), answer)
	if !r.Verified.IsZero() && !r.Verified.Before(r.PublishedAt) {
		text += fmt.Sprintf("; at %s %d of %d name servers showed it", clock(r.Verified), r.By, r.Of)
	}
	return text, nil
}

// clock shows a time as a person here reads it.
func clock(t time.Time) string { return t.Local().Format(time.DateTime) }

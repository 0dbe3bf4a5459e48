// Package duckdns keeps the record of a DuckDNS domain equal to the external address, and verifies it.
package duckdns

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"plexha/plugin/resolve"
	"plexha/zones"
)

// Candidate is an address that the record may hold: one of an uplink, in order of preference.
type Candidate struct {
	Uplink    string
	Addr      netip.Addr
	Up        bool
	Since     time.Time // when Up last changed
	Confirmed bool      // found or confirmed in this process, or given in the Corefile: it may be pushed
	Seen      time.Time // when somebody last confirmed it; zero: it needs nobody to
}

// Publisher tells DuckDNS an address.
type Publisher interface {
	// Publish sets the record of the address's family. No error holds the token. What DuckDNS has answered is
	// told by [ErrRefused], [ErrEcho], [ErrForeign] and [*StatusError]; all others are the network's.
	Publish(ctx context.Context, addr netip.Addr) (Reply, error)
}

// Reply is what DuckDNS has answered to an update that it took.
type Reply struct {
	Changed bool // UPDATED; false: NOCHANGE, it had that address already
}

// What can be wrong with an answer.
var (
	// ErrRefused is KO, which DuckDNS says to a wrong token, a name that is not the account's and an address
	// that it does not understand alike.
	ErrRefused = errors.New("DuckDNS refused the update")
	// ErrEcho is an OK that repeats another address than the one that was sent.
	ErrEcho = errors.New("DuckDNS's answer repeats another address than the one that was sent")
	// ErrForeign is an answer with status 200 that is not DuckDNS's: a page of somebody on the way.
	ErrForeign = errors.New("the answer is neither DuckDNS's OK nor its KO")
)

// ErrNotAuthoritative is a [Shown.Err]: an answer that no name server of DuckDNS gives, from somebody on the way.
var ErrNotAuthoritative = errors.New("the answer is not authoritative")

// StatusError is an answer with another status than 200.
type StatusError struct {
	Status     int
	RetryAfter time.Duration // as the answer asks for; 0: it does not
}

// Error implements error.
func (e *StatusError) Error() string {
	return fmt.Sprintf("DuckDNS answers %d %s", e.Status, http.StatusText(e.Status))
}

// Verifier looks at the record that DuckDNS's name servers show.
type Verifier interface {
	// Look asks all of them at once. The error says why none is known.
	Look(ctx context.Context, f zones.Family) ([]Shown, error)
}

// Shown is what one name server shows.
type Shown struct {
	Server resolve.NameServer
	Addrs  []netip.Addr // nil without Err: it has no record of that family
	Err    error        // why it shows nothing that counts: no answer, SERVFAIL, not authoritative
}

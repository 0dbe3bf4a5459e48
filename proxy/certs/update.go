package certs

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/libdns/duckdns"
	"github.com/libdns/libdns"
)

// What DuckDNS says instead of OK. It gives KO for a wrong token, for a domain that is not the account's and
// for one that does not exist alike.
var (
	errRefused = errors.New("DuckDNS refused: wrong token or domain")
	errForeign = errors.New("the answer is neither DuckDNS's OK nor its KO")
)

// change is what libdns does with a record.
type change func(*duckdns.Provider, context.Context, string, []libdns.Record) ([]libdns.Record, error)

// set gives the domain's TXT record a text.
func (p *Provider) set(ctx context.Context, text string) error {
	if err := p.update(ctx, (*duckdns.Provider).AppendRecords, text); err != nil {
		return fmt.Errorf("setting the TXT record of %s%s: %w", p.Domain, duckDNS, err)
	}
	return nil
}

// clear takes the domain's TXT record away, whatever its text.
func (p *Provider) clear(ctx context.Context, text string) error {
	if err := p.update(ctx, (*duckdns.Provider).DeleteRecords, text); err != nil {
		return fmt.Errorf("clearing the TXT record of %s%s: %w", p.Domain, duckDNS, err)
	}
	return nil
}

// update makes one call. The library's provider is made anew for each: its mutex would let a call wait for
// another one beyond its deadline, which is the only one that the call has.
func (p *Provider) update(ctx context.Context, do change, text string) error {
	tok, err := p.token()
	if err != nil {
		return err
	}
	timeout := time.Duration(p.Timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	api := &duckdns.Provider{APIToken: string(tok), OverrideDomain: p.Domain}
	_, err = do(api, ctx, duckDNS[1:]+".", []libdns.Record{libdns.TXT{Name: p.Domain, Text: text}})
	if err == nil {
		return nil
	}
	return explain(err, context.Cause(ctx), tok)
}

// explain says what the library's error means, without the token: it quotes the URL that it has called, and
// the answer, which may quote the URL as well.
func explain(err, cause error, tok secret) error {
	text := err.Error()
	broken, isBroken := errors.AsType[*url.Error](err)
	switch {
	case cause != nil:
		return cause
	case isBroken:
		return errors.New(tok.hide(broken.Err.Error()))
	case strings.Contains(text, "expected (OK) but got (KO)"):
		return errRefused
	case strings.Contains(text, "expected (OK) but got"):
		return errForeign
	default:
		return errors.New(tok.hide(text))
	}
}

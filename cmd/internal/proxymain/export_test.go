package proxymain

import (
	"context"
	"net/http"
	"net/netip"
)

// Run does what the arguments say.
var Run = run

// Well asks the one that answers for the program at an address whether all is well.
func Well(ctx context.Context, at netip.AddrPort) error {
	p := &program{}
	p.status.Store(&at)
	return p.well(ctx, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}})
}

package wanip

import "errors"

// What a source may say instead of an address.
var (
	// ErrNothing is no fault of the source: it, or this host, has nothing of that family.
	ErrNothing = errors.New("nothing to tell of this family")
	// ErrRedirected is an answer that the server that was asked never gives: somebody on the way takes what is
	// sent to port 53 for himself.
	ErrRedirected = errors.New("somebody else answers for it: port 53 is redirected")
)

package standin

import "slices"

// EchoFault is what is wrong with an echo, beside that it can lie; see [EchoServer.Tell].
type EchoFault string

// The faults of all echoes.
const (
	EchoFine   EchoFault = ""
	EchoSilent EchoFault = "silent" // no answer
	EchoSlow   EchoFault = "slow"   // the right answer, two seconds later
	EchoOwn    EchoFault = "own"    // its own address
	EchoFail   EchoFault = "fail"   // SERVFAIL, status 503, or whatever it is called there
	EchoJunk   EchoFault = "junk"   // something that is no address
)

// The faults of those that speak DNS.
const (
	EchoNoName   EchoFault = "nxdomain"  // as where somebody on the way answers who never heard of that name
	EchoNothing  EchoFault = "nodata"    // the name has no such record
	EchoForward  EchoFault = "forward"   // the right answer, but without authority
	EchoTruncate EchoFault = "truncated" // over UDP only that there is more
	EchoWrongID  EchoFault = "wrongid"   // an answer to something that was not asked
	EchoWrong    EchoFault = "wrongname" // and another such
	EchoSeveral  EchoFault = "several"   // the right answer beside another address
)

// The faults of those that speak HTTP.
const (
	EchoHTML     EchoFault = "html"     // the right answer within a page
	EchoRedirect EchoFault = "redirect" // to another host
	EchoReset    EchoFault = "reset"    // the connection is cut
	EchoEndless  EchoFault = "endless"  // more than anybody wants to read
)

// EchoPortal is the fault of a network that wants its terms accepted first: DNS leads to its own address, HTTP
// to its page.
const EchoPortal EchoFault = "portal"

// fits reports whether an echo can have the fault.
func (f EchoFault) fits(o EchoOptions) bool {
	_, named := echoNames[o.Kind]
	var web bool
	switch o.Kind {
	case EchoHTTPS, EchoUPnP:
		web = true
	default:
		web = named && o.Transport == OverWeb
	}
	switch {
	case slices.Contains([]EchoFault{EchoFine, EchoSilent, EchoSlow, EchoOwn, EchoFail, EchoJunk}, f):
		return true
	case f == EchoPortal:
		return web || named
	case slices.Contains([]EchoFault{EchoNoName, EchoNothing, EchoForward, EchoTruncate, EchoWrongID, EchoWrong, EchoSeveral}, f):
		return named
	case slices.Contains([]EchoFault{EchoHTML, EchoRedirect, EchoReset, EchoEndless}, f):
		return web
	default:
		return false
	}
}

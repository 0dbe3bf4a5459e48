package wanip

import (
	"net/netip"

	"plexha/corefile"
)

// HostAddr is an address of this host with its flags.
type HostAddr = hostAddr

// AddrFlags are the kernel's.
type AddrFlags = addrFlags

// The flags that matter.
const (
	Secondary      = flagSecondary
	Temporary      = flagTemporary
	DadFailed      = flagDadFailed
	Deprecated     = flagDeprecated
	Tentative      = flagTentative
	Permanent      = flagPermanent
	ManageTempAddr = flagManageTempAddr
	StablePrivacy  = flagStablePrivacy
)

// Short keeps the beginning of what a command prints.
type Short = short

// Kept returns what it has kept.
func (s *short) Kept() []byte { return s.kept }

// What is known without asking anybody far away.
var (
	AddrIn       = addrIn
	ChooseIPv4   = chooseIPv4
	ChooseIPv6   = chooseIPv6
	HostAddrs    = hostAddrs
	HostIPv6     = hostIPv6
	FollowKernel = followKernel
	LocationIn   = locationIn
	WithUplink   = withUplink
)

// Sources of this host and its router.
var (
	InterfaceSource = interfaceSource
	CommandSource   = commandSource
	FileSource      = fileSource
	RouterSources   = routerSources
)

// RouterSource is the one way to ask a router that a line names.
func RouterSource(transport string, at netip.Addr, args ...string) Source {
	s := corefile.Source{Kind: "router", Transport: transport, Args: args}
	if at.IsValid() {
		s.At = []netip.AddrPort{netip.AddrPortFrom(at, 0)}
	}
	return routerSources(s)[0]
}

//go:build linux

package wanip

import "github.com/vishvananda/netlink"

// KernelView tells news of the kernel from repeats.
type KernelView struct{ view *kernelView }

// NewKernelView knows nothing yet.
func NewKernelView() KernelView {
	return KernelView{&kernelView{addrs: make(map[addrKey]addrFlags), routes: make(map[routeKey]bool)}}
}

// Addr reports whether an update is news.
func (k KernelView) Addr(u netlink.AddrUpdate) bool { return k.view.addr(&u) }

// Route reports whether an update is news.
func (k KernelView) Route(u netlink.RouteUpdate) bool { return k.view.route(&u) }

var (
	KnownNow = func() KernelView { return KernelView{knownNow()} }
	Lifetime = lifetime
)

package zones

import "net/netip"

// Family is an IP version. What is known of one says nothing about the other.
type Family uint8

// The families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// Families returns both, IPv4 first.
func Families() []Family { return []Family{IPv4, IPv6} }

// FamilyOf returns the family of an address.
func FamilyOf(a netip.Addr) Family {
	if a.Unmap().Is4() {
		return IPv4
	}
	return IPv6
}

// String returns "ipv4" or "ipv6", as in metrics and in the Corefile.
func (f Family) String() string {
	if f == IPv6 {
		return "ipv6"
	}
	return "ipv4"
}

// Has reports whether a is of the family. The zero Addr is of none.
func (f Family) Has(a netip.Addr) bool { return a.IsValid() && FamilyOf(a) == f }

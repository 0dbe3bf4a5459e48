// Package pack holds answers as the bytes that go on the wire, but for what each question brings of its own: its
// id, its flags, the letter case of its name, its EDNS.
//
// It is pure: no socket, no zone, no clock. Whoever has packed an answer decides for which questions it holds.
package pack

import (
	"encoding/binary"
	"net/netip"

	"github.com/miekg/dns"
)

// Question is a plain question: one that asks once for one name, of class IN, in the form that almost all clients
// use. All else is for a server that unpacks messages. The zero Question is ready for Read and From, which may be
// called again and again, and tell all that it holds.
type Question struct {
	ID    uint16
	Flags uint16 // of the header, as they came
	Name  []byte // in wire form with its final zero, in the letter case that was asked; a part of the packet
	Type  uint16

	EDNS      bool
	Size      uint16 // the UDP payload that the client offers to take, as its OPT says it (RFC 6891, 6.2.3)
	EDNSFlags uint16 // of the OPT: DO and those that are reserved

	lower  [maxName]byte        // Name in lower case
	labels [maxLabels + 1]uint8 // where in Name each label begins, the root's last
	count  int                  // of labels, without the root
	asked  [maxName]byte        // what Name is a part of, if no packet
}

// maxName is the length of the longest name in bytes, maxLabels the most labels that it can have, maxLabel the
// length of the longest of them (RFC 1035, 2.3.4).
const (
	maxName   = 255
	maxLabels = 127
	maxLabel  = 63
)

// Of the header: RFC 1035, 4.1.1, and RFC 4035, 3.2.2 for CD.
const (
	headerSize = 12

	flagQR     = 1 << 15
	flagOpcode = 0xf << 11
	flagAA     = 1 << 10
	flagTC     = 1 << 9
	flagRD     = 1 << 8
	flagRA     = 1 << 7
	flagZ      = 1 << 6
	flagAD     = 1 << 5
	flagCD     = 1 << 4
	flagRcode  = 0xf
)

const (
	typeAndClass = 4                             // bytes that follow the name in a question
	minQuestion  = headerSize + 1 + typeAndClass // that for the root's records
	optSize      = 11                            // of an OPT record without options: RFC 6891, 6.1.2
	flagDo       = 1 << 15                       // of an OPT: RFC 3225, 3
)

// Read takes a packet in, and reports whether it is a plain question. The Question refers to the packet's bytes.
//
// Not plain are messages that are no query of class IN with one question, that are cut or have bytes left over,
// that point from their name to elsewhere, whose EDNS is of a later version or brings options, or that are signed.
// Reading no packet panics, nor does it allocate.
func (q *Question) Read(packet []byte) bool {
	if len(packet) < minQuestion {
		return false
	}
	q.ID = binary.BigEndian.Uint16(packet)
	q.Flags = binary.BigEndian.Uint16(packet[2:])
	extra := binary.BigEndian.Uint16(packet[10:])
	counts := binary.BigEndian.Uint64(packet[4:])
	if q.Flags&(flagQR|flagOpcode|flagTC) != 0 || counts>>16 != 1<<32 || extra > 1 {
		return false
	}
	rest := packet[headerSize:]
	length := q.split(rest)
	if length == 0 || len(rest) < length+typeAndClass {
		return false
	}
	q.Name = rest[:length:length]
	q.Type = binary.BigEndian.Uint16(rest[length:])
	if binary.BigEndian.Uint16(rest[length+2:]) != dns.ClassINET {
		return false
	}
	if !q.readOPT(rest[length+typeAndClass:], extra == 1) {
		return false
	}
	q.fold()
	return true
}

// split finds the labels of the name at the beginning of b, and returns the name's length in bytes, 0 if there
// stands none that is whole and free of pointers.
func (q *Question) split(b []byte) int {
	b = b[:min(len(b), maxName)]
	off, n := 0, 0
	for off < len(b) {
		q.labels[n] = uint8(off) //nolint:gosec // below maxName
		size := int(b[off])
		switch {
		case size == 0:
			q.count = n
			return off + 1
		case size > maxLabel:
			return 0
		}
		off += 1 + size
		n++
	}
	return 0
}

// readOPT takes in what follows the question: nothing, or one OPT record without options.
func (q *Question) readOPT(b []byte, expected bool) bool {
	q.EDNS, q.Size, q.EDNSFlags = expected, 0, 0
	if !expected {
		return len(b) == 0
	}
	if len(b) != optSize || b[0] != 0 || binary.BigEndian.Uint16(b[1:]) != dns.TypeOPT {
		return false
	}
	q.Size = binary.BigEndian.Uint16(b[3:])
	rcodeAndVersion, length := binary.BigEndian.Uint16(b[5:]), binary.BigEndian.Uint16(b[9:])
	q.EDNSFlags = binary.BigEndian.Uint16(b[7:])
	return rcodeAndVersion == 0 && length == 0
}

// fold makes the name's lower-case form, eight bytes at a time. The lengths of labels are below the letters.
func (q *Question) fold() {
	const word = 8
	n := len(q.Name)
	if n < word {
		for i, c := range q.Name {
			q.lower[i] = byte(lower(uint64(c)))
		}
		return
	}
	for i := 0; i < n-word; i += word {
		binary.LittleEndian.PutUint64(q.lower[i:], lower(binary.LittleEndian.Uint64(q.Name[i:])))
	}
	last := n - word // which some of the word before may be in as well
	binary.LittleEndian.PutUint64(q.lower[last:], lower(binary.LittleEndian.Uint64(q.Name[last:])))
}

// lower returns eight bytes with the letters of ASCII among them in lower case. The highest bit of each byte says
// whether it is one: adding carries into it from 'A' on, and from behind 'Z' on.
func lower(w uint64) uint64 {
	const (
		each  = 0x0101010101010101
		high  = 0x80 * each
		fromA = (0x80 - 'A') * each
		overZ = (0x7f - 'Z') * each
	)
	low := w &^ high
	letters := (low + fromA) &^ (low + overZ) &^ w & high
	return w | letters>>2 // 0x80 becomes 0x20, which tells the cases apart
}

// From takes in a message that was unpacked, and reports whether it is plain: as Read does, but for what a message
// no longer tells of its packet. It keeps nothing of the message.
func (q *Question) From(r *dns.Msg) bool {
	if r.Response || r.Opcode != dns.OpcodeQuery || r.Truncated || r.Rcode&^flagRcode != 0 {
		return false
	}
	if len(r.Question) != 1 || len(r.Answer) > 0 || len(r.Ns) > 0 || r.Question[0].Qclass != dns.ClassINET {
		return false
	}
	if !q.fromOPT(r.Extra) {
		return false
	}
	length, err := dns.PackDomainName(r.Question[0].Name, q.asked[:], 0, nil, false)
	if err != nil || length == 0 || q.split(q.asked[:length]) != length {
		return false
	}
	q.ID, q.Flags, q.Type = r.Id, flagsOf(r), r.Question[0].Qtype
	q.Name = q.asked[:length:length]
	q.fold()
	return true
}

func (q *Question) fromOPT(extra []dns.RR) bool {
	q.EDNS, q.Size, q.EDNSFlags = len(extra) > 0, 0, 0
	if !q.EDNS {
		return true
	}
	opt, ok := extra[0].(*dns.OPT)
	if !ok || len(extra) > 1 || opt.Hdr.Name != "." || len(opt.Option) > 0 || opt.Hdr.Ttl>>16 != 0 {
		return false
	}
	q.Size, q.EDNSFlags = opt.Hdr.Class, uint16(opt.Hdr.Ttl) //nolint:gosec // the lower half
	return true
}

// flagsOf returns the header's flags of a query, as they came.
func flagsOf(r *dns.Msg) uint16 {
	flags := uint16(r.Rcode) //nolint:gosec // of four bits
	for _, f := range [...]struct {
		set  bool
		flag uint16
	}{
		{r.Authoritative, flagAA},
		{r.RecursionDesired, flagRD},
		{r.RecursionAvailable, flagRA},
		{r.Zero, flagZ},
		{r.AuthenticatedData, flagAD},
		{r.CheckingDisabled, flagCD},
	} {
		if f.set {
			flags |= f.flag
		}
	}
	return flags
}

// Lower returns the name in lower case, in wire form, until the next Read or From.
func (q *Question) Lower() []byte { return q.lower[:len(q.Name)] }

// Labels returns how many labels the name has, the root's apart.
func (q *Question) Labels() int { return q.count }

// Parent returns the name without its first n labels, in lower case, in wire form, until the next Read or From.
// Beyond the last label it is the root.
func (q *Question) Parent(n int) []byte {
	return q.lower[q.labels[min(n, q.count)]:len(q.Name)]
}

// Do reports whether the client wants DNSSEC's records (RFC 3225).
func (q *Question) Do() bool { return q.EDNSFlags&flagDo != 0 }

// From 512 bytes on a client takes what its EDNS says (RFC 6891, 6.2.3). CoreDNS compresses what is longer than
// these, so that it is less likely to be cut into fragments.
const (
	leastLimit = 512
	limit4     = 1480
	limit6     = 1220
)

// Limit returns how long an answer over UDP may be, so that CoreDNS would send it to the client at addr whole and
// without compression.
func (q *Question) Limit(addr netip.Addr) int {
	most := limit6
	if addr.Is4() || addr.Is4In6() {
		most = limit4
	}
	return min(max(int(q.Size), leastLimit), most)
}

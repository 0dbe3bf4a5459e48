package standin

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// The types and response codes of RFC 1035 and RFC 3596 that a name server of duckdns.org knows.
const (
	typeA    = 1
	typeNS   = 2
	typeSOA  = 6
	typeTXT  = 16
	typeAAAA = 28
	typeOPT  = 41

	rcodeFailure = 2
	rcodeNoName  = 3
	rcodeRefused = 5
)

// question is what a packet asks.
type question struct {
	id   uint16
	flag uint16 // of the header: opcode and recursion desired
	name string // without the dot at its end
	kind uint16
	size int  // how much UDP may bring back
	edns bool // it says so
	raw  []byte
}

// parseQuestion reads a packet with one question, whose name is not compressed.
func parseQuestion(packet []byte) (q question, ok bool) {
	if len(packet) < 12 || packet[2]&0x80 != 0 || binary.BigEndian.Uint16(packet[4:]) != 1 {
		return q, false
	}
	q.id = binary.BigEndian.Uint16(packet)
	q.flag = binary.BigEndian.Uint16(packet[2:]) & 0x7900
	rest := packet[12:]
	var labels []string
	for len(rest) > 0 && rest[0] != 0 {
		n := int(rest[0])
		if n > 63 || len(rest) <= n {
			return q, false
		}
		labels = append(labels, string(rest[1:n+1]))
		rest = rest[n+1:]
	}
	if len(rest) < 5 {
		return q, false
	}
	q.name, q.kind = strings.Join(labels, "."), binary.BigEndian.Uint16(rest[1:])
	q.raw = packet[12 : len(packet)-len(rest)+5]
	q.size = 512
	if rest = rest[5:]; len(rest) >= 11 && rest[0] == 0 && binary.BigEndian.Uint16(rest[1:]) == typeOPT {
		q.size, q.edns = max(512, int(binary.BigEndian.Uint16(rest[3:]))), true
	}
	return q, true
}

// rr is a record of the name that was asked for, or of owner.
type rr struct {
	owner string
	kind  uint16
	ttl   uint32
	data  []byte
}

// message is an answer of a name server that has authority, unless it refuses.
type message struct {
	question  question
	rcode     uint16
	truncated bool
	answer    []rr
	authority []rr
}

func (m message) pack() []byte {
	const response, authoritative, truncated = 0x8000, 0x0400, 0x0200
	flags := response | m.question.flag | m.rcode
	if m.rcode == 0 || m.rcode == rcodeNoName {
		flags |= authoritative
	}
	if m.truncated {
		flags |= truncated
	}
	opts := uint16(0)
	if m.question.edns {
		opts = 1
	}
	var out []byte
	for _, n := range []uint16{m.question.id, flags, 1, uint16(len(m.answer)), uint16(len(m.authority)), opts} {
		out = binary.BigEndian.AppendUint16(out, n)
	}
	out = append(out, m.question.raw...)
	for _, r := range append(m.answer, m.authority...) {
		out = r.append(out)
	}
	if m.question.edns {
		out = append(out, 0, 0, typeOPT, 4, 208, 0, 0, 0, 0, 0, 0) // 1232 bytes, no options
	}
	return out
}

func (r rr) append(out []byte) []byte {
	if r.owner == "" {
		out = append(out, 0xc0, 12) // the question's name
	} else {
		out = append(out, packName(r.owner)...)
	}
	out = binary.BigEndian.AppendUint16(out, r.kind)
	out = binary.BigEndian.AppendUint16(out, 1)
	out = binary.BigEndian.AppendUint32(out, r.ttl)
	out = binary.BigEndian.AppendUint16(out, uint16(len(r.data)))
	return append(out, r.data...)
}

func packName(name string) []byte {
	var out []byte
	for label := range strings.SplitSeq(name, ".") {
		out = append(append(out, byte(len(label))), label...)
	}
	return append(out, 0)
}

// packText returns a text in strings of at most 255 bytes.
func packText(text string) []byte {
	var out []byte
	for len(text) > 255 {
		out = append(append(out, 255), text[:255]...)
		text = text[255:]
	}
	return append(append(out, byte(len(text))), text...)
}

// soa has the times of a zone that is changed all day.
var soa = rr{
	owner: "duckdns.org", kind: typeSOA, ttl: 600,
	data: append(append(packName("ns1.duckdns.org"), packName("hostmaster.duckdns.org")...), binaryTimes(1, 6000, 120, 2419200, 600)...),
}

func binaryTimes(times ...uint32) []byte {
	var out []byte
	for _, t := range times {
		out = binary.BigEndian.AppendUint32(out, t)
	}
	return out
}

// apexRecords returns the records of duckdns.org itself. The caller holds the lock.
func (d *DuckDNS) apexRecords(kind uint16) []rr {
	switch kind {
	case typeSOA:
		return []rr{soa}
	case typeNS:
		var out []rr
		for i := range d.servers {
			out = append(out, rr{kind: typeNS, ttl: 600, data: packName(serverName(i) + duckZone)})
		}
		return out
	default:
		return nil
	}
}

// serverRecords returns the records of ns1, ns2, ..., if that is what the label is.
func (d *DuckDNS) serverRecords(label string, kind uint16) (records []rr, ok bool) {
	for i, addr := range d.servers {
		if label != serverName(i) {
			continue
		}
		if kind == typeA && addr.Is4() || kind == typeAAAA && addr.Is6() {
			records = []rr{{kind: kind, ttl: 600, data: addr.AsSlice()}}
		}
		return records, true
	}
	return nil, false
}

func serverName(i int) string { return fmt.Sprintf("ns%d", i+1) }

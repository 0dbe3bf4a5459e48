package standin

import (
	"encoding/binary"
	"strings"
)

// The types, classes and response codes of RFC 1035 and RFC 3596 that the stand-ins know.
const (
	typeA    = 1
	typeNS   = 2
	typeSOA  = 6
	typeTXT  = 16
	typeAAAA = 28
	typeOPT  = 41

	classIN = 1
	classCH = 3 // Chaos, where servers tell of themselves

	rcodeFailure = 2
	rcodeNoName  = 3
	rcodeRefused = 5
)

// question is what a packet asks.
type question struct {
	id    uint16
	flag  uint16 // of the header: opcode and recursion desired
	name  string // without the dot at its end
	kind  uint16
	class uint16
	size  int  // how much UDP may bring back
	edns  bool // it says so
	raw   []byte
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
	q.class = binary.BigEndian.Uint16(rest[3:])
	q.raw = packet[12 : len(packet)-len(rest)+5]
	q.size = 512
	if rest = rest[5:]; len(rest) >= 11 && rest[0] == 0 && binary.BigEndian.Uint16(rest[1:]) == typeOPT {
		q.size, q.edns = max(512, int(binary.BigEndian.Uint16(rest[3:]))), true
	}
	return q, true
}

// rr is a record of the name that was asked for, or of owner, in the class of the question.
type rr struct {
	owner string
	kind  uint16
	ttl   uint32
	data  []byte
}

// message is an answer of a name server that has authority, unless it refuses, or of a resolver.
type message struct {
	question  question
	rcode     uint16
	truncated bool
	forwarded bool // it is a resolver's, which has no authority and would have looked further
	answer    []rr
	authority []rr
}

func (m message) pack() []byte {
	const response, authoritative, truncated, available = 0x8000, 0x0400, 0x0200, 0x0080
	flags := response | m.question.flag | m.rcode
	switch {
	case m.forwarded:
		flags |= available
	case m.rcode == 0 || m.rcode == rcodeNoName:
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
		out = r.append(out, m.question.class)
	}
	if m.question.edns {
		out = append(out, 0, 0, typeOPT, 4, 208, 0, 0, 0, 0, 0, 0) // 1232 bytes, no options
	}
	return out
}

func (r rr) append(out []byte, class uint16) []byte {
	if r.owner == "" {
		out = append(out, 0xc0, 12) // the question's name
	} else {
		out = append(out, packName(r.owner)...)
	}
	out = binary.BigEndian.AppendUint16(out, r.kind)
	out = binary.BigEndian.AppendUint16(out, class)
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

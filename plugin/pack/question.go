// Package pack holds answers as the bytes that go on the wire, but for what each question brings of its own: its
// id, its flags, the letter case of its name, its EDNS.
//
// It is pure: no socket, no zone, no clock. Whoever has packed an answer decides for which questions it holds.
package pack

// Question is a plain question: one that asks once for one name, of class IN, in the form that almost all clients
// use. All else is for a server that unpacks messages. The zero Question is ready for Read, which may be called
// again and again.
type Question struct {
	ID    uint16
	Flags uint16 // of the header, as they came
	Name  []byte // in wire form with its final zero, in the letter case that was asked; a part of the packet
	Type  uint16

	EDNS      bool
	Size      uint16 // the UDP payload that the client offers to take, as its OPT says it (RFC 6891, 6.2.3)
	EDNSFlags uint16 // of the OPT: DO and those that are reserved

	lower  [maxName]byte  // Name in lower case
	labels [maxLabels]int // where in Name each label begins
	count  int            // of labels
}

// maxName is the length of the longest name in bytes, maxLabels the most labels that it can have (RFC 1035, 2.3.4).
const (
	maxName   = 255
	maxLabels = 127
)

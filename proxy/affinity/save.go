package affinity

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"

	"plexha/zones"
)

// A saved table is, all numbers being little-endian: the magic line with the version, the seed (8 bytes), the
// node names (2 bytes count, then each with 1 byte length), the pins and the sessions (4 bytes count each, then
// the entries, the oldest first), and the xxhash64 of all before it. Entries refer to names by index, 1 being
// the first.
const (
	magic       = "plexha pins 1\n"
	pinSize     = 8 + 4 + 4 + 2 + 2 + 2 + 1
	sessionSize = 8 + 8 + 4 + 2
	maxName     = 63 // a DNS label
)

// The bits of a saved pin's last byte.
const (
	bitUnconfirmed = 1 << iota
	bitEnded
	bitProven
)

var (
	errDamaged = errors.New("the saved pins are damaged")
	errVersion = errors.New("the saved pins are of another version, or no saved pins at all")
)

// Save writes all that the table has learned. It holds keys by secret hash, and the secret: whoever reads it
// can tell whether a token that he has already was used here.
func (t *Table) Save(w io.Writer) error {
	if _, err := w.Write(t.marshal()); err != nil {
		return fmt.Errorf("saving the pins: %w", err)
	}
	return nil
}

func (t *Table) marshal() []byte {
	t.mu.Lock()
	seed, names := t.seed, slices.Clone(t.names)
	pins, sessions := t.pins.clone(), t.sessions.clone()
	t.mu.Unlock()

	b := make([]byte, 0, 64*len(names)+pinSize*pins.len()+sessionSize*sessions.len()+64)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint64(b, seed)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(names)-1)) //nolint:gosec // number bounds them
	for _, name := range names[1:] {
		b = append(b, byte(len(name)))
		b = append(b, name...)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(pins.len())) //nolint:gosec // NewTable bounds the size
	for key, p := range pins.oldestFirst() {
		b = p.append(binary.LittleEndian.AppendUint64(b, key))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(sessions.len())) //nolint:gosec // NewTable bounds the size
	for key, s := range sessions.oldestFirst() {
		b = s.append(binary.LittleEndian.AppendUint64(b, key))
	}
	return binary.LittleEndian.AppendUint64(b, xxhash.Sum64(b))
}

func (p *pin) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, p.used)
	b = binary.LittleEndian.AppendUint32(b, p.played)
	b = binary.LittleEndian.AppendUint16(b, p.node)
	b = binary.LittleEndian.AppendUint16(b, p.home)
	b = binary.LittleEndian.AppendUint16(b, p.was)
	return append(b, bit(bitUnconfirmed, p.unconfirmed)|bit(bitEnded, p.ended)|bit(bitProven, p.proven))
}

func bit(b byte, set bool) byte {
	if set {
		return b
	}
	return 0
}

func (s *session) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, s.owner)
	b = binary.LittleEndian.AppendUint32(b, s.used)
	return binary.LittleEndian.AppendUint16(b, s.node)
}

// Load puts what Save has written in the place of all that the table holds. With an error the table stays as
// it is.
func (t *Table) Load(r io.Reader) error {
	t.mu.Lock()
	size := t.pins.size
	t.mu.Unlock()
	loaded := NewTable(size)
	if err := loaded.read(r); err != nil {
		return fmt.Errorf("loading the pins: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seed, t.names, t.numbers = loaded.seed, loaded.names, loaded.numbers
	t.pins, t.sessions, t.denied = loaded.pins, loaded.sessions, denials{}
	t.uses++
	return nil
}

// read fills an empty table. It takes up memory for entries that it has seen alone, and for no more of them
// than fit in the table: the oldest make room.
func (t *Table) read(r io.Reader) error {
	in := decoder{r: bufio.NewReader(r)}
	in.sum.Reset()
	if string(in.bytes(len(magic))) != magic {
		return errors.Join(errVersion, in.err)
	}
	t.seed = in.uint64()
	for range in.uint16() {
		if in.err != nil {
			break
		}
		t.readName(&in)
	}
	t.readPins(&in)
	t.readSessions(&in)
	in.end()
	return in.err
}

func (t *Table) readName(in *decoder) {
	name := zones.NodeName(in.bytes(int(in.uint8())))
	if _, again := t.numbers[name]; again || name == "" || len(name) > maxName {
		in.fail()
		return
	}
	t.number(name)
}

func (t *Table) readPins(in *decoder) {
	for range in.uint32() {
		key := in.uint64()
		p := pin{used: in.uint32(), played: in.uint32()}
		p.spot = spot{node: in.uint16(), home: in.uint16(), was: in.uint16()}
		bits := in.uint8()
		p.unconfirmed, p.ended, p.proven = bits&bitUnconfirmed != 0, bits&bitEnded != 0, bits&bitProven != 0
		if int(max(p.node, p.home, p.was)) >= len(t.names) {
			in.fail()
		}
		if in.err != nil {
			return
		}
		*t.pins.put(key) = p
	}
}

func (t *Table) readSessions(in *decoder) {
	for range in.uint32() {
		key := in.uint64()
		s := session{owner: in.uint64(), used: in.uint32(), node: in.uint16()}
		if int(s.node) >= len(t.names) {
			in.fail()
		}
		if in.err != nil {
			return
		}
		*t.sessions.put(key) = s
	}
}

// decoder reads numbers, and keeps the first error: after it all numbers are 0.
type decoder struct {
	r   *bufio.Reader
	sum xxhash.Digest
	buf [math.MaxUint8]byte
	err error
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = errDamaged
	}
}

// bytes returns the next n bytes, 255 at most, which are good until the next call.
func (d *decoder) bytes(n int) []byte {
	b := d.buf[:n]
	clear(b)
	if d.err != nil {
		return b
	}
	_, err := io.ReadFull(d.r, b)
	switch {
	case err == nil:
		_, _ = d.sum.Write(b)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		d.fail()
	default:
		d.err = err
	}
	return b
}

func (d *decoder) uint8() uint8   { return d.bytes(1)[0] }
func (d *decoder) uint16() uint16 { return binary.LittleEndian.Uint16(d.bytes(2)) }
func (d *decoder) uint32() uint32 { return binary.LittleEndian.Uint32(d.bytes(4)) }
func (d *decoder) uint64() uint64 { return binary.LittleEndian.Uint64(d.bytes(8)) }

// end checks the sum, and that nothing comes after it.
func (d *decoder) end() {
	want := d.sum.Sum64()
	if got := d.uint64(); got != want {
		d.fail()
	}
	if d.err != nil {
		return
	}
	if _, err := d.r.ReadByte(); !errors.Is(err, io.EOF) {
		d.fail()
	}
}

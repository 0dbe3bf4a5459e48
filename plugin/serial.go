package plugin

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/miekg/dns"

	"plexha/zones"
)

// recordHash tells whether the records of a view are the same as before, TTLs apart: a TTL that drops while
// a node is in doubt is no change that a secondary must fetch.
type recordHash struct {
	d   xxhash.Digest
	buf []byte
}

// hash returns the hash of what a zone's variants are built from, in its fixed order.
func (spec zoneSpec) hash(variants [][]zones.Record) uint64 {
	var h recordHash
	h.d.Reset()
	h.number(spec.static.hash)
	h.records(spec.answers.Records)
	h.number(uint64(len(variants)))
	for _, records := range variants {
		h.records(records)
	}
	h.number(uint64(len(spec.answers.Failing)))
	for _, label := range spec.answers.Failing {
		h.text(string(label))
	}
	h.text(spec.cluster.NS[0].Name)
	h.number(uint64(spec.cluster.Negative)) //nolint:gosec // a duration above zero
	return h.d.Sum64()
}

func (h *recordHash) records(records []zones.Record) {
	h.number(uint64(len(records)))
	for i := range records {
		r := &records[i]
		h.text(string(r.Label))
		h.number(uint64(r.Type))
		addr := r.Addr.As16()
		_, _ = h.d.Write(addr[len(addr)-r.Addr.BitLen()/8:]) // a hash never fails
		h.text(string(r.Target))
		h.text(r.Text)
	}
}

func (h *recordHash) number(n uint64) {
	h.buf = binary.AppendUvarint(h.buf[:0], n)
	_, _ = h.d.Write(h.buf)
}

// text takes in a text with its length, so that no two texts are like two others.
func (h *recordHash) text(s string) {
	h.number(uint64(len(s)))
	_, _ = h.d.WriteString(s)
}

// hashOf returns the hash of a zone file's records.
func hashOf(rrs []dns.RR) uint64 {
	var d xxhash.Digest
	d.Reset()
	for _, rr := range rrs {
		ttl := rr.Header().Ttl
		rr.Header().Ttl = 0
		_, _ = fmt.Fprintln(&d, rr)
		rr.Header().Ttl = ttl
	}
	return d.Sum64()
}

package plugin

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/miekg/dns"
)

// recordHash tells whether the records of a view are the same as before, TTLs apart: a TTL that drops while
// a node is in doubt is no change that a secondary must fetch.
type recordHash struct{ sum uint64 }

// add takes in what a zone is built from, in its fixed order.
func (h *recordHash) add(spec zoneSpec) {
	d := xxhash.New()
	var last [8]byte
	binary.BigEndian.PutUint64(last[:], h.sum)
	_, _ = d.Write(last[:]) // a hash never fails
	for _, r := range spec.answers.Records {
		r.TTL = 0
		_, _ = fmt.Fprintln(d, r)
	}
	for _, rr := range spec.static {
		rr = dns.Copy(rr)
		rr.Header().Ttl = 0
		_, _ = fmt.Fprintln(d, rr)
	}
	_, _ = fmt.Fprintln(d, spec.answers.Failing, spec.cluster.NS[0].Name, spec.cluster.Negative)
	h.sum = d.Sum64()
}

package standin

import (
	"encoding/binary"
	"fmt"
)

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

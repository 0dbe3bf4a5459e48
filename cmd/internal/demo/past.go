package demo

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"time"

	"plexha/corefile/state"
	"plexha/e2e/standin"
)

// pastAge is how long ago plexdns ran for the last time: no push that it remembers keeps the next one waiting,
// as one within the last minute would.
const pastAge = time.Hour

// remember has plexdns find in its state folder what it would have left there if it had run in this home
// before, found an address, and told DuckDNS. DuckDNS remembers as well.
//
// Without a past, the first address would be pushed in the demo, and the next one a minute later.
func remember(dir string, n *internet, addr netip.Addr) error {
	then := time.Now().Add(-pastAge).UTC().Truncate(time.Second)
	type object map[string]any
	for kind, content := range map[string]object{
		"external.json": {
			"version": 1,
			"uplinks": object{string(Wan): object{"ipv4": object{"address": addr, "since": then}}},
		},
		"duckdns.json": {
			"version": 1, "name": duckName, "api": n.api,
			"ipv4": object{"published": addr, "uplink": Wan, "published_at": then, "tried": then, "tried_addr": addr},
		},
	} {
		data, err := json.Marshal(content)
		if err == nil {
			err = os.WriteFile(state.File(dir, zoneName, kind), data, 0o600)
		}
		if err != nil {
			return fmt.Errorf("writing what plexdns remembers: %w", err)
		}
	}
	n.duck.SetRecord(duckName, standin.DuckRecord{IPv4: addr})
	return nil
}

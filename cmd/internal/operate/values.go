package operate

import (
	"plexha/cmd/internal/command"
)

// Values returns the nodes, proxies and uplinks, or the zones, of the Corefile of that name, or of the usual one if it
// is empty. A Corefile that can't be read has none.
func Values(kind command.Kind, conf string) []string {
	b := command.Blocks{Conf: conf}
	blocks, err := b.Load()
	if err != nil {
		return nil
	}
	var words []string
	for _, cfg := range blocks {
		switch kind {
		case command.Node:
			words = append(words, Names(cfg)...)
		case command.Zone:
			for _, zone := range cfg.Cluster.Origins {
				words = append(words, spoken(zone))
			}
		}
	}
	return words
}

package probe

import (
	"fmt"

	"plexha/corefile"
	"plexha/zones/board"
)

// BoardConfig returns the configuration of the board that a prober of the block reports to.
func BoardConfig(cfg *corefile.Config) board.Config {
	var groups []string
	for _, f := range cfg.Finders {
		groups = append(groups, f.Name)
	}
	return board.Config{
		Cluster: &cfg.Cluster, Groups: groups, Rise: cfg.Rise, Fall: cfg.Fall,
		Interval: cfg.Interval, Timeout: cfg.Timeout, Canary: cfg.Canary != "",
	}
}

// Question returns words that say how nodes are asked: what one probe has found is no answer to another.
func Question(p corefile.Probe) string {
	body := ""
	if p.Body != nil {
		body = p.Body.String()
	}
	return fmt.Sprint(p.Kind, p.Path, p.StatusMin, p.StatusMax, body)
}

package check

import (
	"bytes"
	"log"
	"strings"

	clog "github.com/coredns/coredns/plugin/pkg/log"
)

// quietly runs do, and returns the warnings that CoreDNS's log would have shown meanwhile.
func quietly(do func()) []string {
	var out bytes.Buffer
	was, flags, debug := log.Writer(), log.Flags(), clog.D.Value()
	log.SetOutput(&out)
	log.SetFlags(0)
	defer func() {
		log.SetOutput(was)
		log.SetFlags(flags)
		if !debug {
			clog.D.Clear() // the plugin debug sets it for the whole process
		}
	}()
	do()
	var warnings []string
	for line := range strings.Lines(out.String()) {
		for _, level := range []string{"[WARNING] ", "[ERROR] "} {
			if text, ok := strings.CutPrefix(strings.TrimSpace(line), level); ok {
				warnings = append(warnings, strings.TrimPrefix(text, "plugin/"))
			}
		}
	}
	return warnings
}

package wanip

import (
	"net/netip"

	"github.com/miekg/dns"

	"plexha/corefile"
	"plexha/zones"
)

// What reads the answers of strangers.
var (
	ParseEcho  = parseEcho
	ParseTrace = parseTrace
	ReadTexts  = readTexts
)

// ReadAnswer reads what an operator's server has answered over UDP.
func ReadAnswer(operator string, answer *dns.Msg, f zones.Family) (netip.Addr, error) {
	return (&dnsEcho{operator: operators[operator], transport: overUDP}).read(answer, f)
}

// InTurn makes tries in turn, and Words says what went wrong with one.
var (
	InTurn = inTurn[string]
	Words  = words
)

// NamedServers are the servers that a source asks.
type NamedServers struct {
	Name    string
	Servers []string
}

// OperatorServers returns those of the sources that are operators' name servers.
func OperatorServers(sources []corefile.Source) []NamedServers {
	var out []NamedServers
	for _, s := range sources {
		if _, ok := operators[s.Kind]; !ok {
			continue
		}
		n := NamedServers{Name: s.String()}
		for _, at := range newDNSEcho(s, SourceOptions{}).servers {
			n.Servers = append(n.Servers, at.String())
		}
		out = append(out, n)
	}
	return out
}

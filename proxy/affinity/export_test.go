package affinity

import "slices"

// Named is what tests see of keys.
type Named struct {
	Class                         Class
	Server, Client, Token, Cookie string
	Sessions                      []string
	InPath                        bool
	Play                          string
}

// Named returns what a request names.
func (k Keys) Named() Named {
	n := Named{
		Class: k.Class, Server: k.server, Client: k.client, Token: k.token, Cookie: string(k.Cookie),
		InPath: k.inPath, Play: [...]string{"", "begins", "reads", "plays", "pauses", "ends"}[k.act],
	}
	n.Sessions = slices.DeleteFunc(slices.Clone(k.sessions[:]), func(id string) bool { return id == "" })
	if len(n.Sessions) == 0 {
		n.Sessions = nil
	}
	return n
}

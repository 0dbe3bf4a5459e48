package lint

import "slices"

// Codes returns the codes of all rules, each once.
func Codes() []string {
	var all []string
	for _, r := range rules {
		all = append(all, r.code)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

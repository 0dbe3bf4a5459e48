package lint

// Mounts returns the folders of the machine by where the first container of a file has them.
func Mounts(text string) (map[string]string, error) {
	doc, err := read(text)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, m := range doc.containers[0].mounts {
		all[m.target] = m.source
	}
	return all, nil
}

// Commands are the words of a text's commands.
func Commands(text string, ofUnit bool) [][]string {
	as := shell
	if ofUnit {
		as = unitful
	}
	var all [][]string
	for _, words := range commands(text, 1, as) {
		var c []string
		for _, w := range words {
			c = append(c, w.text)
		}
		all = append(all, c)
	}
	return all
}

// Seconds reads a time.
var Seconds = seconds

// Codes are those of the rules.
func Codes() []string {
	var all []string
	for _, r := range rules {
		all = append(all, r.code)
	}
	return all
}

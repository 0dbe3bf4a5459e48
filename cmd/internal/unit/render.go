package unit

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"
)

//go:embed text
var files embed.FS

var texts = template.Must(template.New("").Funcs(template.FuncMap{
	"exec":  execWord,
	"value": quadletValue,
	"paths": unitWords,
	"yaml":  yamlString,
	"join":  strings.Join,
	"list":  func(one string) []string { return []string{one} },
}).ParseFS(files, "text/*.tmpl"))

func render(name string, data any) (string, error) {
	var out strings.Builder
	if err := texts.ExecuteTemplate(&out, name+".tmpl", data); err != nil {
		return "", fmt.Errorf("writing the text for %s: %w", name, err)
	}
	return out.String(), nil
}

// execWord writes a word of a command line of systemd's, see systemd.service(5).
func execWord(word string) string { return unitWord(strings.ReplaceAll(word, "$", "$$")) }

// unitWord writes a word of a list in a unit, see systemd.syntax(7).
func unitWord(word string) string {
	word = strings.ReplaceAll(word, "%", "%%")
	if word != "" && !strings.ContainsAny(word, " \t;\"'\\") {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}

// quadletValue writes a value of a quadlet that is not split at blanks, see podman-systemd.unit(5). It ends up in a
// command line of systemd's.
func quadletValue(text string) string {
	return strings.NewReplacer("%", "%%", "$", "$$").Replace(text)
}

func unitWords(words []string) string {
	var all []string
	for _, w := range words {
		all = append(all, unitWord(w))
	}
	return strings.Join(all, " ")
}

// yamlString writes a string of a compose file, where $ begins a variable. What JSON has in quotes means the same
// in YAML.
func yamlString(text string) (string, error) {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(strings.ReplaceAll(text, "$", "$$"))
	return strings.TrimSpace(out.String()), err
}

package corefile

import (
	"bytes"
	"fmt"
	"os"
	"slices"

	"github.com/coredns/caddy/caddyfile"
)

// Files returns the Corefile and the files that it imports, as they are named, in no order: all whose changes
// may change what it says. A file that holds nothing is not known. With an error it is the Corefile alone.
func Files(path string) ([]string, error) {
	files := []string{path}
	text, err := os.ReadFile(path)
	if err != nil {
		return files, fmt.Errorf("reading the Corefile: %w", err)
	}
	servers, err := caddyfile.Parse(path, bytes.NewReader(text), nil)
	if err != nil {
		return files, fromCaddy(path, err)
	}
	for _, server := range servers {
		for _, tokens := range server.Tokens {
			for _, t := range tokens {
				if t.File != "" && !slices.Contains(files, t.File) { // its own tokens name no file
					files = append(files, t.File)
				}
			}
		}
	}
	return files, nil
}

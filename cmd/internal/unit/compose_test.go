package unit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// schema is Compose's own, https://github.com/compose-spec/compose-go/blob/v2.16.2/schema/compose-spec.json (Apache-2.0).
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(filepath.Join("testdata", "compose-spec.json"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestComposeFits: the compose files have the form that Compose wants.
func TestComposeFits(t *testing.T) {
	s := schema(t)
	for _, file := range []string{"compose.yaml", "plain.yaml"} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		if err := fits(t, s, string(text)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		for _, wrong := range [][2]string{{"restart:", "restarts:"}, {"30s", "{}"}, {"create_host_path", "create_path"}} {
			if err := fits(t, s, strings.Replace(string(text), wrong[0], wrong[1], 1)); err == nil {
				t.Errorf("%s: with %q in the place of %q it fits as well", file, wrong[1], wrong[0])
			}
		}
	}
}

// TestComposeNamesAreStrings: a node may be called what YAML takes for something else.
func TestComposeNamesAreStrings(t *testing.T) {
	s := schema(t)
	for _, name := range []string{"1", "null", "no", "true", "0x10"} {
		text, err := printed(t, strings.Replace(house, "plex1", name, 1), name+" -engine compose"+full)
		if err != nil {
			t.Fatal(err)
		}
		if err := fits(t, s, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func fits(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	var doc any
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

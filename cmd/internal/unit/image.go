package unit

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// exampleImage shows how an image is named. Its tag was one of the image's in 2026.
const exampleImage = "lscr.io/linuxserver/plex:1.43.2"

// family is what an image is made from: it decides which variables the container reads.
type family uint8

// The families.
const (
	otherImage family = iota
	linuxserver
	plexinc
)

func familyOf(image string) family {
	switch name, _, _ := strings.Cut(image, "@"); {
	case strings.Contains(name, "linuxserver/plex"):
		return linuxserver
	case strings.Contains(name, "plexinc/pms-docker"):
		return plexinc
	default:
		return otherImage
	}
}

// imageName is a reference with its tag and its digest, which both may be missing. Docker's grammar is at
// https://pkg.go.dev/github.com/distribution/reference
var imageName = regexp.MustCompile(`^([a-zA-Z0-9][a-zA-Z0-9._:-]*(?:/[a-z0-9][a-z0-9._-]*)+|[a-z0-9][a-z0-9._-]*)` +
	`(?::([A-Za-z0-9_][A-Za-z0-9_.-]*))?(@sha256:[0-9a-f]{64})?$`)

// moving are the tags of both images that are another version from one day to the next.
var moving = []string{"latest", "public", "beta", "plexpass", "develop", "nightly"}

var errNoImage = errors.New("-image is missing: name the version that the node runs, such as " + exampleImage +
	": an older one does not read the database of a newer one")

// checkImage refuses an image that may be another one at the next start.
func checkImage(image string) error {
	if image == "" {
		return errNoImage
	}
	m := imageName.FindStringSubmatch(image)
	if m == nil {
		return fmt.Errorf("-image %q is no name of an image, such as %s", image, exampleImage)
	}
	tag, digest := m[2], m[3]
	if digest != "" {
		return nil
	}
	if slices.Contains(append([]string{""}, moving...), tag) {
		return fmt.Errorf("-image %s: its version is whichever is the newest at the time, so that nodes differ, and all "+
			"migrate their databases "+
			"at once: write the version, as in %s:1.43.2, or a digest", image, m[1])
	}
	return nil
}

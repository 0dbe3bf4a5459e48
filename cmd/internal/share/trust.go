package share

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// The shared folder belongs to whom Plex runs as, and root does what the journal in it says. So a journal counts only
// if nobody else can have written it: it and its folder belong to root or to who runs this, and nobody else may write
// there. And it may only say what a plan can have made: all of it within the parts of the folders that it names.

// trusted returns an error if somebody else may have written what is open.
func (s *session) trusted(h Handle, name string) error {
	st, err := s.sys.StatHandle(h)
	name = quote(filepath.Join(s.into, name))
	switch {
	case err != nil:
		return fmt.Errorf("looking at %s: %w", name, err)
	case st.UID != 0 && int(st.UID) != os.Geteuid():
		return fmt.Errorf("%s is not relied on: it belongs to user %d, not to root nor to you; if that user has run plexctl share, "+
			"let that user do so again", name, st.UID)
	case st.Mode&othersWrite != 0 || st.Type == File && st.Links > 1:
		return fmt.Errorf("%s is not relied on: others than its owner may have written it", name)
	}
	return nil
}

// othersWrite is the permission of the group and of everybody to write.
const othersWrite = 0o022

// errNoPlan is that a journal says what no plan does.
var errNoPlan = errors.New("the journal is of no plan that plexctl makes: nothing is done")

// check returns an error unless the run is one that a plan can have made.
func (r *Run) check() error {
	folders, names := []Path{r.Shared}, []string{filepath.Join(r.Root, string(r.Shared))}
	for _, home := range r.Homes {
		folders, names = append(folders, home), append(names, filepath.Join(r.Root, string(home)))
	}
	if !filepath.IsAbs(r.Root) || len(r.Homes) == 0 || commonParent(names) != r.Root {
		return errNoPlan
	}
	for _, folder := range folders {
		if !folder.inside() {
			return errNoPlan
		}
	}
	for i := range r.Ops {
		for _, p := range r.Ops[i].paths() {
			if !r.mayTouch(folders, p) {
				return fmt.Errorf("%w, as that touches %s", errNoPlan, quote(filepath.Join(r.Root, string(p))))
			}
		}
	}
	return nil
}

// inside reports whether a path stays below the common parent.
func (p Path) inside() bool {
	return p != "." && path.Clean(string(p)) == string(p) && filepath.IsLocal(string(p))
}

// paths are all that an operation touches.
func (o *Op) paths() (all []Path) {
	if o.To != "" {
		all = append(all, o.To)
	}
	if o.From != "" {
		all = append(all, o.From)
	}
	for _, t := range o.Twins {
		all = append(all, t.File, t.Of)
	}
	return all
}

// mayTouch reports whether a path is one of the folders, whose times are set, or is within one of its parts, or where
// those are kept.
func (r *Run) mayTouch(folders []Path, p Path) bool {
	if !p.inside() {
		return false
	}
	return slices.ContainsFunc(folders, func(folder Path) bool {
		below, ok := strings.CutPrefix(string(p), string(folder)+"/")
		if !ok {
			return p == folder
		}
		name, _, _ := strings.Cut(below, "/")
		return slices.ContainsFunc([]Part{Media, Metadata}, func(part Part) bool {
			return name == string(part) || strings.HasPrefix(name, string(part)) && strings.HasSuffix(name, kept+r.Stamp)
		})
	})
}

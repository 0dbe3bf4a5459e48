package share

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"plexha/cmd/internal/command"
)

// library is where a Plex Media Server has its folder, within its config folder.
const library = "Library/Application Support/Plex Media Server"

// node is a node as the command line names it.
type node struct {
	name   string
	home   string // its Plex Media Server folder
	config string // its config folder; empty if it was not named
}

// resolve finds a node's Plex Media Server folder.
func (p pair) resolve() (node, error) {
	dir, err := filepath.Abs(p.dir)
	if err != nil {
		return node{}, err
	}
	if isDir(filepath.Join(dir, library)) {
		return node{p.name, filepath.Join(dir, library), dir}, nil
	}
	for _, has := range []string{"Plug-in Support", "Preferences.xml", string(Metadata), string(Media)} {
		if _, err := os.Lstat(filepath.Join(dir, has)); err == nil {
			config, _ := strings.CutSuffix(dir, "/"+library)
			if config == dir {
				config = ""
			}
			return node{p.name, dir, config}, nil
		}
	}
	for _, below := range []string{"data", "config"} {
		if isDir(filepath.Join(dir, below, library)) {
			return node{}, fmt.Errorf("the config folder of %s is %s: name that", p.name, quote(filepath.Join(dir, below)))
		}
	}
	return node{}, fmt.Errorf("%s holds no %q, nor is it that folder: name the config folder of %s", quote(dir), library, p.name)
}

func isDir(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.IsDir()
}

// commonParent returns the folder that holds all of these.
func commonParent(names []string) string {
	parent := filepath.Dir(names[0])
	for _, name := range names {
		for parent != "/" && !strings.HasPrefix(name, parent+"/") {
			parent = filepath.Dir(parent)
		}
	}
	return parent
}

// pathIn returns an absolute name as a path below the parent.
func pathIn(parent, name string) Path {
	return Path(strings.TrimPrefix(strings.TrimPrefix(name, parent), "/"))
}

// prepared is all that a plan is made of, and the plan.
type prepared struct {
	*disk

	nodes  []node
	task   *Task
	plan   *Plan
	digest string
}

// prepare reads the trees, and decides what is to be done. What speaks against it is in the findings.
func (s *session) prepare(ctx context.Context, stamp string) (*prepared, error) {
	p, err := s.open()
	if err != nil {
		return nil, err
	}
	scan := newScanner(p.disk, &s.Findings)
	p.task = &Task{Mode: s.mode, Parts: s.parts(), Targets: map[Part]*Entry{}, Stamp: stamp}
	p.task.Shared = pathIn(p.root, s.into)
	if err := s.layout(ctx, p, scan); err != nil {
		return p, err
	}
	if len(s.Refused) > 0 {
		return p, nil
	}
	compare := newCopier(ctx, p.disk, func(Amount) {})
	meter := newMeter(s.errw, Amount{})
	defer meter.end()
	p.task.Equal = func(a, b *Entry) (bool, error) {
		same, err := compare.files(a.Path(), b.Path(), a.Stat.Size)
		meter.moved(Amount{1, a.Stat.Size})
		return same, err
	}
	trees := scan.sum.Sum(nil)
	if p.plan, err = p.task.Plan(); err != nil {
		return p, err
	}
	p.digest = p.plan.Digest(stamp, trees)
	s.room(p)
	return p, nil
}

// files reports whether two files have the same content.
func (c *copier) files(a, b Path, size int64) (same bool, err error) {
	err = c.inFolder(a, func(at Handle, name string) error {
		return c.inFolder(b, func(bt Handle, other string) error {
			same, err = c.sameFile(spot{at, name, ""}, spot{bt, other, ""}, size)
			return err
		})
	})
	return same, err
}

func (s *session) parts() []Part {
	switch {
	case s.mediaOnly:
		return []Part{Media}
	case s.metadataOnly:
		return []Part{Metadata}
	default:
		return []Part{Media, Metadata}
	}
}

// open finds all folders, and opens their common parent.
func (s *session) open() (*prepared, error) {
	if len(s.nodes) < 1 {
		return nil, command.Usagef("no nodes: name each one with -node NAME=DIR")
	}
	var err error
	if s.into, err = filepath.Abs(s.into); err != nil {
		return nil, err
	}
	if owner := serverFolder(s.into); owner != "" {
		return nil, fmt.Errorf("%s is a server's own folder, or in one: choose one beside it for what is shared", quote(owner))
	}
	p := &prepared{}
	names := []string{s.into}
	for _, pair := range s.nodes {
		n, err := pair.resolve()
		if err != nil {
			return nil, err
		}
		p.nodes, names = append(p.nodes, n), append(names, n.home)
		if within := pathIn("/", s.into).Within(pathIn("/", n.home)); within {
			return nil, fmt.Errorf("the shared folder %s is in the server folder of %s: choose one beside it", quote(s.into), n.name)
		}
		if pathIn("/", n.home).Within(pathIn("/", s.into)) {
			return nil, fmt.Errorf("the server folder of %s is in the shared folder %s: choose one beside it", n.name, quote(s.into))
		}
		if mountedInto(s.into, n.home) {
			return nil, fmt.Errorf("the shared folder %s and the server folder of %s are in one another, by a mount: choose one beside it",
				quote(s.into), n.name)
		}
	}
	p.disk, err = openDisk(s.sys, commonParent(names))
	return p, err
}

// serverFolder returns the folder of a server, whichever it is, if a folder is that, is in it, or is its config folder.
func serverFolder(dir string) string {
	if isDir(filepath.Join(dir, library)) {
		return dir
	}
	for at := dir; at != "/"; at = filepath.Dir(at) {
		for _, has := range []string{"Preferences.xml", "Plug-in Support", pidFile} {
			if _, err := os.Lstat(filepath.Join(at, has)); err == nil {
				return at
			}
		}
	}
	return ""
}

// mountedInto reports whether the shared folder is in a server's, or a server's in it, under another name.
func mountedInto(into, home string) bool {
	for _, name := range []string{home, filepath.Join(home, string(Media)), filepath.Join(home, string(Metadata))} {
		if isAbove(name, into) {
			return true
		}
	}
	return isAbove(into, home)
}

// isAbove reports whether a folder is the other one, or holds it.
func isAbove(folder, other string) bool {
	st, err := os.Lstat(folder)
	for at := other; err == nil && at != "/"; at = filepath.Dir(at) {
		if there, err := os.Stat(at); err == nil && os.SameFile(st, there) {
			return true
		}
	}
	return false
}

// layout reads what is in all of the folders.
func (s *session) layout(ctx context.Context, p *prepared, scan *scanner) error {
	ground, err := s.ground(p)
	if err != nil {
		return err
	}
	for _, part := range p.task.Parts {
		if p.task.Targets[part], err = s.target(ctx, p, scan, part, ground); err != nil {
			return err
		}
	}
	for _, n := range p.nodes {
		h, err := s.home(ctx, p, scan, n, ground)
		if err != nil {
			return err
		}
		p.task.Homes = append(p.task.Homes, h)
	}
	s.owners(p)
	return nil
}

// ground opens the shared folder, or the one that will hold it.
func (p *prepared) ground() (Path, Handle, error) {
	at := p.task.Shared
	h, err := p.folder(at)
	if missing(err) {
		at, _ = at.Split()
		h, err = p.folder(at)
	}
	return at, h, err
}

// ground returns what is known of the shared folder, or of the one that will hold it.
func (s *session) ground(p *prepared) (Stat, error) {
	at, h, err := p.ground()
	if err != nil {
		return Stat{}, fmt.Errorf("looking at the folder that will hold the shared one: %w", err)
	}
	defer s.sys.Close(h)
	space, err := s.sys.Space(h)
	if err != nil {
		return Stat{}, err
	}
	s.userSpace(p, at, space)
	if space.ReadOnly {
		s.refuse("%s is on a file system that is mounted read-only", p.show(at))
	} else if err := s.sys.Writable(h); err != nil {
		s.refuse("%s cannot be written: %v", p.show(at), err)
	}
	return s.sys.StatHandle(h)
}

// target reads what is shared already.
func (s *session) target(ctx context.Context, p *prepared, scan *scanner, part Part, ground Stat) (*Entry, error) {
	at := p.task.Shared.Join(string(part))
	st, err := p.stat(at)
	switch {
	case missing(err):
		return nil, nil
	case err != nil:
		return nil, err
	case st.Type != Folder:
		s.refuse("%s is a %s, and should be a folder", p.show(at), st.Type)
		return nil, nil
	case st.Mount != ground.Mount || st.Device != ground.Device:
		s.refuse("%s is a mount point: name the folder that is mounted there, or unmount it", p.show(at))
		return nil, nil
	}
	return scan.scan(ctx, at)
}

// home reads what a node has.
func (s *session) home(ctx context.Context, p *prepared, scan *scanner, n node, ground Stat) (Home, error) {
	h := Home{Node: n.name, Path: pathIn(p.root, n.home), Places: map[Part]Place{}, Links: map[Part]Path{}}
	var err error
	if h.Stat, err = p.stat(h.Path); err != nil {
		return h, err
	}
	for _, other := range p.task.Homes {
		if other.Stat.Node == h.Stat.Node && other.Stat.Device == h.Stat.Device {
			return h, fmt.Errorf("%s and %s have one server folder, %s: each needs its own", other.Node, n.name, p.show(h.Path))
		}
	}
	h.Copies = s.copies || h.Stat.Device != ground.Device || h.Stat.Mount != ground.Mount
	if err := s.writable(p, h.Path); err != nil {
		return h, err
	}
	walled, err := s.walled(p, h.Path)
	if err != nil {
		return h, err
	}
	h.Copies = h.Copies || walled
	for _, part := range p.task.Parts {
		if s.mode == Symlink {
			s.link(&h, n, part)
		}
		if h.Places[part], err = s.place(ctx, p, scan, &h, part); err != nil {
			return h, err
		}
	}
	return h, nil
}

// walled reports whether a mount is between a node's folder and the shared one: kernels before Linux 5.8 give mounts no
// number. What else a file system does not rename comes up when it is tried.
func (s *session) walled(p *prepared, path Path) (bool, error) {
	_, ground, err := p.ground()
	if err != nil {
		return false, err
	}
	defer s.sys.Close(ground)
	h, err := p.folder(path)
	if err != nil {
		return false, err
	}
	defer s.sys.Close(h)
	return elsewhere(s.sys.Renames(h, ground)), nil
}

// writable looks whether the entries of a node's folder may be changed.
func (s *session) writable(p *prepared, path Path) error {
	h, err := p.folder(path)
	if err != nil {
		return err
	}
	defer s.sys.Close(h)
	if err := s.sys.Writable(h); err != nil {
		s.refuse("%s cannot be written: %v", p.show(path), err)
	}
	space, err := s.sys.Space(h)
	if err != nil {
		return nil // the operations say so
	}
	s.userSpace(p, path, space)
	if space.ReadOnly {
		s.refuse("%s is on a file system that is mounted read-only", p.show(path))
	}
	if s.layered = s.layered || space.Layered; space.Layered {
		s.note("%s is on a file system of layers (overlayfs), which may not rename its folders: then all is taken back", p.show(path))
	}
	return nil
}

// userSpace tells of what no journal can do anything about: syncfs reaches the kernel's part of such a file system alone.
func (s *session) userSpace(p *prepared, at Path, space Space) {
	if space.UserSpace {
		s.note("%s is on a file system of FUSE, such as mergerfs or shfs: it may have on its disks less than it says, so that what a "+
			"power cut leaves may be neither to be gone on with nor to be undone; name the folders on the disks themselves", p.show(at))
	}
}

// link finds what a node's link has to say, so that it leads to the shared folder where the server sees it.
func (s *session) link(h *Home, n node, part Part) {
	switch {
	case s.seenAs != "" && (pathIn("/", s.seenAs).Within(pathIn("/", inContainer)) || pathIn("/", s.seenAs).Within(pathIn("/", n.home))):
		s.refuse("-seen-as %s is in the server's own folder of %s: a link there would lead to itself", quote(s.seenAs), n.name)
	case s.seenAs != "":
		h.Links[part] = Path(filepath.Join(s.seenAs, string(part)))
	case n.config != "" && strings.HasPrefix(s.into, n.config+"/"):
		rel, _ := filepath.Rel(n.home, filepath.Join(s.into, string(part))) // both are absolute
		h.Links[part] = Path(rel)
	default:
		sees := n.config
		if sees == "" {
			sees = n.home
		}
		s.refuse("a link of %s to %s would lead nowhere in a container, which sees only %s: mount the shared folder there too, "+
			"and say with -seen-as where it is then; or take -mode bind", n.name, quote(s.into), quote(sees))
	}
}

// place reads what stands where a node has a part.
func (s *session) place(ctx context.Context, p *prepared, scan *scanner, h *Home, part Part) (Place, error) {
	at := h.Path.Join(string(part))
	st, err := p.stat(at)
	switch {
	case missing(err):
		return Place{}, nil
	case err != nil:
		return Place{}, err
	case st.Type == Link:
		return s.linkThere(p, h, part, at, st)
	case st.Type != Folder:
		s.refuse("%s is a %s, and should be a folder", p.show(at), st.Type)
		return Place{}, nil
	}
	shared := p.task.Targets[part]
	if shared != nil && shared.Stat.Node == st.Node && shared.Stat.Device == st.Device {
		return Place{Shared: true}, nil
	}
	if st.Mount != h.Stat.Mount || st.Device != h.Stat.Device {
		s.refuse("%s is a mount point: unmount it first", p.show(at))
		return Place{}, nil
	}
	tree, err := scan.scan(ctx, at)
	return Place{Tree: tree}, err
}

// linkThere looks at a link where a folder should be. One that leads to the shared folder, wherever it is seen, may be
// replaced.
func (s *session) linkThere(p *prepared, h *Home, part Part, at Path, st Stat) (Place, error) {
	target, err := p.readlink(at)
	if err != nil {
		return Place{}, err
	}
	shared := filepath.Join(s.into, string(part))
	full := target
	if !filepath.IsAbs(full) {
		full = filepath.Join(p.abs(h.Path), target)
	}
	ours := []string{shared, string(h.Links[part])}
	if s.seenAs != "" {
		ours = append(ours, filepath.Join(s.seenAs, string(part)))
	}
	if slices.Contains(ours, filepath.Clean(full)) || slices.Contains(ours, target) {
		return Place{Link: Path(target), Stat: st}, nil
	}
	s.refuse("%s is a link to %s, which is not the shared folder: put a folder there, or remove it", p.show(at), quote(target))
	return Place{}, nil
}

// owners tells of nodes whose files belong to different users.
func (s *session) owners(p *prepared) {
	first := p.task.Homes[0]
	for _, h := range p.task.Homes[1:] {
		if h.Stat.UID != first.Stat.UID || h.Stat.GID != first.Stat.GID {
			s.note("%s's folder belongs to %d:%d, %s's to %d:%d: give both servers one user and group (PUID and PGID), "+
				"else one cannot change what the other has written",
				first.Node, first.Stat.UID, first.Stat.GID, h.Node, h.Stat.UID, h.Stat.GID)
		}
		if h.Copies && !privileged() {
			s.note("only root gives files away: copies of %s's files will belong to you", h.Node)
		}
	}
}

// nodeBytes is what an entry takes on a disk beside its content, at most where that is known: an invented number.
const nodeBytes = 4 << 10

// room looks whether the disk holds what has to be copied.
func (s *session) room(p *prepared) {
	need := p.plan.Need
	at, h, err := p.ground()
	if err != nil || need.Entries == 0 {
		return
	}
	defer s.sys.Close(h)
	space, err := s.sys.Space(h)
	if err != nil {
		return
	}
	if bytes := need.Bytes + need.Entries*nodeBytes; bytes > space.Bytes {
		s.refuse("%s has %s free, and the copies need %s", p.show(at), sizeOf(space.Bytes), sizeOf(bytes))
	}
	if space.Nodes >= 0 && need.Entries > space.Nodes {
		s.refuse("%s has room for %d files more, and %d are to be copied", p.show(at), space.Nodes, need.Entries)
	}
}

// refusal returns all that speaks against a run as one error.
func (s *session) refusal() error {
	if len(s.Refused) == 0 {
		return nil
	}
	return errors.New("nothing was done:\n  " + strings.Join(s.Refused, "\n  "))
}

package share

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Mode is how the nodes see the shared folders.
type Mode string

// The modes.
const (
	Bind    Mode = "bind"    // a mount over an empty folder
	Symlink Mode = "symlink" // a symbolic link
)

// Part is a folder of a Plex Media Server that may be shared.
type Part string

// The parts.
const (
	Media    Part = "Media"
	Metadata Part = "Metadata"
)

// Place is what stands where a node has one of its parts.
type Place struct {
	Tree   *Entry // nil: nothing, or nothing of its own
	Link   Path   // where a link there leads to, which is the shared folder
	Stat   Stat   // of the link
	Shared bool   // the shared folder is mounted there
}

// Home is a node's Plex Media Server folder.
type Home struct {
	Node   string
	Path   Path
	Stat   Stat
	Places map[Part]Place
	Links  map[Part]Path // with mode symlink: what a link there leads to
	Copies bool          // its files cannot be renamed into the shared folder
}

// Task is all that decides what is to be done.
type Task struct {
	Mode    Mode
	Shared  Path
	Parts   []Part
	Homes   []Home
	Targets map[Part]*Entry // what is in the shared folder; nil: nothing
	// Stamp ends the names of what is kept.
	Stamp string
	// Equal reports whether two files of one size have the same content. It reads them where they are now.
	Equal func(a, b *Entry) (bool, error)
}

// kept is between the name of a folder and the stamp, where an original is kept.
const kept = ".pre-share-"

// Conflict is two entries of one path that are not the same.
type Conflict struct {
	Path Path   `json:"path"` // of what is shared
	Why  string `json:"why"`  // it is that one
	Kept Path   `json:"kept"` // where the other one will be
}

// Plan is what is to be done.
type Plan struct {
	Ops       []Op
	Conflicts []Conflict
	Same      Amount // what several nodes have alike
	Need      Amount // what has to be copied, a file with several names once
}

// planner makes a plan.
type planner struct {
	*Task
	Plan

	part    Part
	home    *Home
	aside   Path               // where losers of the shared folder are kept that a file of this node replaces
	winners int                // how many nodes have replaced one by now
	asides  map[Path]bool      // the folders in there that are made
	copied  map[[2]uint64]Path // files with several names, and where the first one is by then
	stamped []Op               // the times to set at the end
}

// Plan decides what is to be done. It takes the trees over: they are in no state to be used afterwards.
//
// The first node's tree becomes the shared one. What another node alone has goes there, in as few operations as there
// are whole folders; what both have alike stays with the node's kept original; of two that differ the newer is shared
// and the older kept; and of two of different types the shared one stays.
func (t *Task) Plan() (*Plan, error) {
	p := planner{Task: t, asides: map[Path]bool{}, copied: map[[2]uint64]Path{}}
	for _, part := range t.Parts {
		p.part, p.winners = part, 0
		p.ground()
		for i := range t.Homes {
			p.home, p.aside = &t.Homes[i], ""
			if err := p.place(p.home.Places[part]); err != nil {
				return nil, err
			}
		}
	}
	if len(p.Ops) > 0 {
		p.keepTimes()
	}
	return &p.Plan, nil
}

func (p *planner) do(o Op) { p.Ops = append(p.Ops, o) }

func (p *planner) target() Path { return p.Shared.Join(string(p.part)) }

func (p *planner) mount() Path { return p.home.Path.Join(string(p.part)) }

// ground makes the shared folder if no node has one that could become it.
func (p *planner) ground() {
	if p.Targets[p.part] != nil {
		return
	}
	for _, h := range p.Homes {
		if tree := h.Places[p.part].Tree; tree != nil && len(tree.Children) > 0 {
			return
		}
	}
	owner := p.Homes[0].Stat
	if tree := p.Homes[0].Places[p.part].Tree; tree != nil {
		owner = tree.Stat
	}
	p.do(folderLike(p.target(), owner))
	p.Targets[p.part] = &Entry{Name: string(p.part), Place: p.target(), Stat: owner}
}

// folderLike makes a folder that belongs to whom another one does.
func folderLike(to Path, st Stat) Op {
	return Op{Do: MakeFolder, To: to, Mode: st.Mode, UID: st.UID, GID: st.GID}
}

// place decides what becomes of one part of a node.
func (p *planner) place(now Place) error {
	tree, link := now.Tree, p.home.Links[p.part]
	switch {
	case now.Shared:
		return nil
	case now.Link != "":
		if p.Mode == Symlink && now.Link == link {
			return nil
		}
		p.do(Op{Do: DropLink, To: p.mount(), Target: now.Link, UID: now.Stat.UID, GID: now.Stat.GID})
		p.stamped = append(p.stamped, Op{Do: SetTimes, From: p.mount(), Old: &Stamps{now.Stat.Access, now.Stat.Mod}})
		p.point(p.home.Stat, 0)
		return nil
	case tree == nil:
		p.point(p.home.Stat, 0)
		return nil
	case len(tree.Children) > 0:
		return p.share(tree)
	case p.Mode == Symlink:
		st := tree.Stat
		p.do(Op{Do: DropFolder, To: p.mount(), Mode: st.Mode, UID: st.UID, GID: st.GID})
		p.stamped = append(p.stamped, Op{Do: SetTimes, From: p.mount(), Old: &Stamps{st.Access, st.Mod}})
		p.point(st, 0)
	}
	return nil
}

// share makes a node's tree part of the shared one, and keeps what remains.
func (p *planner) share(tree *Entry) error {
	whole := p.Targets[p.part] == nil
	if whole {
		p.take(tree, p.target())
		p.Targets[p.part] = tree
	} else if err := p.merge(p.Targets[p.part], p.target(), tree); err != nil {
		return err
	}
	if !whole || p.home.Copies {
		o := Op{Do: MoveEntry, From: p.mount(), To: p.home.Path.Join(string(p.part) + kept + p.Stamp), Node: tree.Stat.Node}
		o.Entries = 1
		p.do(o)
	}
	p.point(tree.Stat, tree.Stat.Node)
	return nil
}

// point makes what leads from the node to the shared folder.
func (p *planner) point(owner Stat, was uint64) {
	if p.Mode == Symlink {
		p.do(Op{Do: MakeLink, To: p.mount(), Target: p.home.Links[p.part], UID: owner.UID, GID: owner.GID})
		return
	}
	o := folderLike(p.mount(), owner)
	o.Node, o.Point = was, true
	p.do(o)
}

// take brings an entry to where nothing is.
func (p *planner) take(e *Entry, to Path) {
	o := Op{Do: MoveEntry, From: e.Path(), To: to, Node: e.Stat.Node, Is: e.Stat.Type, Amount: e.amount()}
	if p.home.Copies {
		o.Do, o.Node = CopyEntry, 0
		o.Twins = p.twins(e, o.From, to)
	}
	p.do(o)
}

// twins returns which files of a tree that is copied are hard links of ones that were copied before, and adds up what
// the others need.
func (p *planner) twins(e *Entry, from, to Path) []Twin {
	var twins []Twin
	mine := map[[2]uint64]bool{}
	e.each(func(c *Entry) {
		key := c.key()
		switch {
		case c.Stat.Type != File:
			p.Need.add(Amount{Entries: 1})
			return
		case c.Stat.Links < 2:
			p.Need.add(Amount{1, c.Stat.onDisk()})
			return
		case mine[key]:
			return
		}
		at := c.Path()
		if first, ok := p.copied[key]; ok {
			twins = append(twins, Twin{at, first})
			return
		}
		p.Need.add(Amount{1, c.Stat.onDisk()})
		mine[key] = true
		p.copied[key] = to + at[len(from):]
	})
	return twins
}

// merge brings what a folder alone has into the shared one, and decides about what both have.
func (p *planner) merge(shared *Entry, at Path, own *Entry) error {
	var taken []*Entry
	changed := false
	for _, e := range own.Children {
		to := at.Join(e.Name)
		there := shared.child(e.Name)
		var err error
		switch {
		case there == nil:
			if p.home.Copies && e.Stat.Type == Special {
				continue // it stays with the original, and has been told
			}
			p.take(e, to)
			taken = append(taken, e)
		case there.Stat.Type != e.Stat.Type || e.Stat.Type == Special:
			p.lose(e, there, to)
		case e.Stat.Type == Folder:
			err = p.merge(there, to, e)
		case e.Stat.Type == Link && there.Target != e.Target:
			p.lose(e, there, to)
		case e.Stat.Type == Link:
			p.Same.Entries++
		default:
			var won bool
			won, err = p.judge(shared, there, e, to)
			changed = changed || won
		}
		if err != nil {
			return err
		}
	}
	if len(taken) > 0 || changed {
		p.keepFolder(shared, at, own)
	}
	shared.Children = append(shared.Children, taken...)
	slices.SortFunc(shared.Children, func(a, b *Entry) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

// keptAt returns where an entry of a node will be kept.
func (p *planner) keptAt(e *Entry) Path {
	return p.home.Path.Join(string(p.part)+kept+p.Stamp) + e.Path()[len(p.mount()):]
}

// lose keeps an entry of the node, of the same path as a shared one.
func (p *planner) lose(own, there *Entry, at Path) {
	why := "the other, of " + p.home.Node + ", is a " + own.Stat.Type.String()
	if own.Stat.Type == there.Stat.Type {
		why = fmt.Sprintf("it is of %s, that of %s of %s", there.Stat.Mod, p.home.Node, own.Stat.Mod)
	}
	p.Conflicts = append(p.Conflicts, Conflict{at, why, p.keptAt(own)})
}

// judge decides about a file that both have, and reports whether the node's is shared from now on.
func (p *planner) judge(folder, there, own *Entry, to Path) (won bool, err error) {
	same := there.Stat.Size == own.Stat.Size
	if same && (there.Stat.Node != own.Stat.Node || there.Stat.Device != own.Stat.Device) {
		if same, err = p.Equal(there, own); err != nil {
			return false, err
		}
	}
	switch {
	case same:
		p.Same.add(Amount{1, own.Stat.Size})
		return false, nil
	case !own.Stat.Mod.After(there.Stat.Mod):
		p.lose(own, there, to)
		return false, nil
	}
	loser := p.loserAt(to)
	p.asideFolders(loser, folder.Stat)
	o := Op{Do: MoveEntry, From: to, To: loser, Node: p.nodeOf(there, to), Is: there.Stat.Type, Amount: there.amount()}
	p.do(o)
	if key := there.key(); p.copied[key] == to {
		p.copied[key] = loser
	}
	p.take(own, to)
	i, _ := slices.BinarySearchFunc(folder.Children, own.Name, func(c *Entry, name string) int { return cmp.Compare(c.Name, name) })
	folder.Children[i] = own
	why := fmt.Sprintf("it is that of %s, of %s, the other of %s", p.home.Node, own.Stat.Mod, there.Stat.Mod)
	p.Conflicts = append(p.Conflicts, Conflict{to, why, loser})
	return true, nil
}

// loserAt returns where a loser of the shared folder is kept. Each node whose files win has its own folder for them: a
// second one may win against the first.
func (p *planner) loserAt(to Path) Path {
	if p.aside == "" {
		p.winners++
		name := string(p.part)
		if p.winners > 1 {
			name = fmt.Sprintf("%s-%d", name, p.winners)
		}
		p.aside = p.Shared.Join(name + kept + p.Stamp)
	}
	return p.aside + to[len(p.target()):]
}

// nodeOf returns the inode that a shared entry will have by then, 0 if it is a copy that is not made yet.
func (p *planner) nodeOf(e *Entry, now Path) uint64 {
	for _, h := range p.Homes {
		if h.Copies && e.Path() != now && e.Path().Within(h.Path) {
			return 0
		}
	}
	return e.Stat.Node
}

// asideFolders makes the folders that hold a loser.
func (p *planner) asideFolders(loser Path, like Stat) {
	var missing []Path
	for f, _ := loser.Split(); f.Within(p.aside) && !p.asides[f]; f, _ = f.Split() {
		missing = append(missing, f)
		p.asides[f] = true
	}
	for _, f := range slices.Backward(missing) {
		p.do(folderLike(f, like))
	}
}

// keepFolder has the times of folders kept that get or lose entries: the shared one's is the later of both.
func (p *planner) keepFolder(shared *Entry, at Path, own *Entry) {
	old := Stamps{shared.Stat.Access, shared.Stat.Mod}
	both := old
	if own.Stat.Mod.After(both.Mod) {
		both.Mod = own.Stat.Mod
	}
	p.stamped = append(p.stamped,
		Op{Do: SetTimes, From: shared.Path(), To: at, Old: &old, New: &both},
		Op{Do: SetTimes, From: own.Path(), Old: &Stamps{own.Stat.Access, own.Stat.Mod}})
}

// keepTimes has all times set at the end, and those of the nodes' folders by an undo. The first time that a folder is
// met is how it was.
func (p *planner) keepTimes() {
	last, old := map[Path]int{}, map[Path]bool{}
	for i, o := range p.stamped {
		if o.To != "" {
			last[o.To] = i
		}
	}
	for i, o := range p.stamped {
		if o.To != "" && last[o.To] != i {
			o.To, o.New = "", nil
		}
		if old[o.From] {
			o.From, o.Old = "", nil
		}
		old[o.From] = true
		if o.From != "" || o.To != "" {
			p.do(o)
		}
	}
	for _, h := range p.Homes {
		p.do(Op{Do: SetTimes, From: h.Path, Old: &Stamps{h.Stat.Access, h.Stat.Mod}})
	}
}

// Digest returns a name for the plan and the trees that it was made of, whatever the stamp.
func (p *Plan) Digest(stamp string, trees []byte) string {
	h := sha256.New()
	_, _ = h.Write(trees) // a hash takes everything
	for _, o := range p.Ops {
		o.From, o.To = unstamped(o.From, stamp), unstamped(o.To, stamp)
		o.Old, o.New = nil, nil    // a look at a folder changes when it was last looked at
		line, _ := json.Marshal(o) //nolint:errchkjson // it holds nothing that JSON cannot
		_, _ = h.Write(append(line, '\n'))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func unstamped(p Path, stamp string) Path {
	return Path(strings.ReplaceAll(string(p), kept+stamp, kept))
}

package share

import (
	"encoding/base64"
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Path is a name below the common parent of all folders: elements with / between them, of any bytes. In the journal it
// is base64.
type Path string

// Join returns the path of an entry of the folder.
func (p Path) Join(names ...string) Path {
	return Path(path.Join(append([]string{string(p)}, names...)...))
}

// Split returns the folder that holds it, "." for the common parent, and the name in there.
func (p Path) Split() (folder Path, name string) {
	return Path(path.Dir(string(p))), path.Base(string(p))
}

// Within reports whether it is the folder, or below it.
func (p Path) Within(folder Path) bool {
	return p == folder || folder == "." || strings.HasPrefix(string(p), string(folder)+"/")
}

// MarshalText implements [encoding.TextMarshaler].
func (p Path) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, []byte(p)), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *Path) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.AppendDecode(nil, text)
	*p = Path(b)
	return err
}

// quote returns a name as it may be shown on a terminal, and pasted into a shell if it is text.
func quote(name string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/.,_+:@%=-", r)
	}
	switch {
	case name != "" && utf8.ValidString(name) && strings.IndexFunc(name, func(r rune) bool { return !plain(r) }) < 0:
		return name
	case utf8.ValidString(name) && strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) < 0:
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	default:
		return strconv.Quote(name)
	}
}

// Verb is what an operation does.
type Verb string

// The operations. Each can be found to be done or not by looking at the disk, so that a run can go on or be undone
// after an end at any point.
const (
	MakeFolder Verb = "mkdir"  // make the folder To
	MoveEntry  Verb = "move"   // rename From to To, which does not exist
	CopyEntry  Verb = "copy"   // copy From to To, which does not exist, aside and then by a rename
	MakeLink   Verb = "link"   // make To a symbolic link to Target
	DropLink   Verb = "unlink" // remove the symbolic link To, which leads to Target
	DropFolder Verb = "rmdir"  // remove the empty folder To
	SetTimes   Verb = "times"  // give To the times New; an undo gives From the times Old
)

// Op is one operation.
type Op struct {
	Do   Verb `json:"do"`
	From Path `json:"from,omitempty"`
	To   Path `json:"to,omitempty"`
	// Node is the inode of what is moved, 0 if it is not known yet; of a folder that is made, that of what stood there.
	Node   uint64  `json:"node,omitempty"`
	Is     Type    `json:"is,omitempty"`    // the type of what is moved or copied
	Point  bool    `json:"point,omitempty"` // of a folder that is made: it is a node's mount point
	Target Path    `json:"target,omitempty"`
	Mode   uint32  `json:"mode,omitempty"`
	UID    uint32  `json:"uid,omitempty"`
	GID    uint32  `json:"gid,omitempty"`
	Old    *Stamps `json:"old,omitempty"`
	New    *Stamps `json:"new,omitempty"`
	Twins  []Twin  `json:"twins,omitempty"`
	Amount `json:"amount,omitzero"`
}

// Stamps are the times of a folder.
type Stamps struct{ Access, Mod Moment }

// Twin is a file of a copied tree that is a hard link of one that an earlier operation has copied.
type Twin struct{ File, Of Path }

// Amount is how much is moved or copied.
type Amount struct {
	Entries int64 `json:"entries,omitempty"`
	Bytes   int64 `json:"bytes,omitempty"`
}

// add adds up.
func (a *Amount) add(b Amount) { a.Entries, a.Bytes = a.Entries+b.Entries, a.Bytes+b.Bytes }

// String returns the amount as people read it.
func (a Amount) String() string {
	entries := fmt.Sprintf("%d entries", a.Entries)
	if a.Entries == 1 {
		entries = "1 entry"
	}
	return entries + ", " + sizeOf(a.Bytes)
}

// sizeOf returns a number of bytes as people read it.
func sizeOf(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, units := float64(n)/1000, []string{"kB", "MB", "GB", "TB"}
	for len(units) > 1 && v >= 999.5 {
		v, units = v/1000, units[1:]
	}
	return fmt.Sprintf("%.3g %s", v, units[0])
}

// text returns the operation as a line for people. Paths are shown in full by show.
func (o *Op) text(show func(Path) string) string {
	switch o.Do {
	case MoveEntry, CopyEntry:
		return fmt.Sprintf("%-6s  %s -> %s  (%s)", o.Do, show(o.From), show(o.To), o.Amount)
	case MakeLink:
		return fmt.Sprintf("%-6s  %s -> %s", o.Do, show(o.To), quote(string(o.Target)))
	case MakeFolder:
		what := ""
		if o.Point {
			what = "  (an empty mount point)"
		}
		return fmt.Sprintf("%-6s  %s%s", o.Do, show(o.To), what)
	default:
		return fmt.Sprintf("%-6s  %s", o.Do, show(o.To))
	}
}

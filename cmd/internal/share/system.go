package share

import (
	"errors"
	"io/fs"
	"time"
)

// Handle is an open file or folder of a [System].
type Handle int

// None is no handle. As the folder in which a name is looked up, it is the folder in which the program runs, so that
// an absolute name can be opened.
const None Handle = -1

// Type is what an entry of a folder is.
type Type uint8

// The types.
const (
	Folder Type = iota
	File
	Link
	Special // a socket, a pipe or a device
)

// String returns the type as people read it.
func (t Type) String() string { return [...]string{"folder", "file", "link", "special file"}[t] }

// Moment is a time of a file system, to the nanosecond and beyond the years of a [time.Time]'s UnixNano.
type Moment struct{ Sec, Nano int64 }

// After reports whether it is later than another.
func (m Moment) After(o Moment) bool { return m.Sec > o.Sec || m.Sec == o.Sec && m.Nano > o.Nano }

// String returns the time as people here read it.
func (m Moment) String() string { return time.Unix(m.Sec, m.Nano).Local().Format(time.DateTime) }

// Stat is what a file system knows of an entry.
type Stat struct {
	Type         Type
	Mode         uint32 // the permissions, with setuid, setgid and sticky bits
	UID, GID     uint32
	Size         int64
	Blocks       int64 // of 512 bytes
	Access, Mod  Moment
	Device, Node uint64
	Links        uint32
	Mount        uint64 // which mount it is in; 0 where the kernel does not say
}

// onDisk returns how much of a file has to be stored: not its holes.
func (s *Stat) onDisk() int64 { return min(s.Size, s.Blocks*512) }

// Attr is an extended attribute.
type Attr struct {
	Name  string
	Value []byte
}

// Space is what is left on a file system.
type Space struct {
	Bytes, Nodes int64 // Nodes is negative where there is no limit
	ReadOnly     bool
	Layered      bool // an overlayfs, where folders of a lower layer cannot be renamed
	UserSpace    bool // a program keeps it, which need not have on a disk what it was asked to
}

// ErrAttr is that a file system holds no such attributes, or that we may not set them.
var ErrAttr = errors.New("attributes are not held")

// System is what is asked of the kernel. Each method is one system call, or one that changes something and some that
// do not, so that whoever wraps it can end the program between any two changes.
//
// No name has more than one element, and no method follows a link, but for an absolute name that [System.OpenFolder]
// gets with None.
type System interface {
	OpenFolder(at Handle, name string) (Handle, error)
	OpenFile(at Handle, name string) (Handle, error)   // to read
	Create(at Handle, name string) (Handle, error)     // to read and write, for us alone; it must not exist
	OpenAppend(at Handle, name string) (Handle, error) // to read and write; made if it does not exist
	Close(h Handle)

	Names(h Handle) ([]string, error) // of a folder's entries, in no order
	Stat(at Handle, name string) (Stat, error)
	StatHandle(h Handle) (Stat, error)
	Readlink(at Handle, name string) (string, error)
	Attrs(h Handle) ([]Attr, error)
	LinkAttrs(at Handle, name string) ([]Attr, error) // of a symbolic link
	Readable(at Handle, name string) error
	Writable(h Handle) error // whether a folder's entries may be changed
	Space(h Handle) (Space, error)
	Renames(from, to Handle) error // whether entries of a folder may be renamed into another, as far as mounts say

	ReadAt(h Handle, p []byte, off int64) (int, error)
	// Data returns the first run of data at or behind off, of a file that may have holes. The error is io.EOF if there
	// is none.
	Data(h Handle, off, size int64) (start, end int64, err error)

	WriteAt(h Handle, p []byte, off int64) error
	Truncate(h Handle, size int64) error
	Clone(to, from Handle) error // share the bytes of a file, where the file system can
	Mkdir(at Handle, name string, mode uint32) error
	Rename(at Handle, name string, toAt Handle, to string) error // never over something that exists
	Hardlink(at Handle, name string, toAt Handle, to string) error
	Symlink(target string, at Handle, name string) error
	Remove(at Handle, name string, t Type) error
	Chmod(h Handle, mode uint32) error
	Chown(at Handle, name string, uid, gid uint32) error
	ChownHandle(h Handle, uid, gid uint32) error
	SetTimes(at Handle, name string, access, mod Moment) error
	SetTimesHandle(h Handle, access, mod Moment) error
	SetAttr(h Handle, a Attr) error                   // [ErrAttr]
	SetLinkAttr(at Handle, name string, a Attr) error // [ErrAttr]
	Lock(h Handle) error                              // against other programs, until it is closed; [ErrLocked]

	Sync(h Handle) error     // one file or folder
	SyncDisk(h Handle) error // the whole file system that holds it
}

// ErrLocked is that another program does the same.
var ErrLocked = errors.New("another plexctl share works on this folder")

// missing reports whether an error is that there is no such entry.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

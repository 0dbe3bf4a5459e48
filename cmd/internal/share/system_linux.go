package share

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// kernel is Linux. Opening by hand instead of with [os.Root]: that follows links that stay within, opens each folder
// of a path anew, and has neither xattrs nor times of links, fsync of folders or renames that replace nothing.
type kernel struct{}

// thisSystem returns the machine's own.
func thisSystem() (System, error) { return kernel{}, nil }

// retry does a call again that a signal has cut short.
func retry[T any](call func() (T, error)) (T, error) {
	for {
		v, err := call()
		if !errors.Is(err, unix.EINTR) {
			return v, err
		}
	}
}

func again(call func() error) error {
	_, err := retry(func() (struct{}, error) { return struct{}{}, call() })
	return err
}

func (at Handle) fd() int {
	if at == None {
		return unix.AT_FDCWD
	}
	return int(at)
}

func open(at Handle, name string, flags int, mode uint32) (Handle, error) {
	fd, err := retry(func() (int, error) { return unix.Openat(at.fd(), name, flags|unix.O_CLOEXEC, mode) })
	if err != nil {
		return None, err
	}
	return Handle(fd), nil
}

func (kernel) OpenFolder(at Handle, name string) (Handle, error) {
	flags := unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW
	if at == None {
		flags &^= unix.O_NOFOLLOW
	}
	return open(at, name, flags, 0)
}

func (kernel) OpenFile(at Handle, name string) (Handle, error) {
	return open(at, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

func (kernel) Create(at Handle, name string) (Handle, error) {
	return open(at, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
}

func (kernel) OpenAppend(at Handle, name string) (Handle, error) {
	return open(at, name, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW, 0o600)
}

func (kernel) Close(h Handle) { _ = unix.Close(int(h)) }

func (kernel) Names(h Handle) ([]string, error) {
	if _, err := unix.Seek(int(h), 0, io.SeekStart); err != nil {
		return nil, err
	}
	var names []string
	var buf [8 << 10]byte
	for {
		n, err := retry(func() (int, error) { return unix.ReadDirent(int(h), buf[:]) })
		if err != nil || n <= 0 {
			return names, err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

func (k kernel) StatHandle(h Handle) (Stat, error) { return k.statx(int(h), "", unix.AT_EMPTY_PATH) }

func (k kernel) Stat(at Handle, name string) (Stat, error) { return k.statx(at.fd(), name, 0) }

func (kernel) statx(fd int, name string, flags int) (Stat, error) {
	var x unix.Statx_t
	err := again(func() error {
		return unix.Statx(fd, name, flags|unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &x)
	})
	return Stat{
		Type: typeOf(x.Mode), Mode: uint32(x.Mode) & 0o7777, UID: x.Uid, GID: x.Gid,
		Size: int64(x.Size), Blocks: int64(x.Blocks), //nolint:gosec // no disk is that large
		Access: Moment{x.Atime.Sec, int64(x.Atime.Nsec)}, Mod: Moment{x.Mtime.Sec, int64(x.Mtime.Nsec)},
		Device: unix.Mkdev(x.Dev_major, x.Dev_minor), Node: x.Ino, Links: x.Nlink, Mount: x.Mnt_id,
	}, err
}

func typeOf(mode uint16) Type {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return Folder
	case unix.S_IFREG:
		return File
	case unix.S_IFLNK:
		return Link
	default:
		return Special
	}
}

func (kernel) Readlink(at Handle, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := retry(func() (int, error) { return unix.Readlinkat(at.fd(), name, buf) })
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// attrMost is the most bytes of a list of attributes, and of an attribute (linux/limits.h).
const attrMost = 64 << 10

func (kernel) Attrs(h Handle) ([]Attr, error) {
	list := func(names []byte) (int, error) { return unix.Flistxattr(int(h), names) }
	return attrsOf(list, func(name string, value []byte) (int, error) { return unix.Fgetxattr(int(h), name, value) })
}

func (kernel) LinkAttrs(at Handle, name string) ([]Attr, error) {
	link := inside(at, name)
	list := func(names []byte) (int, error) { return unix.Llistxattr(link, names) }
	return attrsOf(list, func(name string, value []byte) (int, error) { return unix.Lgetxattr(link, name, value) })
}

// inside returns a name that leads to an entry of an open folder, for calls that take no folder: before Linux 6.13 none
// does that is about attributes.
func inside(at Handle, name string) string { return fmt.Sprintf("/proc/self/fd/%d/%s", at, name) }

// attrsOf returns what a list has, and a get returns for it.
func attrsOf(list func(names []byte) (int, error), get func(name string, value []byte) (int, error)) ([]Attr, error) {
	var few [4096]byte
	n, err := list(few[:])
	names := few[:max(n, 0)]
	if errors.Is(err, unix.ERANGE) {
		names = make([]byte, attrMost)
		n, err = list(names)
		names = names[:max(n, 0)]
	}
	if noAttrs(err) || n == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var attrs []Attr
	for name := range bytes.SplitSeq(bytes.TrimSuffix(names, []byte{0}), []byte{0}) {
		value := make([]byte, attrMost)
		n, err := get(string(name), value)
		if err != nil {
			return nil, fmt.Errorf("reading the attribute %q: %w", name, err)
		}
		attrs = append(attrs, Attr{string(name), bytes.Clone(value[:n])})
	}
	return attrs, nil
}

func noAttrs(err error) bool {
	return errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
}

func (kernel) Readable(at Handle, name string) error {
	return again(func() error {
		return unix.Faccessat(at.fd(), name, unix.R_OK, unix.AT_EACCESS|unix.AT_SYMLINK_NOFOLLOW)
	})
}

func (kernel) Writable(h Handle) error {
	return again(func() error { return unix.Faccessat(int(h), ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS) })
}

func (kernel) Space(h Handle) (Space, error) {
	var s unix.Statfs_t
	if err := again(func() error { return unix.Fstatfs(int(h), &s) }); err != nil {
		return Space{}, err
	}
	space := Space{
		Bytes: int64(s.Bavail) * int64(s.Bsize), Nodes: int64(s.Ffree), //nolint:gosec,unconvert // it fits; Bsize has 32 bits elsewhere
		ReadOnly:  s.Flags&unix.ST_RDONLY != 0,
		Layered:   s.Type == unix.OVERLAYFS_SUPER_MAGIC,
		UserSpace: s.Type == unix.FUSE_SUPER_MAGIC,
	}
	if s.Files == 0 { // btrfs and others make nodes as they need them
		space.Nodes = -1
	}
	return space, nil
}

// Renames tries to rename what is not there: that the folders are in two mounts is found before that nothing is there.
func (kernel) Renames(from, to Handle) error {
	const none = ".plexha-share: a name that nothing has"
	err := again(func() error { return unix.Renameat2(int(from), none, int(to), none, unix.RENAME_NOREPLACE) })
	if errors.Is(err, unix.EXDEV) {
		return err
	}
	return nil // what else speaks against it, the operation says
}

func (kernel) ReadAt(h Handle, p []byte, off int64) (int, error) {
	n, err := retry(func() (int, error) { return unix.Pread(int(h), p, off) })
	if n == 0 && err == nil && len(p) > 0 {
		err = io.EOF
	}
	return max(n, 0), err
}

func (kernel) Data(h Handle, off, size int64) (start, end int64, err error) {
	start, err = unix.Seek(int(h), off, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return 0, 0, io.EOF
	case errors.Is(err, unix.EINVAL): // a file system that knows no holes
		return off, size, nil
	case err != nil:
		return 0, 0, err
	}
	end, err = unix.Seek(int(h), start, unix.SEEK_HOLE)
	return start, end, err
}

func (kernel) WriteAt(h Handle, p []byte, off int64) error {
	for len(p) > 0 {
		n, err := retry(func() (int, error) { return unix.Pwrite(int(h), p, off) })
		if err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

func (kernel) Truncate(h Handle, size int64) error {
	return again(func() error { return unix.Ftruncate(int(h), size) })
}

func (kernel) Clone(to, from Handle) error { return unix.IoctlFileClone(int(to), int(from)) }

func (kernel) Mkdir(at Handle, name string, mode uint32) error {
	return again(func() error { return unix.Mkdirat(at.fd(), name, mode) })
}

// Rename uses a rename that replaces nothing. A file system without it (NFS) gets a look and a plain rename: the lock
// keeps other runs away, and the servers are stopped.
func (k kernel) Rename(at Handle, name string, toAt Handle, to string) error {
	err := again(func() error { return unix.Renameat2(at.fd(), name, toAt.fd(), to, unix.RENAME_NOREPLACE) })
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	if _, err := k.Stat(toAt, to); !missing(err) {
		return errors.Join(err, unix.EEXIST)
	}
	return again(func() error { return unix.Renameat(at.fd(), name, toAt.fd(), to) })
}

func (kernel) Hardlink(at Handle, name string, toAt Handle, to string) error {
	return again(func() error { return unix.Linkat(at.fd(), name, toAt.fd(), to, 0) })
}

func (kernel) Symlink(target string, at Handle, name string) error {
	return again(func() error { return unix.Symlinkat(target, at.fd(), name) })
}

func (kernel) Remove(at Handle, name string, t Type) error {
	flags := 0
	if t == Folder {
		flags = unix.AT_REMOVEDIR
	}
	return again(func() error { return unix.Unlinkat(at.fd(), name, flags) })
}

func (kernel) Chmod(h Handle, mode uint32) error {
	return again(func() error { return unix.Fchmod(int(h), mode) })
}

func (kernel) Chown(at Handle, name string, uid, gid uint32) error {
	return again(func() error { return unix.Fchownat(at.fd(), name, int(uid), int(gid), unix.AT_SYMLINK_NOFOLLOW) })
}

func (kernel) ChownHandle(h Handle, uid, gid uint32) error {
	return again(func() error { return unix.Fchown(int(h), int(uid), int(gid)) })
}

func times(access, mod Moment) []unix.Timespec {
	a, _ := unix.TimeToTimespec(time.Unix(access.Sec, access.Nano)) // what no 32 bits hold is not on such a machine's disks
	m, _ := unix.TimeToTimespec(time.Unix(mod.Sec, mod.Nano))
	return []unix.Timespec{a, m}
}

func (kernel) SetTimes(at Handle, name string, access, mod Moment) error {
	return again(func() error { return unix.UtimesNanoAt(at.fd(), name, times(access, mod), unix.AT_SYMLINK_NOFOLLOW) })
}

func (kernel) SetTimesHandle(h Handle, access, mod Moment) error {
	err := again(func() error { return unix.UtimesNanoAt(int(h), "", times(access, mod), unix.AT_EMPTY_PATH) })
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) { // before Linux 5.8
		return again(func() error {
			return unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", h), times(access, mod), 0)
		})
	}
	return err
}

func (kernel) SetAttr(h Handle, a Attr) error {
	return setAttr(func() error { return unix.Fsetxattr(int(h), a.Name, a.Value, 0) })
}

func (kernel) SetLinkAttr(at Handle, name string, a Attr) error {
	return setAttr(func() error { return unix.Lsetxattr(inside(at, name), a.Name, a.Value, 0) })
}

func setAttr(set func() error) error {
	err := again(set)
	if noAttrs(err) {
		return fmt.Errorf("%w: %w", ErrAttr, err)
	}
	return err
}

func (kernel) Lock(h Handle) error {
	err := again(func() error { return unix.Flock(int(h), unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

func (kernel) Sync(h Handle) error {
	return again(func() error { return unix.Fsync(int(h)) })
}

func (kernel) SyncDisk(h Handle) error {
	return again(func() error { return unix.Syncfs(int(h)) })
}

// noRoom reports whether an error is that a disk or a quota is full.
func noRoom(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// elsewhere reports whether an error is that a rename or a link would leave its file system.
func elsewhere(err error) bool { return errors.Is(err, unix.EXDEV) }

// notEmpty reports whether an error is that a folder that should go is in use, or holds something.
func notEmpty(err error) bool {
	return errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST)
}

// privileged reports whether files may be given to others.
func privileged() bool { return os.Geteuid() == 0 }

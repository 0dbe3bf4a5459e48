// Package share is `plexctl share`: it shares the Media and Metadata folders of several Plex Media Servers.
//
// Both folders hold what is found by hashes that are the same on all servers, so that one copy serves them all. All
// else is a server's own: databases, Preferences.xml, caches and codecs are never touched.
//
// What is done is decided first: the planner takes trees as they were read, and gives operations; it touches
// nothing, and its plan has a digest, so that what is applied can be what was shown. The first node's tree becomes the
// shared one: by one rename on the same file system, else by a copy. What another node alone has goes there, whole
// folders at once. Of two files that differ the newer one is shared; the other is kept. Originals are kept beside,
// with the suffix .pre-share-TIME.
//
// The journal in the shared folder holds the whole plan, on the disk before anything is done. Each operation can be
// seen on the disk to be done or not: a rename replaces nothing and keeps its inode, a copy is put together aside and
// gets its name by a rename once it is on the disk. Operations are done in batches: the journal says which may be done
// from now on, then the copies are made, the file system is written to disk (syncfs: one write for a whole batch, where
// an fsync for each file would cost many times the copying, and at least what that would bring: contents, inodes and
// folders, of all that was written before), then the renames follow, the disk again, and the journal says that they are
// done. So whatever stops a run at whatever point, it can go on or be undone: what the journal says is certain, and
// what it leaves open, at most one batch, is looked at.
//
// When all is undone, and the journal says so on the disk, the journal goes, and the shared folder if it was made for it.
//
// The journal counts only if none but root, or who runs this, can have written it; see trust.go.
//
// No link is followed below the common parent of the folders: each element of a path is opened by itself.
package share

import (
	"context"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"
	"strings"

	"plexha/cmd/internal/command"
)

// Commands are the commands.
var Commands = []command.Command{planCommand, applyCommand, undoCommand, statusCommand}

var (
	planCommand = command.Command{
		Name: "share plan", Summary: "show how the nodes' Media and Metadata folders would be shared",
		About: `Shows each operation that "share apply" would do, and does nothing. A node's
folder is the one that holds "Library/Application Support/Plex Media Server", or
that folder itself. Databases, settings and caches are never shared.

The servers may not run. Where it cannot be seen that one does not, as in a
container or on another host, -stopped says so.`,
		Flags: &command.Flags{Define: func(set *flag.FlagSet) { new(options).define(set) }, Kinds: kinds},
		Run:   takesFlags((*options).define, (*options).plan),
	}
	applyCommand = command.Command{
		Name: "share apply", Summary: "share the nodes' Media and Metadata folders, as share plan shows",
		About: `Does what "share plan" shows, or goes on with what was cut short: then -into is
enough, with -stopped. With -plan it does so only if the plan is still that one.
Originals are kept with the suffix .pre-share-TIME; "share undo" brings all
back.`,
		Flags: &command.Flags{Define: func(set *flag.FlagSet) { new(options).defineApply(set) }, Kinds: kinds},
		Run:   takesFlags((*options).defineApply, (*options).apply),
	}
	undoCommand = command.Command{
		Name: "share undo", Summary: "bring the folders back to where they were before the last share apply",
		About: `Takes back the last "share apply", ended or not. What servers have written
since goes with the folder that it is in, mostly to the first node, and is
told. It can be cut short and run again. What it cannot bring back is told,
and an error until it is there again, or is given up with -give-up. When all
is undone the journal goes, too, and the shared folder if it is empty and was
made by an apply.`,
		Flags: &command.Flags{Define: func(set *flag.FlagSet) { new(options).defineUndo(set) }, Kinds: kinds},
		Run:   takesFlags((*options).defineUndo, (*options).undo),
	}
	statusCommand = command.Command{
		Name: "share status", Summary: "show what was shared, and what was kept",
		Flags: &command.Flags{Define: func(set *flag.FlagSet) { new(options).defineInto(set) }, Kinds: kinds},
		Run:   takesFlags((*options).defineInto, (*options).status),
	}
)

var kinds = map[string]command.Kind{"into": command.File, "mode": "bind|symlink", "stopped": command.Node}

// options are the command line of all commands, each of which has some of it.
type options struct {
	command.Blocks

	nodes                   pairs
	into                    string
	mode                    Mode
	seenAs                  string
	stopped                 words
	mediaOnly, metadataOnly bool
	copies                  bool
	digest                  string
	giveUp                  bool

	batchOps int // for tests; 0: as many as is good
	beside   int // for tests: how many folders are copied at once; 0: as many as is good
}

func (o *options) defineInto(set *flag.FlagSet) {
	set.StringVar(&o.into, "into", "", "`DIR` the shared folder")
}

func (o *options) defineUndo(set *flag.FlagSet) {
	o.defineStopped(set)
	set.BoolVar(&o.giveUp, "give-up", false, "call it undone, although some of it could not be brought back")
}

func (o *options) defineStopped(set *flag.FlagSet) {
	o.Define(set)
	o.defineInto(set)
	set.Var(&o.stopped, "stopped", "`NODE` this one's server does not run, where that cannot be seen; several for several")
}

func (o *options) define(set *flag.FlagSet) {
	o.defineStopped(set)
	o.mode = Bind
	set.Var(&o.nodes, "node", "`NAME=DIR` a node and its config folder; several for several")
	set.Var(&o.mode, "mode", "`bind|symlink` how the nodes see the shared folders (default bind)")
	set.StringVar(&o.seenAs, "seen-as", "", "`DIR` with -mode symlink: the shared folder as the servers see it")
	set.BoolVar(&o.mediaOnly, "media-only", false, "leave Metadata alone")
	set.BoolVar(&o.metadataOnly, "metadata-only", false, "leave Media alone")
	set.BoolVar(&o.copies, "copy", false, "copy, where renames could do")
}

func (o *options) defineApply(set *flag.FlagSet) {
	o.define(set)
	set.StringVar(&o.digest, "plan", "", "`DIGEST` of the plan to apply, and no other")
}

// String returns the mode, for package flag.
func (m *Mode) String() string { return string(*m) }

// Set reads a mode.
func (m *Mode) Set(text string) error {
	if *m = Mode(text); *m != Bind && *m != Symlink {
		return fmt.Errorf("want %s or %s", Bind, Symlink)
	}
	return nil
}

// words are a flag that may stand several times.
type words []string

// String returns what was read, for package flag.
func (w *words) String() string { return strings.Join(*w, " ") }

// Set reads one more.
func (w *words) Set(text string) error {
	*w = append(*w, text)
	return nil
}

// pair is a node and its folder.
type pair struct{ name, dir string }

// pairs are a flag that may stand several times: NAME=DIR.
type pairs []pair

// String returns what was read, for package flag.
func (p *pairs) String() string {
	var all []string
	for _, n := range *p {
		all = append(all, n.name+"="+n.dir)
	}
	return strings.Join(all, " ")
}

// Set reads one more.
func (p *pairs) Set(text string) error {
	name, dir, ok := strings.Cut(text, "=")
	if !ok || name == "" || dir == "" {
		return fmt.Errorf("want NAME=DIR, a node and its config folder")
	}
	for _, n := range *p {
		if n.name == name {
			return fmt.Errorf("the node %s stands twice", name)
		}
	}
	*p = append(*p, pair{name, dir})
	return nil
}

// session is one call of a command.
type session struct {
	*options
	Findings

	layered bool // some node's folder is on a file system that may not rename it, and does not say so before

	sys  System
	out  io.Writer
	errw io.Writer
	err  error // the first one of out
}

// takesFlags returns the Run of a command that takes no arguments.
func takesFlags(
	define func(*options, *flag.FlagSet), do func(*options, context.Context, *session) error,
) func(context.Context, []string, io.Reader, io.Writer, io.Writer) error {
	return func(ctx context.Context, args []string, _ io.Reader, out, errw io.Writer) error {
		sys, err := thisSystem()
		if err != nil {
			return err
		}
		shrink()
		debug.SetGCPercent(garbage)
		return runOn(ctx, sys, args, define, do, out, errw)
	}
}

// garbage is how much of it there may be, in percent of what is in use: the trees of 100,000 files take 26 MB, and looking for
// garbage little time beside the calls that reading them takes.
const garbage = 40

func runOn(
	ctx context.Context, sys System, args []string,
	define func(*options, *flag.FlagSet), do func(*options, context.Context, *session) error, out, errw io.Writer,
) error {
	o := new(options)
	rest, err := command.Parse(args, func(set *flag.FlagSet) { define(o, set) })
	switch {
	case err != nil:
		return err
	case len(rest) > 0:
		return command.Usagef("unexpected %q", rest[0])
	case o.into == "":
		return command.Usagef("no shared folder: name it with -into DIR")
	case o.seenAs != "" && (o.mode != Symlink || !filepath.IsAbs(o.seenAs) || filepath.Clean(o.seenAs) != o.seenAs):
		return command.Usagef("-seen-as is with -mode symlink, and the whole name of a folder")
	case o.mediaOnly && o.metadataOnly:
		return command.Usagef("-media-only and -metadata-only leave nothing")
	}
	return do(o, ctx, &session{options: o, sys: sys, out: out, errw: errw})
}

package share

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// say writes to standard output, and keeps the first error.
func (s *session) say(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.out, format, args...)
	}
}

// show prints a plan.
func (s *session) show(p *prepared) error {
	plan := p.plan
	if _, err := p.stat(p.task.Shared); missing(err) && len(plan.Ops) > 0 {
		s.say("%-6s  %s\n", MakeFolder, p.show(p.task.Shared))
	}
	for i := range plan.Ops {
		if o := &plan.Ops[i]; o.Do != SetTimes {
			s.say("%s\n", o.text(p.show))
		}
	}
	s.findings(p)
	s.conflicts(plan.Conflicts, p.show)
	if len(plan.Ops) == 0 {
		s.say("nothing to do: all of it is shared\n")
		return s.err
	}
	if plan.Need.Entries > 0 {
		s.say("to be copied: %s\n", plan.Need)
	}
	s.say("\nnothing was done. To do this, and only this:\n  plexctl share apply -plan %s and the same flags\n", p.digest)
	return s.err
}

// findings prints what is to be known of a plan.
func (s *session) findings(p *prepared) {
	if p.plan.Same.Entries > 0 {
		s.say("alike in several places, and shared once: %s\n", p.plan.Same)
	}
	for _, n := range s.Notes {
		s.say("note: %s\n", n)
	}
}

// conflicts prints what is not the same in two places.
func (s *session) conflicts(all []Conflict, show func(Path) string) {
	for _, c := range all {
		s.say("differs: %s: %s; the other is kept as %s\n", show(c.Path), c.Why, show(c.Kept))
	}
}

// done says what follows an apply.
func (s *session) done(x *executor) error {
	s.lost(x)
	s.conflicts(x.run.Conflicts, x.show)
	s.say("shared: %d operations are done, and can be undone with\n  plexctl share undo -into %s\n", len(x.run.Ops), quote(s.into))
	if kept := keptOf(x.run); len(kept) > 0 {
		s.say("\nthe originals are kept, until you remove them:\n")
		for _, p := range kept {
			s.say("  %s\n", x.show(p))
		}
	}
	if x.run.Mode == Bind {
		s.mounts(x.run)
	} else if seenAs := x.run.seenAs(); seenAs != "" {
		s.say("\nmount the shared folder where the servers' links lead, before they start.\n")
		s.containers([][2]string{{s.into, seenAs}})
	}
	s.say("%s", settings)
	return s.err
}

// lost says what could not be kept of what was copied.
func (s *session) lost(x *executor) {
	for why, n := range x.copier.Lost {
		s.say("note: not kept, %d times: %s\n", n, why)
	}
}

// keptOf returns what a run keeps.
func keptOf(run *Run) (paths []Path) {
	for _, o := range run.Ops {
		if _, name := o.To.Split(); (o.Do == MoveEntry || o.Do == MakeFolder) && strings.HasSuffix(name, kept+run.Stamp) {
			paths = append(paths, o.To)
		}
	}
	return paths
}

// undone says what an undo could not bring back.
func (s *session) undone(x *executor) error {
	s.lost(x)
	for _, n := range x.Notes {
		s.say("note: %s\n", n)
	}
	for _, n := range x.Left {
		s.say("not undone: %s\n", n)
	}
	switch {
	case x.run.State != Undone:
		return fmt.Errorf("%w: bring back what is told above, and undo again; or give it up with -give-up", errLeft)
	case len(x.Left) > 0:
		s.say("undone, but for what is told above\n")
		return s.err
	}
	s.say("undone: the folders are where they were. Take the mounts out of the units, then start the servers\n")
	return s.err
}

// seenAs returns where the servers see the shared folder, if it is not where it is here.
func (r *Run) seenAs() string {
	for _, o := range r.Ops {
		if o.Do == MakeLink && filepath.IsAbs(string(o.Target)) {
			return filepath.Dir(string(o.Target))
		}
	}
	return ""
}

// inContainer is where the images of linuxserver and plexinc have the server's folder.
const inContainer = "/config/" + library

// mounts prints how the shared folders are mounted over the empty ones.
func (s *session) mounts(run *Run) {
	s.say("\nmount the shared folders over the empty ones, before the servers start.\n")
	s.say("plexctl unit NODE -shared %s prints units that do.\n", quote(s.into))
	var pairs [][2]string
	for _, part := range run.Parts {
		pairs = append(pairs, [2]string{filepath.Join(s.into, string(part)), filepath.Join(inContainer, string(part))})
	}
	s.containers(pairs)
	s.say("\nwithout a container, in /etc/fstab:\n")
	for _, name := range slices.Sorted(maps.Keys(run.Homes)) {
		for _, part := range run.Parts {
			home := filepath.Join(run.Root, string(run.Homes[name]), string(part))
			s.say("  %s %s none bind 0 0\n", fstab(filepath.Join(s.into, string(part))), fstab(home))
		}
	}
}

// containers prints how folders are mounted in containers.
func (s *session) containers(pairs [][2]string) {
	each := func(title string, line func(from, to string) string) {
		s.say("\n%s\n", title)
		for _, p := range pairs {
			s.say("%s\n", line(p[0], p[1]))
		}
	}
	each("docker run, podman run:", func(from, to string) string { return "  --mount " + quote(bindMount(from, to)) })
	each("the same in a unit's ExecStart:", func(from, to string) string {
		return "  --mount " + unitPath(strings.ReplaceAll(bindMount(from, to), "$", "$$"))
	})
	each("compose, below volumes:", func(from, to string) string {
		return strings.ReplaceAll(
			fmt.Sprintf("  - { type: bind, source: %q, target: %q, bind: { create_host_path: false } }", from, to), "$", "$$")
	})
	each("quadlet, below [Container]:", func(from, to string) string {
		return "  Volume=" + strings.NewReplacer("%", "%%", "$", "$$").Replace(from+":"+to)
	})
	s.say("\nand in a unit, below [Unit]:\n  RequiresMountsFor=%s\n", unitPath(s.into))
}

// bindMount is an option of a container's, with commas between: what has one is quoted as in CSV. Unlike -v it makes no
// empty folder where nothing is mounted yet.
func bindMount(from, to string) string {
	field := func(text string) string {
		if strings.ContainsAny(text, `,"`) {
			return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
		}
		return text
	}
	return "type=bind," + field("source="+from) + "," + field("target="+to)
}

// fstab writes a name as fstab(5) has it.
func fstab(name string) string {
	return strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`).Replace(name)
}

// unitPath writes a name as systemd.syntax(7) has it in a list.
func unitPath(name string) string {
	name = strings.ReplaceAll(name, "%", "%%")
	if strings.ContainsAny(name, " \t;\"'\\") {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	return name
}

// settings are those that a server must have that shares its folders: its own upkeep removes what its own database
// does not name (support.plex.tv 200289526).
const settings = `
in Plex, on all servers but one:
  Settings > Scheduled Tasks: turn off "Remove old bundles every week"
  Settings > Library: turn off "Empty trash automatically after every scan"
  Settings > Library: set "Generate video preview thumbnails" to "never"
and do not start "Clean Bundles" by hand there: it removes what only the other servers use.
`

// status shows what the journal says, and what is kept.
func (o *options) status(_ context.Context, s *session) error {
	j, err := s.openJournal(true)
	if missing(err) {
		s.say("nothing was shared in %s\n", quote(s.into))
		return s.err
	}
	if err != nil {
		return err
	}
	defer j.close()
	for _, run := range j.runs {
		if err := s.showRun(run); err != nil {
			return err
		}
	}
	if len(j.runs) == 0 {
		s.say("nothing was shared in %s\n", quote(s.into))
	}
	return s.err
}

// showRun shows a run, and how the nodes' folders are by now.
func (s *session) showRun(run *Run) error {
	words := map[State]string{
		Applying: fmt.Sprintf("half done, %d of %d operations: apply again to go on, or undo", run.Done, len(run.Ops)),
		Applied:  "done", Undoing: "half undone: undo again to go on", Undone: "undone",
	}
	names := strings.Join(slices.Sorted(maps.Keys(run.Homes)), " ")
	s.say("%s  %s  mode %s, plan %s: %s\n", run.At.Local().Format(time.DateTime), names, run.Mode, run.Digest, words[run.State])
	if run.State == Undone {
		return s.err
	}
	d, err := openDisk(s.sys, run.Root)
	if err != nil {
		return err
	}
	defer d.close()
	for _, name := range slices.Sorted(maps.Keys(run.Homes)) {
		for _, part := range run.Parts {
			at := run.Homes[name].Join(string(part))
			s.say("  %s: %s %s\n", name, d.show(at), s.standing(d, at, run.Shared.Join(string(part)), run.State))
		}
	}
	s.conflicts(run.Conflicts, d.show)
	for _, p := range keptOf(run) {
		if _, err := d.stat(p); err == nil {
			s.say("  kept: %s\n", d.show(p))
		}
	}
	return s.err
}

// standing says what stands where a node has a part.
func (s *session) standing(d *disk, at, shared Path, state State) string {
	st, err := d.stat(at)
	if err != nil {
		return err.Error()
	}
	if target, err := d.readlink(at); err == nil {
		return "is a link to " + quote(target)
	}
	if there, err := d.stat(shared); err == nil && there.Node == st.Node && there.Device == st.Device {
		return "is the shared folder"
	}
	names := []string{}
	if h, err := d.folder(at); err == nil {
		names, _ = s.sys.Names(h) // without them it is empty, as far as we know
		s.sys.Close(h)
	}
	if len(names) == 0 {
		if state == Undoing {
			return "is empty"
		}
		return "is empty here, for the shared folder to be mounted over it"
	}
	if state == Undoing {
		return fmt.Sprintf("has %d entries", len(names))
	}
	return fmt.Sprintf("has %d entries of its own: is the shared folder not mounted? apply again to share them", len(names))
}

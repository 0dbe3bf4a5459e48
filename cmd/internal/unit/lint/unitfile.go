package lint

import (
	"path"
	"slices"
	"strings"
)

// unit is a file in the form of systemd.syntax(7).
type unit struct{ lines []assignment }

// assignment is KEY=VALUE in a section. A value of several lines has them with a line feed between.
type assignment struct {
	section, key string
	value        word
}

// readUnit reads all that has the form of an assignment; what has not, systemd leaves out too.
func readUnit(text string) *unit {
	u := &unit{}
	section, open := "", false
	n := 0
	for raw := range strings.Lines(text) {
		n++
		line := strings.TrimRight(raw, "\r\n")
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "#"), strings.HasPrefix(trimmed, ";"):
			if open { // it does not end what goes on
				u.extend("")
			}
			continue
		case open:
			u.extend(strings.TrimSuffix(line, `\`))
		case strings.HasPrefix(trimmed, "[") && strings.HasSuffix(trimmed, "]"):
			section = trimmed[1 : len(trimmed)-1]
			continue
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok {
				continue
			}
			value = strings.TrimSpace(strings.TrimSuffix(value, `\`))
			u.lines = append(u.lines, assignment{section, strings.TrimSpace(key), word{value, n}})
		}
		open = strings.HasSuffix(line, `\`)
	}
	return u
}

func (u *unit) extend(text string) {
	last := &u.lines[len(u.lines)-1]
	last.value.text += "\n" + text
}

// all returns the values of a key. An empty one takes those before it back.
func (u *unit) all(section, key string) []word {
	var all []word
	for _, a := range u.lines {
		switch {
		case a.section != section || a.key != key:
		case strings.TrimSpace(a.value.text) == "":
			all = nil
		default:
			all = append(all, a.value)
		}
	}
	return all
}

// last returns the value of a key that holds.
func (u *unit) last(section, key string) word {
	all := u.all(section, key)
	if len(all) == 0 {
		return word{}
	}
	return all[len(all)-1]
}

// words returns the words of all values of a key.
func (u *unit) words(section, key string) []word {
	var all []word
	for _, v := range u.all(section, key) {
		all = append(all, fields(v)...)
	}
	return all
}

// execution is a command that a unit runs.
type execution struct {
	words  []word
	ignore bool // its failure is none
}

// executions returns the commands of a key such as ExecStartPre.
func (u *unit) executions(key string) []execution {
	var all []execution
	for _, v := range u.all("Service", key) {
		words := fields(v)
		if len(words) == 0 {
			continue
		}
		const prefixes = "@-:+!"
		program := strings.TrimLeft(words[0].text, prefixes)
		ignore := strings.Contains(words[0].text[:len(words[0].text)-len(program)], "-")
		words[0].text = program
		run := ofShell(words)
		for i, command := range run.commands {
			goesOn := run.ignores || i < len(run.commands)-1 && !run.strict
			all = append(all, execution{command, ignore || goesOn})
		}
	}
	return all
}

// shellRun is what a command has a shell run.
type shellRun struct {
	commands [][]word
	strict   bool // one that fails ends it
	ignores  bool // one that fails is followed by another, whose success counts
}

// ofShell returns what a command has a shell run, as in sh -c "docker run ...", or the command itself.
func ofShell(words []word) shellRun {
	for i, w := range words {
		flag := i + 1
		switch base := path.Base(w.text); {
		case base == "docker" || base == "podman":
			return shellRun{commands: [][]word{words}}
		case !slices.Contains(shells, base), flag+1 >= len(words):
		case strings.HasPrefix(words[flag].text, "-") && strings.HasSuffix(words[flag].text, "c"):
			text := words[flag+1].text
			run := shellRun{
				commands: commands(text, 1, shell),
				strict:   strings.Contains(words[flag].text, "e") || strings.Contains(text, "&&"),
				ignores:  strings.Contains(text, "||"),
			}
			for _, command := range run.commands {
				for i := range command {
					command[i].line = words[flag+1].line // a line feed within is not always one of the file's
				}
			}
			return run
		}
	}
	return shellRun{commands: [][]word{words}}
}

var shells = []string{"sh", "bash", "dash", "ash", "zsh"}

// readService returns the container that a unit of systemd runs.
func readService(u *unit) []*container {
	for _, e := range u.executions("ExecStart") {
		if c := readRun(e.words); c != nil {
			return []*container{c}
		}
	}
	return nil
}

// does reports whether a command is one of an engine's, such as `docker rm`.
func (e execution) does(words ...string) bool {
	rest, _ := engineCommand(e.words)
	return len(rest) > 0 && strings.Contains(" "+strings.Join(words, " ")+" ", " "+rest[0].text+" ")
}

// stopTime returns what `docker stop --time=120` and the like give a container, whatever its own time is.
func (e execution) stopTime() word {
	if !e.does("stop") {
		return word{}
	}
	return e.value("-t", "--time", "--timeout")
}

// value returns what a flag of an engine's command has, in any of its forms.
func (e execution) value(short string, long ...string) word {
	rest, _ := engineCommand(e.words)
	for i, w := range rest {
		name, value, has := strings.Cut(w.text, "=")
		switch {
		case name != short && !slices.Contains(long, name):
			if value, ok := strings.CutPrefix(w.text, short); ok {
				return word{value, w.line}
			}
		case has:
			return word{value, w.line}
		case i+1 < len(rest):
			return rest[i+1]
		}
	}
	return word{}
}

// readQuadlet returns the container of a quadlet, see podman-systemd.unit(5).
func readQuadlet(u *unit) *container {
	const section = "Container"
	c := &container{engine: "podman", env: map[string]word{}, replaces: true}
	for _, a := range u.lines {
		if a.section == section && c.line == 0 {
			c.line = a.value.line
		}
	}
	c.line = max(c.line, 1)
	for key, into := range map[string]*word{
		"Image": &c.image, "User": &c.user, "ContainerName": &c.name, "StopTimeout": &c.stopTimeout, "Pull": &c.pull,
		"HealthCmd": &c.health, "HealthOnFailure": &c.onFailure,
	} {
		*into = u.last(section, key)
	}
	for key, name := range map[string]string{
		"PublishPort": "publish", "Volume": "volume", "Mount": "mount", "AddDevice": "device", "Network": "network",
		"AddCapability": "cap-add", "EnvironmentFile": "env-file",
	} {
		for _, v := range u.all(section, key) {
			c.flag(name, word{unescape.Replace(v.text), v.line})
		}
	}
	for _, v := range u.words(section, "Environment") {
		c.flag("env", v)
	}
	if v := u.last(section, "NoNewPrivileges"); isTrue(v.text) {
		c.flag("security-opt", word{"no-new-privileges", v.line})
	}
	for _, v := range u.all(section, "PodmanArgs") {
		c.flags(fields(v))
	}
	return c
}

func isTrue(text string) bool {
	switch strings.ToLower(text) {
	case "1", "yes", "true", "on":
		return true
	}
	return false
}

// engineCommand returns the words behind docker or podman, without the options of the engine's own and the word
// container.
func engineCommand(words []word) (rest []word, engine string) {
	for i, w := range words {
		base := path.Base(w.text)
		if base != "docker" && base != "podman" {
			continue
		}
		return behindOptions(words[i+1:]), base
	}
	return nil, ""
}

// engineFlags are the options of the engines' own that take no value.
var engineFlags = []string{
	"-D", "--debug", "--tls", "--tlsverify", "-r", "--remote", "--syslog", "--trace", "--transient-store", "--noout", "-v", "--version",
	"-h", "--help",
}

func behindOptions(words []word) []word {
	for len(words) > 0 {
		switch text := words[0].text; {
		case text == "container":
			words = words[1:]
		case !strings.HasPrefix(text, "-"):
			return words
		case strings.Contains(text, "="), slices.Contains(engineFlags, text), len(text) > 2 && text[1] != '-':
			words = words[1:]
		default:
			words = words[min(2, len(words)):]
		}
	}
	return nil
}

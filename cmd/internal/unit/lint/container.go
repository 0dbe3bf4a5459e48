package lint

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// container is one that a file runs. Words that are not set were not given.
type container struct {
	engine  string // docker or podman
	line    int    // where it begins
	service string // of compose

	name, image, user             word
	privileged, interactive, tty  word
	detach, restart, pull         word
	hostNetwork, otherNetwork     word
	stopTimeout                   word
	health, noHealth, onFailure   word
	removed, replaces, restricted bool
	unconfined                    []word

	ports   []port
	mounts  []mount
	env     map[string]word // by name
	envFile word
	devices []word
}

// plexImage is what the images of Plex are called, whoever makes them.
var plexImage = regexp.MustCompile(`(^|/)((arch|docker|rpi)-)?(plex|plexpass|pms-docker|plex-?media-?server)$`)

// plexOf returns those of several containers that run Plex. They are known by their image, else by the port, else by a
// name; one alone is meant, whatever it is called.
func plexOf(all []*container) []*container {
	if len(all) <= 1 {
		return all
	}
	named := func(text string) bool { return strings.Contains(strings.ToLower(text), "plex") }
	for _, is := range []func(*container) bool{
		func(c *container) bool { return plexImage.MatchString(c.repository()) },
		func(c *container) bool { p, _ := c.published(); return p.inside == plexPort },
		func(c *container) bool { return named(c.image.text) || named(c.name.text) || named(c.service) },
	} {
		if some := slices.DeleteFunc(slices.Clone(all), func(c *container) bool { return !is(c) }); len(some) > 0 {
			return some
		}
	}
	return nil
}

// repository returns the image's name, without tag and digest.
func (c *container) repository() string {
	name, _, _ := strings.Cut(c.image.text, "@")
	name, _ = splitTag(name)
	return name
}

// port is one that is published, or several in a row.
type port struct {
	host, inside int  // the first ones. host 0: the engine chooses
	more         int  // that follow
	unknown      bool // host is a variable's or a specifier's
	anywhere     bool // inside is
	udp          bool
	word         word
}

// at returns the one of several in a row that leads to a port within.
func (p port) at(inside int) (one port, ok bool) {
	i := inside - p.inside
	if p.udp || p.anywhere || i < 0 || i > p.more {
		return port{}, false
	}
	if p.host > 0 {
		p.host += i
	}
	p.inside, p.more = inside, 0
	return p, true
}

// mount is a folder of the machine that the container has.
type mount struct {
	source, target string
	readOnly       bool
	makes          bool // the engine makes a folder that is missing
	word           word
}

// booleans are the flags of docker run and podman run that take no value, unless it stands behind =.
var booleans = []string{
	"detach", "disable-content-trust", "env-host", "help", "http-proxy", "init", "interactive", "no-healthcheck", "no-hostname",
	"no-hosts", "oom-kill-disable", "passwd", "privileged", "publish-all", "quiet", "read-only", "read-only-tmpfs", "replace", "rm",
	"rmi", "rootfs", "sig-proxy", "systemd", "tls-verify", "tty", "unsetenv-all", "use-api-socket",
}

// shorts are the flags of one letter.
var shorts = map[byte]string{
	'P': "publish-all", 'a': "attach", 'c': "cpu-shares", 'd': "detach", 'e': "env", 'h': "hostname", 'i': "interactive", 'l': "label",
	'm': "memory", 'p': "publish", 'q': "quiet", 't': "tty", 'u': "user", 'v': "volume", 'w': "workdir",
}

// readRun returns the container of a command line, or nil if it runs none.
func readRun(words []word) *container {
	rest, engine := engineCommand(words)
	if len(rest) == 0 || rest[0].text != "run" && rest[0].text != "create" {
		return nil
	}
	c := &container{engine: engine, line: rest[0].line, env: map[string]word{}}
	if args := c.flags(rest[1:]); len(args) > 0 {
		c.image = args[0]
	}
	return c
}

// flags takes the flags that words begin with, and returns the others.
func (c *container) flags(words []word) []word {
	for len(words) > 0 {
		w := words[0]
		switch {
		case w.text == "--":
			return words[1:]
		case strings.HasPrefix(w.text, "--"):
			words = c.long(words)
		case strings.HasPrefix(w.text, "-") && len(w.text) > 1:
			words = c.short(words)
		default:
			return words
		}
	}
	return nil
}

// long takes --NAME, --NAME=VALUE or --NAME VALUE, and returns the words behind it.
func (c *container) long(words []word) []word {
	w, rest := words[0], words[1:]
	name, value, has := strings.Cut(strings.TrimPrefix(w.text, "--"), "=")
	if !has && !slices.Contains(booleans, name) && len(rest) > 0 {
		value, rest = rest[0].text, rest[1:]
	}
	c.flag(name, word{value, w.line})
	return rest
}

// short takes -x, -xy, -xVALUE or -x VALUE, and returns the words behind it.
func (c *container) short(words []word) []word {
	w, rest := words[0], words[1:]
	for i := 1; i < len(w.text); i++ {
		name := shorts[w.text[i]]
		if slices.Contains(booleans, name) {
			c.flag(name, word{"", w.line})
			continue
		}
		value := strings.TrimPrefix(w.text[i+1:], "=")
		if value == "" && len(rest) > 0 {
			value, rest = rest[0].text, rest[1:]
		}
		c.flag(name, word{value, w.line})
		return rest
	}
	return rest
}

// flag takes one flag of docker run or podman run.
func (c *container) flag(name string, v word) {
	if slices.Contains(booleans, name) {
		c.boolean(name, v)
		return
	}
	for flag, into := range map[string]*word{
		"name": &c.name, "user": &c.user, "restart": &c.restart, "pull": &c.pull, "env-file": &c.envFile,
		"stop-timeout": &c.stopTimeout, "health-cmd": &c.health, "health-on-failure": &c.onFailure,
	} {
		if flag == name {
			*into = v
		}
	}
	switch name {
	case "publish":
		c.ports = append(c.ports, readPort(v))
	case "volume":
		c.volume(v)
	case "mount":
		c.mount(v)
	case "env":
		key, value, _ := strings.Cut(v.text, "=")
		c.env[key] = word{value, v.line}
	case "device", "gpus":
		c.devices = append(c.devices, v)
	case "network", "net":
		c.network(v)
	case "security-opt":
		c.security(v)
	case "cap-add":
		c.unconfined = append(c.unconfined, word{"the capability " + v.text, v.line})
	}
}

// network takes the network of a container: it publishes no port in another one than the engine's own, where it has an
// address of its own or shares another container's.
func (c *container) network(v word) {
	switch name, _, _ := strings.Cut(v.text, ":"); name {
	case "host":
		c.hostNetwork = v
	case "bridge", "default", "none", "private", "slirp4netns", "pasta":
	default:
		c.otherNetwork = v
	}
}

func (c *container) boolean(name string, v word) {
	if v.text == "false" {
		return
	}
	v.text = "--" + name
	switch name {
	case "privileged":
		c.privileged = v
	case "interactive":
		c.interactive = v
	case "tty":
		c.tty = v
	case "detach":
		c.detach = v
	case "no-healthcheck":
		c.noHealth = v
	case "rm":
		c.removed = true
	case "replace":
		c.replaces = true
	}
}

func (c *container) security(v word) {
	name, value, _ := strings.Cut(strings.ReplaceAll(v.text, ":", "="), "=")
	switch {
	case name == "no-new-privileges":
		c.restricted = value != "false"
	case value == "unconfined", value == "disable":
		c.unconfined = append(c.unconfined, word{name + "=" + value, v.line})
	}
}

// volume takes SOURCE:TARGET[:OPTIONS]. One with a name instead of a path is the engine's own affair.
func (c *container) volume(v word) {
	parts := splitVolume(v.text)
	if len(parts) < 2 || !isPath(parts[0]) {
		return
	}
	m := mount{source: parts[0], target: parts[1], makes: c.engine == "docker", word: v}
	if len(parts) > 2 {
		m.readOnly = slices.Contains(strings.Split(parts[2], ","), "ro")
	}
	c.mounts = append(c.mounts, m)
}

// splitVolume splits at colons, but not within a variable such as ${NAME:-VALUE}.
func splitVolume(text string) []string {
	depth := 0
	var all []string
	begin := 0
	for i, b := range []byte(text) {
		switch {
		case b == '{':
			depth++
		case b == '}':
			depth--
		case b == ':' && depth <= 0:
			all = append(all, text[begin:i])
			begin = i + 1
		}
	}
	return append(all, text[begin:])
}

// isPath tells a folder from the name of a volume. What is put in the place of a variable,
// a specifier or a command is taken for a folder.
func isPath(source string) bool { return source != "" && strings.IndexByte("/.~$%`", source[0]) >= 0 }

// mount takes type=bind,source=SOURCE,target=TARGET[,readonly].
func (c *container) mount(v word) {
	m := mount{word: v}
	kind := ""
	for part := range strings.SplitSeq(v.text, ",") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "type":
			kind = value
		case "source", "src":
			m.source = value
		case "target", "destination", "dst":
			m.target = value
		case "readonly", "ro":
			m.readOnly = value != "false"
		}
	}
	if kind == "bind" {
		c.mounts = append(c.mounts, m)
	}
}

// readPort takes [ADDRESS:][PORTS:]PORTS[/PROTOCOL]. What is no number, such as a variable, is not known.
func readPort(v word) port {
	text, protocol, _ := strings.Cut(v.text, "/")
	p := port{udp: protocol == "udp", word: v}
	host := ""
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		host, text = text[:i], text[i+1:]
	}
	host = host[strings.LastIndexByte(host, ':')+1:]
	first, more, ok := readPorts(text)
	p.inside, p.more, p.anywhere = first, more, !ok
	if host != "" {
		first, hosts, ok := readPorts(host)
		p.host, p.unknown = first, !ok || hosts != more // of more than it needs the engine takes any
	}
	return p
}

// readPorts takes PORT or PORT-PORT, and returns the first and how many more there are.
func readPorts(text string) (first, more int, ok bool) {
	low, high, several := strings.Cut(text, "-")
	first, err := strconv.Atoi(low)
	if several && err == nil {
		more, err = strconv.Atoi(high)
		more -= first
	}
	return first, more, err == nil && first > 0 && more >= 0
}

package unit

import (
	"errors"
	"flag"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"plexha/corefile"
	"plexha/zones"
)

// engine is what runs a container.
type engine string

// The engines.
const (
	docker  engine = "docker"
	podman  engine = "podman"
	compose engine = "compose"
	quadlet engine = "quadlet"
)

func engineNames() []string {
	return []string{string(docker), string(podman), string(compose), string(quadlet)}
}

// String returns what was read, for package flag.
func (e *engine) String() string { return string(*e) }

// Set takes one of the engines.
func (e *engine) Set(text string) error {
	if !slices.Contains(engineNames(), text) {
		return fmt.Errorf("want one of %s", strings.Join(engineNames(), " "))
	}
	*e = engine(text)
	return nil
}

// list is a flag that may stand several times.
type list []string

// String returns what was read, for package flag.
func (l *list) String() string { return strings.Join(*l, " ") }

// Set takes one more.
func (l *list) Set(text string) error {
	*l = append(*l, text)
	return nil
}

// containerOptions are what the command line says of a node's container.
type containerOptions struct {
	engine            engine
	image             string
	config, transcode string
	shared            string
	media, devices    list
	uid, gid          int
	tz                string
}

// nobodySpecial is the first user that somebody adds to a system, and the one that both images have by default.
const nobodySpecial = 1000

func (o *containerOptions) define(set *flag.FlagSet) {
	o.engine = docker
	set.Var(&o.engine, "engine", "`ENGINE` NODE: docker, podman, compose or quadlet")
	set.StringVar(&o.image, "image", "", "`IMAGE` NODE: with its version, such as "+exampleImage)
	set.StringVar(&o.config, "config", "", "`DIR` NODE: what is /config in the container, of this node alone")
	set.StringVar(&o.transcode, "transcode", "", "`DIR` NODE: what is /transcode in the container (default none)")
	set.StringVar(&o.shared, "shared", "", "`DIR` NODE: what plexctl share has made, whose Media and Metadata are the node's "+
		"then; or the one of them that is shared")
	set.Var(&o.media, "media", "`DIR[:NAME]` NODE: is /NAME in the container, read-only (default its last part in lower "+
		"case); several for several")
	set.Var(&o.devices, "device", "`DEVICE` NODE: of the GPU, or none; several for several (default /dev/dri)")
	set.IntVar(&o.uid, "uid", nobodySpecial, "`N` NODE: the user that Plex runs as")
	set.IntVar(&o.gid, "gid", nobodySpecial, "`N` NODE: the group that Plex runs as")
	set.StringVar(&o.tz, "tz", "Etc/UTC", "`ZONE` NODE: the time zone, such as Europe/Berlin")
}

// mount is a folder of the machine, as the container sees it.
type mount struct {
	Source, Target string
	ReadOnly       bool
}

// container is a node's: all that the texts are made of.
type container struct {
	Node, Zone string
	Unit       string // of systemd, and the container's name
	EnvFile    string
	Image      string
	Port       uint16 // on the machine
	Mounts     []mount
	Devices    []string
	Env        []string // KEY=VALUE
	URL        string   // at which clients reach the node through plexproxy; empty: there is none
	scheme     string
}

// container returns the container of a node. The errors say what of the command line is wrong.
func (o *containerOptions) container(n zones.Node, cfg *corefile.Config) (*container, error) {
	c := &container{
		Node: string(n.Name), Zone: zoneOf(cfg), Unit: "plexha-" + string(n.Name), Image: o.image, Port: n.Port,
		EnvFile: "/etc/plexha/" + string(n.Name) + ".env", URL: urlOf(n, cfg), scheme: "http",
	}
	if n.HTTPS {
		c.scheme = "https"
	}
	mounts, err := o.mounts()
	c.Mounts = mounts
	devices, badDevice := o.deviceList()
	c.Devices = devices
	if err := errors.Join(checkImage(o.image), err, badDevice, o.checkUser(), o.checkZone()); err != nil {
		return nil, err
	}
	c.Env = o.environment(c.URL)
	return c, nil
}

// urlOf returns what a node publishes as its own address: plexproxy's name for it, which leads to no other node.
func urlOf(n zones.Node, cfg *corefile.Config) string {
	if len(cfg.Cluster.Proxies) == 0 {
		return ""
	}
	scheme, port := "https", cfg.Cluster.Proxies[0].Addrs[0].Port()
	if cfg.TLS.Kind == corefile.TLSOff {
		scheme = "http"
	}
	return fmt.Sprintf("%s://%s.%s:%d", scheme, n.Name, zoneOf(cfg), port)
}

// HealthCommand is run in the container by a shell. An answer of any kind is one, 503 above all: Plex gives it while it
// migrates its database, and must not be ended then (https://github.com/truecharts/charts/issues/18558). What is found is
// a server that accepts and never answers.
func (c *container) HealthCommand() string { return c.curl("") }

// StartedCommand tells that the server answers as it does when it serves.
func (c *container) StartedCommand() string { return c.curl("--fail ") }

func (c *container) curl(more string) string {
	if c.scheme == "https" {
		more += "--insecure " // the certificate is for another name
	}
	return "curl " + more + "--silent --show-error --output /dev/null --max-time 8 " + c.scheme + "://localhost:32400/identity"
}

// Paths are the folders of the machine that must be mounted before the container starts.
func (c *container) Paths() []string {
	var all []string
	for _, m := range c.Mounts {
		all = append(all, m.Source)
	}
	return all
}

func (o *containerOptions) mounts() ([]mount, error) {
	if o.config == "" {
		return nil, errors.New("-config is missing: name the folder of the machine that is /config, where the server's " +
			"database is or will be")
	}
	all := []mount{{o.config, "/config", false}}
	if o.transcode != "" {
		all = append(all, mount{o.transcode, "/transcode", false})
	}
	all = append(all, o.sharedMounts()...)
	for _, text := range o.media {
		dir, name, named := strings.Cut(text, ":")
		if !named {
			name = strings.ToLower(path.Base(dir))
		}
		all = append(all, mount{dir, "/" + strings.TrimPrefix(name, "/"), true})
	}
	targets := map[string]string{}
	for _, m := range all {
		if err := checkPath(m.Source); err != nil {
			return nil, err
		}
		if err := checkPath(m.Target); err != nil {
			return nil, fmt.Errorf("-media: the name in the container: %w", err)
		}
		if other, twice := targets[m.Target]; twice {
			return nil, fmt.Errorf("-media: %s and %s would both be %s in the container: name one of them, as in %s:NAME",
				other, m.Source, m.Target, m.Source)
		}
		targets[m.Target] = m.Source
	}
	return all, nil
}

// library is where both images have the server's own folder.
const library = "/config/Library/Application Support/Plex Media Server/"

// sharedMounts are what `plexctl share` says to mount over the empty folders that it leaves.
func (o *containerOptions) sharedMounts() []mount {
	parts := []string{"Media", "Metadata"}
	switch dir, part := path.Split(o.shared); {
	case o.shared == "":
		return nil
	case slices.Contains(parts, part):
		return []mount{{dir + part, library + part, false}}
	}
	var all []mount
	for _, part := range parts {
		all = append(all, mount{strings.TrimSuffix(o.shared, "/") + "/" + part, library + part, false})
	}
	return all
}

// checkPath refuses what no folder is meant to be called, or what an engine could not be told: : and , are between
// the parts of a mount.
func checkPath(dir string) error {
	special := func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune(`:,"'\`, r) }
	switch {
	case !path.IsAbs(dir):
		return fmt.Errorf("%q: want an absolute path", dir)
	case path.Clean(dir) != dir || dir == "/":
		return fmt.Errorf("%q: want a folder without . or .. in its path, nor / at its end", dir)
	case !utf8.ValidString(dir), strings.ContainsFunc(dir, special):
		return fmt.Errorf("%q: no engine takes a path with one of : , \" ' \\, nor with what can't be printed: mount the "+
			"folder elsewhere", dir)
	}
	return nil
}

// cdiName is a device by its name in the Container Device Interface, such as nvidia.com/gpu=all.
var cdiName = regexp.MustCompile(`^[a-z0-9.-]+/[a-zA-Z0-9_.-]+=[a-zA-Z0-9_.:-]+$`)

func (o *containerOptions) deviceList() ([]string, error) {
	switch {
	case len(o.devices) == 0:
		return []string{"/dev/dri"}, nil
	case slices.Equal(o.devices, list{"none"}):
		return nil, nil
	}
	for _, d := range o.devices {
		if !strings.HasPrefix(d, "/dev/") && !cdiName.MatchString(d) || strings.ContainsFunc(d, unicode.IsSpace) {
			return nil, fmt.Errorf("-device %q: want one below /dev, a name such as nvidia.com/gpu=all, or none", d)
		}
	}
	return o.devices, nil
}

// nobodyAtAll is what a user's number is below, in 32 bits: the last one stands for none.
const nobodyAtAll = 1<<32 - 1

func (o *containerOptions) checkUser() error {
	for _, id := range []struct {
		flag string
		n    int
	}{{"uid", o.uid}, {"gid", o.gid}} {
		switch {
		case id.n == 0:
			return fmt.Errorf("-%s 0: Plex would run as root, with all rights to what is mounted: want the owner of the "+
				"config folder", id.flag)
		case id.n < 0 || id.n >= nobodyAtAll:
			return fmt.Errorf("-%s %d: want the number of a user or group", id.flag, id.n)
		}
	}
	return nil
}

var zoneName = regexp.MustCompile(`^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$`)

func (o *containerOptions) checkZone() error {
	if !zoneName.MatchString(o.tz) {
		return fmt.Errorf("-tz %q: want a name of the time zone database, such as Europe/Berlin", o.tz)
	}
	return nil
}

// environment returns the variables that the image reads: each of both families has its own. One that is neither's
// gets both, since what is not read does nothing.
func (o *containerOptions) environment(url string) []string {
	all := []string{"TZ=" + o.tz}
	family := familyOf(o.image)
	if family != plexinc {
		all = append(all, fmt.Sprintf("PUID=%d", o.uid), fmt.Sprintf("PGID=%d", o.gid), "VERSION=docker")
	}
	if family != linuxserver {
		all = append(all, fmt.Sprintf("PLEX_UID=%d", o.uid), fmt.Sprintf("PLEX_GID=%d", o.gid))
		if url != "" {
			all = append(all, "ADVERTISE_IP="+url)
		}
	}
	return all
}

// Bind is the mount as the flag --mount of both engines has it. Unlike --volume it makes no folder that is missing.
func (m mount) Bind() string {
	text := fmt.Sprintf("type=bind,source=%s,target=%s", m.Source, m.Target)
	if m.ReadOnly {
		text += ",readonly"
	}
	return text
}

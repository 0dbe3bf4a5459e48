package lint

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"plexha/corefile/lint"
)

// say adds a finding: what is there and what it does, and what to write instead.
type say func(line int, why, fix string)

// rule is one thing that is wrong or unwise.
type rule struct {
	code  string // never changed once it is released: people filter by it
	level lint.Level
	find  func(*document, *container, say)
}

// rules are all that there are.
var rules = []rule{
	{"port", lint.Mistake, wrongPort},
	{"port-unknown", lint.Note, commonPort},
	{"more-ports", lint.Note, morePorts},
	{"privileged", lint.Mistake, privileged},
	{"unconfined", lint.Warning, unconfined},
	{"new-privileges", lint.Note, newPrivileges},
	{"user", lint.Mistake, user},
	{"uid-root", lint.Mistake, rootID},
	{"uid", lint.Warning, noID},
	{"interactive", lint.Warning, interactive},
	{"latest", lint.Mistake, latest},
	{"self-update", lint.Warning, selfUpdate},
	{"pull", lint.Mistake, pull},
	{"stop", lint.Mistake, stop},
	{"stop-timeout", lint.Mistake, stopTimeout},
	{"unit-timeout", lint.Mistake, unitTimeout},
	{"leftover", lint.Mistake, leftover},
	{"detach", lint.Mistake, detach},
	{"restart", lint.Warning, restart},
	{"restart-twice", lint.Warning, restartTwice},
	{"start-limit", lint.Mistake, startLimit},
	{"engine", lint.Warning, engineService},
	{"health", lint.Warning, health},
	{"health-restart", lint.Mistake, healthRestart},
	{"mounts", lint.Mistake, mounts},
	{"missing-folder", lint.Warning, missingFolder},
	{"media-writable", lint.Warning, mediaWritable},
	{"other-image", lint.Warning, otherImage},
	{"claim", lint.Note, claim},
	{"tz", lint.Note, timeZone},
	{"device", lint.Note, device},
}

// plexPort is Plex's own.
const plexPort = 32400

// published returns what the container has its port 32400 published as. Unknown: perhaps as that.
func (c *container) published() (port, bool) {
	perhaps := port{}
	for _, p := range c.ports {
		if one, ok := p.at(plexPort); ok {
			return one, true
		}
		if p.anywhere && !p.udp {
			perhaps = p
			perhaps.unknown = true
		}
	}
	return perhaps, perhaps.unknown
}

func wrongPort(d *document, c *container, say say) {
	fix := fmt.Sprintf("publish the port of the node line, as in %d:%d", plexPort+1, plexPort)
	switch p, ok := c.published(); {
	case c.hostNetwork.set():
		d.compare(plexPort, c.hostNetwork.line, "the machine's own network has Plex at port %d, and the Corefile has %s", say)
	case !ok && len(c.ports) == 0 && c.otherNetwork.set():
	case !ok && len(c.ports) == 0:
		say(c.line, "no port is published: nobody reaches Plex", fix)
	case !ok:
		say(c.ports[0].word.line, fmt.Sprintf("none of the published ports leads to Plex's own, %d", plexPort), fix)
	case p.unknown:
	case p.host == 0:
		say(p.word.line, c.engine+" chooses the port at which it is published, at each start another one: nobody knows where "+
			"Plex is", fix)
	default:
		d.compare(p.host, p.word.line, "it is published at port %d, and the Corefile has %s: plexproxy and Remote Access ask "+
			"where nobody is", say)
	}
}

// compare says that the Corefile has other ports, if it has none that is this one.
func (d *document) compare(at, line int, why string, say say) {
	var want, names []string
	for _, n := range d.nodes {
		if int(n.Port) == at {
			return
		}
		want = append(want, fmt.Sprintf("%d for %s", n.Port, n.Name))
		names = append(names, fmt.Sprintf("%d:%d", n.Port, plexPort))
	}
	if want != nil {
		say(line, fmt.Sprintf(why, at, strings.Join(want, ", ")), "publish "+strings.Join(names, " or "))
	}
}

func commonPort(d *document, c *container, say say) {
	if p, ok := c.published(); ok && !p.unknown && p.host == plexPort && len(d.nodes) == 0 {
		say(p.word.line, fmt.Sprintf("it is published at port %d, which each node would be by default: behind one external "+
			"address only one of them is reached there, "+
			"and the port must be that of the node line", plexPort),
			"name the Corefile with -conf and the node behind the file, so that the two are compared")
	}
}

func morePorts(_ *document, c *container, say say) {
	for _, p := range c.ports {
		if _, plex := p.at(plexPort); !p.anywhere && (!plex || p.more > 0) {
			say(p.word.line, fmt.Sprintf("%s is published as well: apps find the node by it and go past plexproxy",
				p.word.text), "publish Plex's own port alone")
		}
	}
}

func privileged(_ *document, c *container, say say) {
	if c.privileged.set() {
		say(c.privileged.line, "a privileged container may do all that root may on the machine, to its disks as well, and "+
			"has every device anyway",
			"leave it out: the device /dev/dri is all that the GPU needs")
	}
}

func unconfined(_ *document, c *container, say say) {
	for _, w := range c.unconfined {
		say(w.line, w.text+" is a right that Plex does not need", "leave it out")
	}
	for _, m := range c.mounts {
		if path.Base(m.source) == "docker.sock" {
			say(m.word.line, "whoever has Docker's socket is root on the machine", "leave it out")
		}
	}
}

func newPrivileges(d *document, c *container, say say) {
	if !c.restricted && !c.privileged.set() {
		say(c.line, "a program in the container may get more rights than it has begun with", d.words(
			"write --security-opt=no-new-privileges", "write NoNewPrivileges=true", "write security_opt: [no-new-privileges:true]"))
	}
}

// words returns those for the format: of a command line, of a quadlet, of a compose file.
func (d *document) words(run, ofQuadlet, ofCompose string) string {
	switch d.format {
	case quadlet:
		return ofQuadlet
	case compose:
		return ofCompose
	default:
		return run
	}
}

func user(_ *document, c *container, say say) {
	if !c.user.set() {
		return
	}
	name, _, _ := strings.Cut(c.user.text, ":")
	if name == "0" || name == "root" {
		say(c.user.line, fmt.Sprintf("user %s: the images begin as root by themselves, and become the user of %s: where "+
			"they can't, all of Plex is root",
			c.user.text, strings.Join(c.ids(), " and ")), "leave it out")
	}
}

// image families, by what their names have.
const (
	linuxserver = "linuxserver/plex"
	plexinc     = "plexinc/pms-docker"
)

func (c *container) from(family string) bool { return strings.HasSuffix(c.repository(), family) }

// ids returns the variables of the user and group that Plex runs as.
func (c *container) ids() []string {
	if c.from(plexinc) {
		return []string{"PLEX_UID", "PLEX_GID"}
	}
	return []string{"PUID", "PGID"}
}

func rootID(_ *document, c *container, say say) {
	for _, id := range c.ids() {
		if v, ok := c.env[id]; ok && v.text == "0" {
			say(v.line, id+"=0: Plex runs as root", "write the owner of the config folder, such as "+id+"=1000")
		}
	}
}

func noID(_ *document, c *container, say say) {
	if c.envFile.set() || !c.from(linuxserver) && !c.from(plexinc) {
		return
	}
	var lacking []string
	for _, id := range c.ids() {
		if _, ok := c.env[id]; !ok {
			lacking = append(lacking, id)
		}
	}
	if lacking != nil {
		say(c.line, "without "+strings.Join(lacking, " and ")+" the image takes a user of its own, and each file of the "+
			"config folder becomes that one's",
			"write the numbers of the folder's owner")
	}
}

func interactive(d *document, c *container, say say) {
	for _, w := range []word{c.interactive, c.tty} {
		if w.set() && (d.format != script || !c.interactive.set() || !c.tty.set()) {
			say(w.line, w.text+" keeps something open for a person, who is not there", "leave it out")
		}
	}
}

// moving are the tags that are another version from one day to the next.
var moving = []string{"", "latest", "public", "beta", "plexpass", "develop", "nightly"}

func latest(_ *document, c *container, say say) {
	name, digest, _ := strings.Cut(c.image.text, "@")
	name, tag := splitTag(name)
	if c.image.set() && digest == "" && slices.Contains(moving, tag) && !strings.Contains(name, "$") {
		say(c.image.line, fmt.Sprintf("%s is whichever version is the newest at the time: nodes differ, and all migrate "+
			"their databases at once", c.image.text),
			"write the version, as in "+name+":1.43.2")
	}
}

// splitTag cuts the tag off an image's name. A colon before a slash is a port's.
func splitTag(image string) (name, tag string) {
	i := strings.LastIndexByte(image, ':')
	if i < 0 || strings.Contains(image[i:], "/") {
		return image, ""
	}
	return image[:i], image[i+1:]
}

func selfUpdate(_ *document, c *container, say say) {
	v, ok := c.env["VERSION"]
	if ok && c.from(linuxserver) && v.text != "docker" && v.text != "" && !strings.Contains(v.text, "$") {
		say(v.line, fmt.Sprintf("VERSION=%s: at each start the container fetches that version, whatever the image's is, and "+
			"waits for the Internet", v.text),
			"write VERSION=docker")
	}
}

func pull(d *document, c *container, say say) {
	const why = "without Internet Plex does not start"
	if d.format == systemd {
		for _, key := range []string{"ExecStartPre", "ExecCondition"} {
			for _, e := range d.unit.executions(key) {
				if e.does("pull") && !e.ignore {
					say(e.words[0].line, "a pull that fails ends the start: "+why,
						"leave the line out, and write --pull=missing behind "+c.engine+" run")
				}
			}
		}
	}
	if c.pull.text == "always" || c.pull.text == "newer" && d.format == quadlet || c.pull.text == "build" {
		say(c.pull.line, "the image is fetched at each start: "+why, d.words("write --pull=missing", "write Pull=missing",
			"write pull_policy: missing"))
	}
}

// nameOr is the container's name, or what stands for it.
func (c *container) nameOr() string {
	if c.name.text == "" {
		return "NAME"
	}
	return c.name.text
}

func stop(d *document, c *container, say say) {
	if d.format != systemd {
		return
	}
	fix := fmt.Sprintf("write ExecStop=/usr/bin/%s stop %s", c.engine, c.nameOr())
	for _, e := range d.unit.executions("ExecStop") {
		signal := strings.TrimPrefix(e.value("-s", "--signal").text, "SIG")
		switch {
		case e.does("stop"), e.does("kill") && !slices.Contains([]string{"", "KILL", "9"}, signal):
			return
		case e.does("kill"), e.does("rm"):
			say(e.words[0].line, "it kills the server at once, in the midst of what SQLite writes to its database", fix)
			return
		}
	}
	say(c.line, fmt.Sprintf("nothing stops the container: systemd ends the program %s, and the container may live on "+
		"without it", c.engine), fix)
}

// leastStop is how long SQLite is given to put its log into the database, in seconds.
const leastStop = 60

// stopTime returns what the server is given to stop: what a unit's own command says, else what the container has.
func (d *document) stopTime(c *container) (time word, ofCommand bool) {
	if d.format == systemd {
		for _, e := range d.unit.executions("ExecStop") {
			if w := e.stopTime(); w.set() {
				return w, true
			}
		}
	}
	return c.stopTimeout, false
}

func stopTimeout(d *document, c *container, say say) {
	t, ofCommand := d.stopTime(c)
	n, known := seconds(t.text)
	fix := d.words("write --stop-timeout=120", "write StopTimeout=120", "write stop_grace_period: 2m")
	if ofCommand {
		fix = "write -t 120"
	}
	const why = "is killed, in the midst of what SQLite writes to its database"
	switch {
	case !t.set():
		say(c.line, "10 s after it is told to stop, without a longer time, the server "+why, fix)
	case known && n < leastStop:
		say(t.line, fmt.Sprintf("%g s after it is told to stop the server %s", n, why), fix)
	}
}

// unitStop is systemd's TimeoutStopSec= without a line, in seconds.
const unitStop = 90

func unitTimeout(d *document, c *container, say say) {
	t, _ := d.stopTime(c)
	if d.format != systemd && d.format != quadlet || !t.set() {
		return
	}
	least, known := seconds(t.text)
	line, n := t.line, float64(unitStop)
	for _, key := range []string{"TimeoutSec", "TimeoutStopSec"} {
		if v := d.unit.last("Service", key); v.set() {
			var ok bool
			n, ok = seconds(v.text)
			line, known = v.line, known && ok
		}
	}
	if known && n <= least {
		say(line, fmt.Sprintf("systemd ends all after %g s, while the server has %g s to stop", n, least),
			fmt.Sprintf("write TimeoutStopSec=%g", least+30))
	}
}

func leftover(d *document, c *container, say say) {
	if d.format != systemd || c.replaces || !c.name.set() {
		return
	}
	removes := func(e execution) bool { return e.does("rm") && e.ignore }
	if !slices.ContainsFunc(d.unit.executions("ExecStartPre"), removes) {
		say(c.name.line, fmt.Sprintf("a container %s that a crash has left behind keeps the name, and no start after it "+
			"succeeds", c.name.text),
			fmt.Sprintf("write ExecStartPre=-/usr/bin/%s rm --force %s", c.engine, c.name.text))
	}
}

func detach(d *document, c *container, say say) {
	if d.format != systemd || !c.detach.set() || c.engine != "docker" {
		return
	}
	switch t := d.unit.last("Service", "Type").text; t {
	case "oneshot", "forking":
	default:
		say(c.detach.line, "with --detach the program that systemd watches ends at once, and takes what is left for dead", "leave it out")
	}
}

func restart(d *document, c *container, say say) {
	const why = "nobody starts Plex again when it has ended"
	switch v := c.restart; d.format {
	case systemd, quadlet:
		switch v := d.unit.last("Service", "Restart"); {
		case !v.set():
			say(c.line, why, "write Restart=always below [Service]")
		case v.text != "always":
			say(v.line, fmt.Sprintf("Restart=%s: Plex is not started again when it has ended without an error", v.text),
				"write Restart=always")
		}
	case compose:
		if !v.set() {
			v.line = c.line
		}
		if v.text == "" || v.text == "no" {
			say(v.line, why, "write restart: unless-stopped")
		}
	case script:
		if (!v.set() || v.text == "no") && c.detach.set() {
			say(c.line, why, "write --restart=unless-stopped")
		}
	}
}

func restartTwice(d *document, c *container, say say) {
	if d.format == systemd && c.restart.set() && c.restart.text != "no" {
		say(c.restart.line, fmt.Sprintf("--restart=%s: both systemd and %s start it again, each against the other",
			c.restart.text, c.engine), "leave it out")
	}
}

// systemd gives up after so many starts within so many seconds, see systemd.unit(5).
const (
	limitBurst    = 5
	limitInterval = 10
)

func startLimit(d *document, c *container, say say) {
	if d.format != systemd && d.format != quadlet || !d.unit.last("Service", "Restart").set() {
		return
	}
	interval, burst, pause := float64(limitInterval), float64(limitBurst), 0.1
	for _, k := range []struct {
		section, key string
		into         *float64
	}{
		{"Service", "StartLimitInterval", &interval},
		{"Unit", "StartLimitInterval", &interval},
		{
			"Unit",
			"StartLimitIntervalSec", &interval,
		},
		{"Service", "StartLimitBurst", &burst},
		{"Unit", "StartLimitBurst", &burst},
		{"Service", "RestartSec", &pause},
	} {
		if n, ok := seconds(d.unit.last(k.section, k.key).text); ok {
			*k.into = n
		}
	}
	if interval > 0 && pause*burst <= interval {
		say(d.unit.last("Service", "Restart").line,
			fmt.Sprintf("after %g starts within %g s, one each %g s, systemd gives up for good", burst, interval, pause),
			"write StartLimitIntervalSec=0 below [Unit], and RestartSec=10 below [Service]")
	}
}

func engineService(d *document, c *container, say say) {
	if d.format != systemd || c.engine != "docker" {
		return
	}
	isDocker := func(w word) bool { return w.text == "docker.service" || w.text == "docker.socket" }
	needs := append(d.unit.words("Unit", "Requires"), append(d.unit.words("Unit", "Wants"), d.unit.words("Unit", "BindsTo")...)...)
	if !slices.ContainsFunc(d.unit.words("Unit", "After"), isDocker) || !slices.ContainsFunc(needs, isDocker) {
		say(c.line, "it does not wait for Docker to run", "write Wants=docker.service and After=docker.service below [Unit]")
	}
}

// healthCommand asks Plex what needs no token.
const healthCommand = "curl --silent --show-error --output /dev/null --max-time 8 http://localhost:32400/identity"

func health(d *document, c *container, say say) {
	fix := d.words("write --health-cmd='"+healthCommand+"'", "write HealthCmd="+healthCommand,
		`write healthcheck: {test: ["CMD-SHELL", "`+healthCommand+`"]}`)
	off := c.noHealth
	if c.engine == "podman" && c.health.text == "none" { // see podman-run(1)
		off = c.health
	}
	switch {
	case off.set():
		say(off.line, "the health check is switched off: nobody sees a server that accepts and never answers", fix)
	case !c.health.set() && !c.from(plexinc): // which has its own
		say(c.line, "there is no health check: nobody sees a server that accepts and never answers", fix)
	}
}

func healthRestart(d *document, c *container, say say) {
	fails := strings.Contains(c.health.text, "--fail") || strings.Contains(c.health.text, " -f")
	if fails && c.onFailure.set() && c.onFailure.text != "none" {
		say(c.health.line, "the check takes 503 for a failure, which Plex answers while it migrates its database, and must "+
			"not be ended then",
			"leave --fail out of the command")
	}
}

// covers reports whether a folder is, or is below, one of those that are waited for.
func covers(waited []word, dir string) bool {
	return slices.ContainsFunc(waited, func(w word) bool {
		at := path.Clean(w.text)
		return at == dir || at == "/" || strings.HasPrefix(dir, at+"/")
	})
}

// ofSystem reports whether a mount is of what each machine has, such as /etc/localtime.
func (m mount) ofSystem() bool {
	return slices.ContainsFunc([]string{"/dev/", "/etc/", "/proc/", "/run/", "/sys/", "/usr/", "/var/run/"}, func(dir string) bool {
		return strings.HasPrefix(m.source, dir)
	})
}

// unwaited returns the folders of the machine for which a unit does not wait, as a list of a unit has them.
func unwaited(d *document, c *container) []string {
	waited := append(d.unit.words("Unit", "RequiresMountsFor"), d.unit.words("Unit", "AssertPathIsMountPoint")...)
	var lacking []string
	for _, m := range c.mounts {
		dir := path.Clean(m.source)
		named := dir[0] == '/' || dir[0] == '%' // as systemd can wait for it
		if covers(waited, dir) || !named || strings.Contains(dir, "$") || m.ofSystem() {
			continue
		}
		if strings.ContainsAny(dir, " \t") {
			dir = `"` + dir + `"`
		}
		if !slices.Contains(lacking, dir) {
			lacking = append(lacking, dir)
		}
	}
	return lacking
}

func mounts(d *document, c *container, say say) {
	if d.format != systemd && d.format != quadlet {
		return
	}
	lacking := unwaited(d, c)
	if lacking != nil {
		say(c.line, "it does not wait until these are mounted: "+strings.Join(lacking, " ")+
			": in an empty folder Plex takes its media for deleted, and with \"Empty trash\" forgets them",
			"write RequiresMountsFor="+strings.Join(lacking, " ")+" below [Unit]")
	}
}

func missingFolder(d *document, c *container, say say) {
	if d.format != compose {
		return // a unit waits for its mounts
	}
	for _, m := range c.mounts {
		if m.makes && !m.ofSystem() {
			say(m.word.line, fmt.Sprintf("a folder %s that is not there, since its disk is not, is made anew: Plex finds it "+
				"empty", m.source),
				"write type: bind, with bind: {create_host_path: false}")
		}
	}
}

// ours are where containers have what is no media.
var ours = []string{
	"/config", "/transcode", "/repair", "/backup", "/backups", "/tmp", "/dev", "/etc", "/run", "/var",
	"/custom-cont-init.d",
}

func mediaWritable(d *document, c *container, say say) {
	for _, m := range c.mounts {
		target := path.Clean(m.target)
		below := func(dir string) bool { return target == dir || strings.HasPrefix(target, dir+"/") }
		if !m.readOnly && !slices.ContainsFunc(ours, below) {
			say(m.word.line, fmt.Sprintf("%s can be written to: whoever takes over the server can delete the media", m.target),
				d.words("write :ro behind it", "write :ro behind it", "write read_only: true, or :ro behind it"))
		}
	}
}

func otherImage(_ *document, c *container, say say) {
	wrong := map[string]string{}
	switch {
	case c.from(linuxserver):
		wrong["ADVERTISE_IP"] = "write the address in Plex, Settings > Network > Custom server access URLs"
		wrong["ALLOWED_NETWORKS"] = "leave it out, and never let in who comes through a proxy without a token"
		wrong["PLEX_UID"], wrong["PLEX_GID"] = "write PUID", "write PGID"
	case c.from(plexinc):
		wrong["PUID"], wrong["PGID"] = "write PLEX_UID", "write PLEX_GID"
	}
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		if v, ok := c.env[name]; ok {
			say(v.line, name+" does nothing in this image", wrong[name])
		}
	}
}

func claim(_ *document, c *container, say say) {
	_, claimed := c.env["PLEX_CLAIM"]
	if !claimed && !c.envFile.set() && !c.hostNetwork.set() {
		say(c.line, "a new server, which belongs to nobody yet, shows its settings to nobody through the container's network",
			"for its first start give PLEX_CLAIM=, from https://plex.tv/claim, which is good for four minutes")
	}
}

func timeZone(_ *document, c *container, say say) {
	if _, ok := c.env["TZ"]; !ok && !c.envFile.set() {
		say(c.line, "no time zone is given: what Plex does at night it does at another time", "write TZ=, such as TZ=Europe/Berlin")
	}
}

func device(_ *document, c *container, say say) {
	if len(c.devices) == 0 && !c.privileged.set() {
		say(c.line, "the container has no GPU", "if there is one, give it the device /dev/dri")
	}
}

// units of time, in seconds, as systemd.time(7) and compose have them.
var units = map[string]float64{
	"us": 1e-6, "ms": 1e-3, "": 1, "s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "minute": 60, "minutes": 60,
	"h": 3600, "hr": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400, "days": 86400,
}

// forever is what `infinity` and the like are compared as.
const forever = 1e12

// seconds reads a time such as 120, 2min 30s or 1m30s.
func seconds(text string) (n float64, ok bool) {
	text = strings.ReplaceAll(strings.TrimSpace(text), " ", "")
	if text == "infinity" || text == "-1" {
		return forever, true
	}
	for text != "" {
		digits := len(text) - len(strings.TrimLeft(text, "0123456789."))
		value, err := strconv.ParseFloat(text[:digits], 64)
		text = text[digits:]
		letters := len(text) - len(strings.TrimLeft(text, "abcdefghijklmnopqrstuvwxyz"))
		unit, known := units[text[:letters]]
		if err != nil || !known {
			return 0, false
		}
		n, ok, text = n+value*unit, true, text[letters:]
	}
	return n, ok
}

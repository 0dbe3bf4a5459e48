package unit_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/cmd/internal/command"
	"plexha/cmd/internal/unit"
)

var update = flag.Bool("update", false, "write the golden files anew")

// house is a Corefile with two nodes behind a proxy.
const house = `home.duckdns.org {
    plex {
        node     plex1 docker1:32401
        node     plex2 192.168.1.5:32402 https
        proxy    192.168.1.2
        internal 192.168.1.0/24
        duckdns  token_file /etc/plexha/duckdns.token
        tls      acme mail@example.com dns
        storage  /var/lib/plexha/certificates
    }
}
`

// sockets is a Corefile whose plexproxy gets its sockets, and whose token is a credential.
const sockets = `home.duckdns.org {
    plex {
        node     plex1 192.168.1.4
        proxy    192.168.1.2 fd12:3456::2
        internal 192.168.1.0/24 fd12:3456::/48
        duckdns  token from $CREDENTIALS_DIRECTORY
        tls      acme mail@example.com dns
        listen   fd/3 http://fd/4
        storage  /srv/plexha/certificates
        state    /srv/plexha/state
    }
}
`

// Flags of most nodes.
const (
	image  = " -image lscr.io/linuxserver/plex:1.43.2"
	config = " -config /mnt/docker/data/docker1-plex/data"
	full   = image + config + " -transcode /mnt/docker/data/docker1-plex/transcode -media /mnt/storage/Movies -media /mnt/storage/TV:shows"
)

// printed returns what `plexctl unit` prints, or the error.
func printed(t *testing.T, corefile, args string) (string, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("Corefile", []byte(corefile), 0o600); err != nil {
		t.Fatal(err)
	}
	return run(t, strings.Fields(args)...)
}

func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	program := command.Program{Name: "plexctl", Commands: []command.Command{unit.Command}}
	var out strings.Builder
	err := program.Run(t.Context(), append([]string{"unit"}, args...), nil, &out, nil)
	return out.String(), err
}

// golden are the texts that are kept in testdata.
var golden = []struct {
	file     string
	corefile string
	args     string
}{
	{"docker.service", house, "plex1" + full},
	{"podman.service", house, "plex1 -engine podman" + full},
	{"quadlet.container", house, "plex1 -engine quadlet" + full},
	{"compose.yaml", house, "plex1 -engine compose" + full},
	{"linuxserver.env", house, "plex1 -env -tz Europe/Berlin -uid 1001 -gid 100" + full},
	{"plexinc.env", house, "plex2 -env -image plexinc/pms-docker:1.43.2.10687-563d026ea" + config},
	{"other.env", sockets, "plex1 -env -image registry.lan:5000/mine@sha256:" + digest + config},
	{"https.service", house, "plex2 -device nvidia.com/gpu=all -device /dev/dri" + image + config},
	{"plain.container", house, "plex1 -engine quadlet -device none" + image + config},
	{"plain.yaml", house, "plex1 -engine compose -device none" + image + config},
	{"shared.service", house, "plex1 -shared /mnt/common" + image + config},
	{"shared.container", house, "plex1 -engine quadlet -shared /mnt/common/Metadata" + image + config},
	{"plexdns.service", house, "plexdns"},
	{"plexproxy.service", house, "plexproxy"},
	{"credential-plexdns.service", sockets, "plexdns -bin /usr/bin"},
	{"sockets-plexproxy.service", sockets, "plexproxy"},
	{"sockets-plexproxy.socket", sockets, "plexproxy -socket"},
	{"keepalived.conf", house, "keepalived -interface eth0 -vip 192.168.1.2/24"},
	{"sockets-keepalived.conf", sockets, "keepalived -interface eth0 -priority 150 -router-id 7"},
}

const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestTexts(t *testing.T) {
	for _, tc := range golden {
		t.Run(tc.file, func(t *testing.T) {
			file, err := filepath.Abs(filepath.Join("testdata", tc.file))
			if err != nil {
				t.Fatal(err)
			}
			got, err := printed(t, tc.corefile, tc.args)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestTextsAreNarrow: comments are read in terminals and editors; other lines are as long as they must.
func TestTextsAreNarrow(t *testing.T) {
	const width = 120
	for _, tc := range golden {
		text, err := os.ReadFile(filepath.Join("testdata", tc.file))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			comment := strings.HasPrefix(strings.TrimSpace(line), "#") && !strings.Contains(line,
				"/mnt/") && !strings.Contains(line, "https://")
			if comment && len(line) > width+1 || strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
				t.Errorf("%s: %q is wider than %d, or ends in blanks", tc.file, line, width)
			}
		}
	}
}

// TestOursAreRight: -lint finds nothing in what runs a node, whatever runs it.
func TestOursAreRight(t *testing.T) {
	for _, engine := range unit.EngineNames() {
		for _, flags := range []string{full, image + config + " -device none", full + " -media /srv/More", full + " -shared /srv/shared"} {
			text, err := printed(t, house, "plex1 -engine "+engine+flags)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile("file", []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := run(t, "-lint", "file", "plex1")
			if want := strings.Contains(flags, "none") && strings.Contains(out,
				"[device]"); err != nil || out != "file: nothing to complain of\n" && !want {
				t.Errorf("%s%s: %v\n%s", engine, flags, err, out)
			}
		}
	}
}

// TestNothingEndsTheStart: Restart tries again what has begun and failed, but not what a unit requires and has not got.
func TestNothingEndsTheStart(t *testing.T) {
	for _, engine := range unit.EngineNames() {
		text, err := printed(t, house, "plex1 -engine "+engine+full)
		if err != nil {
			t.Fatal(err)
		}
		if m := regexp.MustCompile(`(?m)^(Requires|Requisite|BindsTo)=.*`).FindString(text); m != "" {
			t.Errorf("%s: %s", engine, m)
		}
		if !strings.Contains(text, "RequiresMountsFor=/mnt/") || !strings.Contains(text, "for NFS write bg in /etc/fstab") {
			t.Errorf("%s: nothing tells how its mounts are waited for:\n%s", engine, text)
		}
		if m := regexp.MustCompile(`(?m)^ExecStop(Post)?=[^-].*docker.*`).FindString(text); m != "" {
			t.Errorf("%s: %s: fails when the container has ended by itself", engine, m)
		}
	}
}

func TestMistakes(t *testing.T) {
	two := house + strings.Replace(house, "home.duckdns.org", "example.org", 1)
	two = strings.ReplaceAll(two, "token_file", "home token_file")
	tests := []struct {
		args string
		want string
	}{
		{"", "want a NODE of the Corefile, plexdns, plexproxy or keepalived"},
		{"plex1 plex2", `unexpected "plex2"`},
		{"plex3" + full, `no node line is for "plex3": want one of plex1 plex2 plexdns plexproxy keepalived: did you mean plex1?`},
		{"plex1" + config, "-image is missing: name the version that the node runs, such as lscr.io/linuxserver/plex:1.43.2"},
		{"plex1" + image, "-config is missing: name the folder of the machine that is /config"},
		{
			"plex1 -image lscr.io/linuxserver/plex:latest" + config,
			"nodes differ, and all migrate their databases at once: write the version, as in lscr.io/linuxserver/plex:1.43.2",
		},
		{"plex1 -image registry.lan:5000/plex" + config, "write the version, as in registry.lan:5000/plex:1.43.2"},
		{"plex1 -image plexinc/pms-docker:public" + config, "write the version"},
		{"plex1 -image http://x" + config, `-image "http://x" is no name of an image`},
		{"plex1 -image -privileged" + config, `-image "-privileged" is no name of an image`},
		{"plex1 -config data" + image, `"data": want an absolute path`},
		{"plex1 -config /data/../etc" + image, `want a folder without . or .. in its path`},
		{"plex1 -config /" + image, `want a folder without`},
		{"plex1 -config /da:ta" + image, `no engine takes a path with one of :`},
		{"plex1 -config /da,ta" + image, `no engine takes a path with one of :`},
		{"plex1 -config /da\x01ta" + image, `no engine takes a path with one of :`},
		{"plex1 -media /srv/a:../etc" + full, `-media: the name in the container: "/../etc"`},
		{"plex1 -media /srv/Movies" + full, "/mnt/storage/Movies would both be /movies in the container: name one of them, " +
			"as in /mnt/storage/Movies:NAME"},
		{"plex1 -media /srv/x:config" + full, "would both be /config"},
		{"plex1 -shared common" + full, `"common/Media": want an absolute path`},
		{"plex1 -shared /srv/../x" + full, "want a folder without . or .. in its path"},
		{"plex1 -engine lxc" + full, "want one of docker podman compose quadlet"},
		{"plex1 -device dri" + full, `-device "dri": want one below /dev`},
		{"plex1 -device none -device /dev/dri" + full, `-device "none"`},
		{"plex1 -uid 0" + full, "-uid 0: Plex would run as root"},
		{"plex1 -gid 0" + full, "-gid 0: Plex would run as root"},
		{"plex1 -gid -1" + full, "-gid -1: want the number of a user or group"},
		{"plex1 -tz Europe/Berlin;reboot" + full, "want a name of the time zone database"},
		{"plexdns -bin bin", `-bin "bin": want an absolute path`},
		{"plexdns -socket", "-socket is for plexproxy"},
		{"plexproxy -socket", "no listen line takes a socket from systemd: write `listen fd/3 http://fd/4`"},
		{"keepalived", "-interface is missing"},
		{"keepalived -interface eth0;x", "-interface is missing, or is none"},
		{"keepalived -interface eth0 -vip x", `-vip "x": want ADDRESS or ADDRESS/LEN`},
		{"keepalived -interface eth0 -priority 255", "-priority 255: want 2 to 254"},
		{"keepalived -interface eth0 -router-id 0", "-router-id 0: want 1 to 255"},
		{"-lint none", "no such file"},
		{"-lint Corefile", "Corefile: there is no docker run or podman run, no [Container] and no service of compose in it"},
		{"-lint Corefile plex9", `no node line is for "plex9"`},
	}
	for _, tc := range tests {
		if out, err := printed(t, house, tc.args); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s:\ngot  %v\nwant %s\n%s", tc.args, err, tc.want, out)
		}
	}
	if _, err := printed(t, two, "plex1"+full); err == nil || !strings.Contains(err.Error(),
		"of home.duckdns.org and of example.org: say which with -zone") {
		t.Errorf("two nodes of one name: got %v", err)
	}
	if _, err := printed(t, two, "plex1 -zone example.org"+full); err != nil {
		t.Errorf("the node of a zone: got %v", err)
	}
	if _, err := printed(t, two, "keepalived -interface eth0"); err == nil || !strings.Contains(err.Error(),
		"say whose proxies with -zone") {
		t.Errorf("the proxies of two blocks: got %v", err)
	}
}

// TestKeepalivedAsksItsOwnMachine: one that has not got the virtual address must not ask the one that has, or all of them
// fail together and the address stays where nobody is ready.
func TestKeepalivedAsksItsOwnMachine(t *testing.T) {
	const page, front = "http://127.0.0.1:8054/.plexha/ready", "--connect-to plex.home.duckdns.org:"
	for _, tc := range []struct {
		name, lines string
		want        string
	}{
		{"all addresses", "listen :443", front + "443:127.0.0.1:443"},
		{"loopback", "listen [::1]:8443", front + "8443:[::1]:8443"},
		{"the virtual address", "listen 192.168.1.2:443", page},
		{"the virtual address, and loopback", "listen 192.168.1.2:443 127.0.0.1:8443", front + "8443:127.0.0.1:8443"},
		{"an address of one machine", "listen 192.168.1.3:443", page},
		{"a name", "listen proxy.lan:443", page},
		{"a page at all addresses", "listen fd/3\nproxy_status [::]:8055", "http://127.0.0.1:8055/.plexha/ready"},
	} {
		corefile := strings.Replace(house, "storage ", tc.lines+"\nstorage ", 1)
		got, err := printed(t, corefile, "keepalived -interface eth0 -vip 192.168.1.2/24")
		if err != nil || !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %v, want %s in\n%s", tc.name, err, tc.want, got)
		}
	}
	for _, lines := range []string{
		"listen 192.168.1.2:443\nproxy_status 192.168.1.2:8054", "listen fd/3\nproxy_status 127.0.0.1:0",
	} {
		corefile := strings.Replace(house, "storage ", lines+"\nstorage ", 1)
		_, err := printed(t, corefile, "keepalived -interface eth0")
		if err == nil || !strings.Contains(err.Error(), "write `proxy_status 127.0.0.1:8054`") {
			t.Errorf("%q: got %v", lines, err)
		}
	}
}

// TestSocketsAreNumbered: systemd numbers what it hands over from 3 on.
func TestSocketsAreNumbered(t *testing.T) {
	_, err := printed(t, strings.Replace(sockets, "http://fd/4", "http://fd/5", 1), "plexproxy -socket")
	if want := "not fd/4: it numbers them from fd/3 on"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestLintEndsWithACode: 1 with a mistake, and what is found for people and for programs.
func TestLintEndsWithACode(t *testing.T) {
	file, err := filepath.Abs(filepath.Join("lint", "testdata", "write-up-1.service"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := printed(t, house, "plex1 -lint "+file)
	exit, ok := errors.AsType[*command.ExitError](err)
	if !ok || exit.Code != 1 || exit.Err != nil || !strings.HasSuffix(out, "\n10 mistakes, 4 warnings, 1 note\n") {
		t.Errorf("got %v\n%s", err, out)
	}
	out, err = printed(t, house, "-json plex1 -lint "+file)
	if _, ok := errors.AsType[*command.ExitError](err); !ok || !strings.Contains(out,
		`"code": "start-limit"`) || !strings.Contains(out, `"version": 1`) {
		t.Errorf("got %v\n%s", err, out)
	}
}

package lint_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/cmd/internal/command"
	"plexha/cmd/internal/unit"
	"plexha/cmd/internal/unit/lint"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestWriteUp: every mistake of the two units that the write-up prints is found.
func TestWriteUp(t *testing.T) {
	for i, node := range []lint.Node{{Name: "plex1", Port: 32401}, {Name: "plex2", Port: 32402}} {
		file := filepath.Join("testdata", fmt.Sprintf("write-up-%d.service", i+1))
		compare(t, file, []lint.Node{node})
	}
}

// TestFiles compares what is found in files of each format with what is kept beside them.
func TestFiles(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*.container", "*.yaml", "*.sh", "*-unit.service"} {
		found, err := filepath.Glob(filepath.Join("testdata", pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		compare(t, file, nil)
	}
}

func compare(t *testing.T, file string, nodes []lint.Node) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	findings, err := lint.Check(filepath.Base(file), text, nodes)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range findings {
		fmt.Fprintln(&out, f)
	}
	golden := file + ".txt"
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// good is a unit without a mistake.
const good = `[Unit]
Requires=docker.service
After=docker.service
RequiresMountsFor=/srv
StartLimitIntervalSec=0
[Service]
ExecStartPre=-/usr/bin/docker rm --force plex
ExecStart=/usr/bin/docker run --name=plex --stop-timeout 120 -p 32401:32400 --device /dev/dri \
  --security-opt no-new-privileges --health-cmd 'curl http://localhost:32400/identity' \
  --env-file /etc/plex.env -v /srv/config:/config -v /srv/tv:/tv:ro lscr.io/linuxserver/plex:1.43.2
ExecStop=/usr/bin/docker stop plex
TimeoutStopSec=150
Restart=always
RestartSec=10
`

// TestRules: a change of a good unit brings the finding of its code, in its line, and no other.
func TestRules(t *testing.T) {
	corefile := []lint.Node{{Name: "plex1", Port: 32401}}
	tests := []struct {
		name     string
		from, to string
		want     string // CODE:LINE
	}{
		{"as it is", "", "", ""},
		{"another port", "32401:32400", "32400:32400", "port:8"},
		{"a port at an address", "32401:32400", "192.168.1.4:32401:32400/tcp", ""},
		{"a port at an address of IPv6", "32401:32400", "[fd12::4]:32400:32400", "port:8"},
		{"a port of a variable", "-p 32401:32400", "-p ${PORT}:32400", ""},
		{"a port of a variable with another value", "-p 32401:32400", "-p ${PORT:-32400}:32400", ""},
		{"a port of a specifier", "32401:32400", "3240%i:32400", ""},
		{"a port within of a variable", "32401:32400", "32401:${PORT}", ""},
		{"a port of the engine's", "32401:32400", "32400", "port:8"},
		{"a port of the engine's, at an address", "32401:32400", "192.168.1.4::32400", "port:8"},
		{"several ports", "32401:32400", "32400-32402:32399-32401", "more-ports:8"},
		{"several ports, and another one", "32401:32400", "32400-32402:32400-32402", "port:8 more-ports:8"},
		{"one of several ports", "32401:32400", "32401-32410:32400", ""},
		{"another container's network", "-p 32401:32400", "--network=container:vpn", ""},
		{"the engine's own network", "-p 32401:32400", "--network=bridge", "port:8"},
		{"a port within", "32401:32400", "32401:32401", "port:8 more-ports:8"},
		{"no port", "-p 32401:32400 ", "", "port:8"},
		{"the machine's network", "-p 32401:32400", "--network=host", "port:8"},
		{"ports of discovery", "32401:32400", "32401:32400 -p 32414:32414/udp", "more-ports:8"},
		{"privileged", "--name", "--privileged --name", "privileged:8"},
		{"not privileged", "--name", "--privileged=false --name", ""},
		{"privileged in another line", "--env-file", "--privileged --env-file", "privileged:10"},
		{"a capability", "--name", "--cap-add=SYS_ADMIN --name", "unconfined:8"},
		{"without system call filter", "--name", "--security-opt seccomp=unconfined --name", "unconfined:8"},
		{"Docker's socket", "-v /srv/tv", "-v /var/run/docker.sock:/var/run/docker.sock -v /srv/tv", "unconfined:10"},
		{"new privileges", "--security-opt no-new-privileges", "", "new-privileges:8"},
		{"root", "--name", "-u 0 --name", "user:8"},
		{"root's name", "--name", "--user root:root --name", "user:8"},
		{"another user", "--name", "--user 1000:1000 --name", ""},
		{"root as Plex", "--env-file /etc/plex.env", "-e PUID=0 -e PGID=100 -e TZ=UTC -e PLEX_CLAIM=x", "uid-root:10"},
		{"nobody as Plex", "--env-file /etc/plex.env", "-e TZ=UTC -e PLEX_CLAIM=x", "uid:8"},
		{"a time of its own", "--env-file /etc/plex.env", "-e PUID=1 -e PGID=1 -e PLEX_CLAIM", "tz:8"},
		{"nobody's server", "--env-file /etc/plex.env", "-e PUID=1 -e PGID=1 -e TZ=UTC", "claim:8"},
		{"input, and a terminal in the next line", "docker run", "docker run -i \\\n -t", "interactive:8 interactive:9"},
		{"no tag", "plex:1.43.2", "plex", "latest:10"},
		{"no tag, and a port", "lscr.io/linuxserver/plex:1.43.2", "lscr.io:5000/linuxserver/plex", "latest:10"},
		{"a digest", "plex:1.43.2", "plex@sha256:0123", ""},
		{"a tag that moves", "plex:1.43.2", "plex:develop", "latest:10"},
		{"a version at start", "--env-file", "-e VERSION=latest --env-file", "self-update:10"},
		{"the image's version", "--env-file", "-e VERSION=docker --env-file", ""},
		{"a variable of the other image", "--env-file", "-e ADVERTISE_IP=x --env-file", "other-image:10"},
		{
			"a variable of the other image, too", "--env-file /etc/plex.env",
			"-e PUID=1 -e TZ=UTC -e PLEX_CLAIM= -e PGID=1 -e PLEX_UID=1", "other-image:10",
		},
		{"a pull", "ExecStartPre=", "ExecStartPre=/usr/bin/docker pull plex:1\nExecStartPre=", "pull:7"},
		{"a pull that may fail", "ExecStartPre=", "ExecStartPre=-docker pull plex:1\nExecStartPre=", ""},
		{"a pull each time", "--name", "--pull always --name", "pull:8"},
		{"a pull that a shell forgives", "ExecStartPre=", "ExecStartPre=sh -c 'docker pull plex:1 || true'\nExecStartPre=", ""},
		{"a pull that a shell forgets", "ExecStartPre=", "ExecStartPre=sh -c 'docker pull plex:1; true'\nExecStartPre=", ""},
		{"a pull by a shell", "ExecStartPre=", "ExecStartPre=sh -c 'true; docker pull plex:1'\nExecStartPre=", "pull:7"},
		{"a pull by a strict shell", "ExecStartPre=", "ExecStartPre=sh -ec 'docker pull plex:1; true'\nExecStartPre=", "pull:7"},
		{"no stop", "ExecStop=/usr/bin/docker stop plex", "", "stop:8"},
		{"a kill", "docker stop plex", "docker kill plex", "stop:11"},
		{"a kill by its number", "docker stop plex", "docker kill -s9 plex", "stop:11"},
		{"another signal", "docker stop plex", "docker kill --signal=SIGTERM plex", ""},
		{"a removal", "docker stop plex", "docker rm --force plex", "stop:11"},
		{"no time to stop", "--stop-timeout 120", "", "stop-timeout:8"},
		{"little time to stop", "--stop-timeout 120", "--stop-timeout=20", "stop-timeout:8"},
		{"little time of systemd's", "TimeoutStopSec=150", "TimeoutStopSec=1min 30s", "unit-timeout:12"},
		{"systemd's usual time", "TimeoutStopSec=150", "", "unit-timeout:8"},
		{"little time by the command", "docker stop plex", "docker stop -t 5 plex", "stop-timeout:11"},
		{"little time by the command, in one word", "docker stop plex", "docker stop -t5 plex", "stop-timeout:11"},
		{"little time by the command, in full", "docker stop plex", "docker stop --timeout=5 plex", "stop-timeout:11"},
		{"more time by the command than systemd's", "docker stop plex", "docker stop --time 200 plex", "unit-timeout:12"},
		{"time by a variable", "docker stop plex", "docker stop --time=${T} plex", ""},
		{"all the time", "TimeoutStopSec=150", "TimeoutStopSec=infinity", ""},
		{"what a crash leaves", "ExecStartPre=-", "ExecStartPre=", "leftover:8"},
		{"in the background", "docker run", "docker run -d", "detach:8"},
		{"no restart", "Restart=always", "", "restart:8"},
		{"a restart on failure", "Restart=always", "Restart=on-failure", "restart:13"},
		{"a restart by both", "--name", "--restart=always --name", "restart-twice:8"},
		{"a limit that a pause keeps", "StartLimitIntervalSec=0", "", ""},
		{"no limit", "RestartSec=10", "", ""},
		{"a long limit", "StartLimitIntervalSec=0", "StartLimitIntervalSec=5min", "start-limit:13"},
		{"Docker is not waited for", "After=docker.service", "", "engine:8"},
		{"no health", "--health-cmd 'curl http://localhost:32400/identity'", "", "health:8"},
		{"a check that Docker has run", "curl http://localhost:32400/identity", "none", ""},
		{"an engine elsewhere", "docker run --name", "docker --context x -H tcp://x -l debug --tls --config=x -ldebug run --name", ""},
		{"an engine elsewhere, to stop", "docker stop plex", "docker --host tcp://x container stop plex", ""},
		{"a shell that stops", "/usr/bin/docker stop plex", `/bin/sh -ec 'sleep 1; docker stop plex'`, ""},
		{"a shell that removes", "-/usr/bin/docker rm", `-/bin/bash -c "docker stop plex" && -docker rm`, "leftover:8"},
		{"no health by a flag", "--name", "--no-healthcheck --name", "health:8"},
		{"mounts that are not waited for", "RequiresMountsFor=/srv", "RequiresMountsFor=/srv/tv", "mounts:8"},
		{"mounts beside", "RequiresMountsFor=/srv", "RequiresMountsFor=/srv/t /srv/config", "mounts:8"},
		{"the machine's time zone", "-v /srv/tv", "-v /etc/localtime:/etc/localtime:ro -v /srv/tv", ""},
		{"media to write to", "/tv:ro", "/tv", "media-writable:10"},
		{"media to write to, by another flag", "-v /srv/tv:/tv:ro", "--mount type=bind,src=/srv/tv,dst=/tv", "media-writable:10"},
		{"media to read, by another flag", "-v /srv/tv:/tv:ro", "--mount type=bind,src=/srv/tv,dst=/tv,readonly", ""},
		{"media of a home to write to", "/srv/tv:/tv:ro", "%h/tv:/tv", "media-writable:10 mounts:8"},
		{"media of a variable to write to", "/srv/tv:/tv:ro", "${TV}:/tv", "media-writable:10"},
		{"media of a variable to read", "/srv/tv:/tv:ro", "${TV:-/srv/tv}:/tv:ro", ""},
		{"media of a volume", "/srv/tv:/tv:ro", "tv:/tv", ""},
		{"no GPU", "--device /dev/dri", "", "device:8"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if !strings.Contains(good, tc.from) {
				t.Fatalf("%q is not in the unit", tc.from)
			}
			findings, err := lint.Check("plex.service", []byte(strings.Replace(good, tc.from, tc.to, 1)), corefile)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range findings {
				got = append(got, fmt.Sprintf("%s:%d", f.Code, f.Line))
			}
			want := strings.Fields(tc.want)
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
				t.Errorf("(-want +got):\n%s\n%v", diff, findings)
			}
		})
	}
}

// TestFoldersOfScripts: a shell's words for folders are folders.
func TestFoldersOfScripts(t *testing.T) {
	for _, source := range []string{"~/tv", "$(pwd)/tv", "`pwd`/tv", `"$HOME/my tv"`, "./tv", "${TV:-/srv/tv}"} {
		got, err := lint.Check("run.sh", []byte("docker run -v "+source+":/tv plex:1"), nil)
		found := slices.ContainsFunc(got, func(f lint.Finding) bool { return f.Code == "media-writable" })
		if err != nil || !found {
			t.Errorf("%s: got %v, %v", source, got, err)
		}
	}
}

// TestMachineHasItsOwn: what each machine has is not missing as long as a disk is.
func TestMachineHasItsOwn(t *testing.T) {
	for source, want := range map[string]bool{"/etc/localtime": false, "/srv/etc/localtime": true} {
		text := "services: {plex: {image: 'plex:1', volumes: ['" + source + ":/etc/localtime:ro']}}"
		got, err := lint.Check("compose.yaml", []byte(text), nil)
		found := slices.ContainsFunc(got, func(f lint.Finding) bool { return f.Code == "missing-folder" })
		if err != nil || found != want {
			t.Errorf("%s: got %v, %v", source, got, err)
		}
	}
}

// TestPodmanChecksNothing: the command none is no check.
func TestPodmanChecksNothing(t *testing.T) {
	for command, want := range map[string]bool{"none": true, "curl http://localhost:32400/identity": false} {
		got, err := lint.Check("plex.container", []byte("[Container]\nImage=plex:1\nHealthCmd="+command), nil)
		found := slices.ContainsFunc(got, func(f lint.Finding) bool { return f.Code == "health" && f.Line == 3 })
		if err != nil || found != want {
			t.Errorf("%s: got %v, %v", command, got, err)
		}
	}
}

// TestTimeOfCommand: a time that the command to stop has is as good as the container's own.
func TestTimeOfCommand(t *testing.T) {
	for _, flag := range []string{"-t 120", "-t120", "-t=120", "--time=120", "--time 120", "--timeout 120"} {
		text := strings.Replace(good, "--stop-timeout 120 ", "", 1)
		text = strings.Replace(text, "docker stop", "docker stop "+flag, 1)
		if got, err := lint.Check("file", []byte(text), nil); err != nil || len(got) > 0 {
			t.Errorf("%s: got %v, %v", flag, got, err)
		}
	}
}

// TestOthersAreNotPlex: of several containers those are looked at that run Plex, whatever has its name in it.
func TestOthersAreNotPlex(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []int // the lines of findings of "tz", which each container has
	}{
		{"by image", "services:\n a: {image: x/plex-meta-manager}\n b: {image: y/plextraktsync}\n c: {image: 'linuxserver/plex:1'}", []int{4}},
		{"by another image", "services:\n plex-log: {image: x}\n b: {image: binhex/arch-plexpass}", []int{3}},
		{"several", "services:\n a: {image: plexinc/pms-docker}\n b: {image: x/y/plex@sha256:1}\n c: {image: plexpy}", []int{2, 3}},
		{"by port", "services:\n a: {image: plexy}\n b: {image: '${X}', ports: ['32401:32400']}", []int{3}},
		{"by name", "services:\n db: {image: postgres}\n Plex: {build: .}", []int{3}},
		{"one alone", "services:\n a: {image: mine}", []int{2}},
		{"in a script", "docker run -d tautulli/tautulli\ndocker run -d lscr.io/linuxserver/plex", []int{2}},
	} {
		findings, err := lint.Check("file", []byte(tc.text), nil)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		var got []int
		for _, f := range findings {
			if f.Code == "tz" {
				got = append(got, f.Line)
			}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
	none := "services:\n a: {image: postgres}\n b: {image: redis}"
	if got, err := lint.Check("file", []byte(none), nil); !errors.Is(err, lint.ErrNothing) {
		t.Errorf("none: got %v, %v", got, err)
	}
}

// TestEveryCodeIsShown: no rule is there that no file of testdata and no case shows.
func TestEveryCodeIsShown(t *testing.T) {
	shown, err := os.ReadFile("lint_test.go")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, text...)
	}
	for _, code := range lint.Codes() {
		if !strings.Contains(string(shown), "["+code+"]") && !strings.Contains(string(shown), code+":") {
			t.Errorf("nothing shows %s", code)
		}
	}
}

// TestShellsAreRead: what a shell is told to run is as good as a command of the file's own.
func TestShellsAreRead(t *testing.T) {
	for _, text := range []string{
		"[Service]\nExecStart=/bin/sh -c 'exec docker run --privileged lscr.io/linuxserver/plex'",
		"#\n" + `sudo sh -c "docker run --privileged lscr.io/linuxserver/plex"`,
		"#\nID=$(docker run --privileged -v $(pwd)/config:/config lscr.io/linuxserver/plex)",
		"#\n" + `ID="$(docker run --privileged lscr.io/linuxserver/plex)"`,
	} {
		findings, err := lint.Check("file", []byte(text), nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		for _, code := range []string{"privileged", "latest"} {
			if !slices.ContainsFunc(findings, func(f lint.Finding) bool { return f.Code == code && f.Line == 2 }) {
				t.Errorf("%s: want %s, got %v", text, code, findings)
			}
		}
	}
}

func TestNothingToLookAt(t *testing.T) {
	for _, text := range []string{
		"", "hello", "[Service]\nExecStart=/usr/lib/plexmediaserver/Plex", "services: {}", "services:\n- 1", "docker pull plex",
	} {
		if got, err := lint.Check("file", []byte(text), nil); !errors.Is(err, lint.ErrNothing) {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	if _, err := lint.Check("file", []byte("services:\n\t- x"), nil); err == nil || !strings.HasPrefix(err.Error(),
		"file: reading the compose file: yaml: ") {
		t.Errorf("got %v", err)
	}
}

func TestCommands(t *testing.T) {
	for _, tc := range []struct {
		text   string
		ofUnit bool
		want   [][]string
	}{
		{`a "b c" 'd e'`, false, [][]string{{"a", "b c", "d e"}}},
		{"a \\\n b\nc", false, [][]string{{"a", "b"}, {"c"}}},
		{"a;b && c | d # e\n#f\ng#h", false, [][]string{{"a"}, {"b"}, {"c"}, {"d"}, {"g#h"}}},
		{`a\ b "c\"d\e" 'f\g' ""`, false, [][]string{{"a b", `c"d\e`, `f\g`, ""}}},
		{"a \n b", true, [][]string{{"a", "b"}}},
		{`a;b "c\x20d" e\sf %%n $$HOME ${X} 'g\'h'`, true, [][]string{{"a;b", "c d", "e f", "%n", "$HOME", "${X}", "g'h"}}},
		{`a "b`, false, [][]string{{"a", "b"}}},
		{`a\`, false, [][]string{{"a"}}},
		{"a $(b (c) d)/e f", false, [][]string{{"b"}, {"c"}, {"d"}, {"a", "$(b (c) d)/e", "f"}}},
		{`a "$(b "c d")/e" f`, false, [][]string{{"b", "c d"}, {"a", `$(b "c d")/e`, "f"}}},
		{"a $(b", false, [][]string{{"b"}, {"a", "$(b"}}},
		{"a '$(b c)'", false, [][]string{{"a", "$(b c)"}}},
		{"a `b c`/d `#e` f\\\n`# g\n`h", false, [][]string{{"b", "c"}, {"a", "`b c`/d", "f", "h"}}},
		{"a `b", false, [][]string{{"b"}, {"a", "`b`"}}},
		{"a `b c`", true, [][]string{{"a", "`b", "c`"}}},
		{"a $(b c)", true, [][]string{{"a", "$(b", "c)"}}},
	} {
		if diff := cmp.Diff(tc.want, lint.Commands(tc.text, tc.ofUnit)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tc.text, diff)
		}
	}
}

func TestSeconds(t *testing.T) {
	for text, want := range map[string]float64{
		"120": 120, "2m": 120, "1m30s": 90, "2min 30s": 150, "1.5h": 5400, "100ms": 0.1,
		"infinity": 1e12,
	} {
		if got, ok := lint.Seconds(text); !ok || got != want {
			t.Errorf("%q: got %v, %t", text, got, ok)
		}
	}
	for _, text := range []string{"", "s", "1x", "1..2", "${T}", "-3"} {
		if got, ok := lint.Seconds(text); ok {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

// TestPathsComeBack: a folder is the same to who reads a unit as it was on the command line, whatever its name.
func TestPathsComeBack(t *testing.T) {
	t.Chdir(t.TempDir())
	const corefile = "home.duckdns.org {\nplex {\nnode plex1 192.168.1.4\nuplink wan 203.0.113.7\n}\n}\n"
	if err := os.WriteFile("Corefile", []byte(corefile), 0o600); err != nil {
		t.Fatal(err)
	}
	program := command.Program{Name: "plexctl", Commands: []command.Command{unit.Command}}
	for _, dir := range []string{
		"/srv/TV Shows", "/srv/100%", "/srv/$HOME", "/srv/${HOME}", "/srv/a;b", "/srv/über",
		"/srv/%n", "/srv/#1", "/srv/{{x}}", "/srv/-v",
	} {
		for _, engine := range []string{"docker", "podman", "compose", "quadlet"} {
			var text strings.Builder
			args := []string{"unit", "plex1", "-engine", engine, "-image", "plex:1", "-config", "/srv/config", "-media", dir + ":media"}
			if err := program.Run(t.Context(), args, nil, &text, nil); err != nil {
				t.Fatal(err)
			}
			got, err := lint.Mounts(text.String())
			if diff := cmp.Diff(map[string]string{"/config": "/srv/config", "/media": dir}, got); diff != "" || err != nil {
				t.Errorf("%s: %v (-want +got):\n%s", engine, err, diff)
			}
		}
	}
}

// FuzzCheck: whatever a file holds, it is read or refused, and each finding is in one of its lines.
func FuzzCheck(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.IsDir() {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("services: &a\n  plex: {<<: *a, image: *a}\n"))
	f.Add([]byte("[Container]\nPodmanArgs=-itp\n"))
	f.Add([]byte("docker run $(sh -c \"docker run $(x)\") `#y` \\\n -p 1-2:3-4 -v ${A:-/b}:/c \n"))
	f.Add([]byte("[Service]\nExecStart=sh -c 'docker -H x run a'\nExecStop=docker stop -t\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		findings, err := lint.Check("file", text, []lint.Node{{Name: "plex1", Port: 32401}})
		if err != nil {
			return
		}
		lines := 1 + strings.Count(string(text), "\n")
		for _, f := range findings {
			if f.Line < 1 || f.Line > lines || f.Text == "" || f.Fix == "" || f.Code == "" {
				t.Errorf("%d lines, and got %+v", lines, f)
			}
		}
	})
}

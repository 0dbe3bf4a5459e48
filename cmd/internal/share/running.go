package share

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"plexha/cmd/internal/command"
	"plexha/corefile"
	"plexha/zones"
)

// What shows that a server runs, within its folder.
const (
	pidFile   = "plexmediaserver.pid"
	databases = "Plug-in Support/Databases"
	database  = "com.plexapp.plugins.library.db"
)

// askTime is how long a server has to answer: one that is on this network takes milliseconds.
const askTime = 3 * time.Second

// server is one of which nothing may run.
type server struct {
	name, home string
	named      bool // on the command line; else the journal has it
}

// servers are those of the nodes that were named, and of those that share already: their folders change, too.
func servers(nodes []node, j *journal) (all []server) {
	for _, n := range nodes {
		all = append(all, server{n.name, n.home, true})
	}
	if j == nil {
		return all
	}
	for _, run := range j.runs {
		for _, name := range slices.Sorted(maps.Keys(run.Homes)) {
			home := filepath.Join(run.Root, string(run.Homes[name]))
			known := slices.ContainsFunc(all, func(other server) bool { return other.home == home })
			if run.State != Undone && !known && isThere(home) {
				all = append(all, server{name, home, false})
			}
		}
	}
	return all
}

// checkStopped makes sure that no server runs. One in a container or on another host cannot be seen to be stopped, nor
// one that keeps its database elsewhere, or that has not opened its port yet.
func (s *session) checkStopped(ctx context.Context, all []server) error {
	at, err := s.addresses(all)
	if err != nil {
		return err
	}
	for _, name := range s.stopped {
		if len(s.nodes) > 0 && !slices.ContainsFunc(all, func(one server) bool { return one.name == name }) {
			return command.Usagef("-stopped %s: there is no such node here", name)
		}
	}
	for _, one := range all {
		if why := runs(one.home); why != "" {
			s.refuse("the server of %s runs: %s: stop it first", one.name, why)
			continue
		}
		answers, why := ask(ctx, at[one.name])
		switch {
		case answers:
			s.refuse("the server of %s runs: %s: stop it first", one.name, why)
		case !slices.Contains(s.stopped, one.name) && hasServed(one.home):
			s.refuse("whether the server of %s runs cannot be seen from here: %s: stop it, and say so with -stopped %s",
				one.name, why, one.name)
		}
	}
	return nil
}

// hasServed reports whether a server has ever run on a folder.
func hasServed(home string) bool {
	for _, name := range []string{"Preferences.xml", "Plug-in Support", pidFile} {
		if isThere(filepath.Join(home, name)) {
			return true
		}
	}
	return false
}

// isThere reports whether there is such an entry, or may be.
func isThere(name string) bool {
	_, err := os.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// addresses returns where the Corefile has the nodes. Without one nobody is asked.
func (s *session) addresses(servers []server) (map[string]string, error) {
	all, err := s.Load()
	if errors.Is(err, command.ErrNoCorefile) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	at, names := map[string]string{}, []string{}
	for _, cfg := range all {
		for _, n := range cfg.Cluster.Nodes {
			names = append(names, string(n.Name))
			at[string(n.Name)] = nodeURL(n)
		}
	}
	for _, one := range servers {
		if _, ok := at[one.name]; !ok && one.named {
			meant := ""
			if near := corefile.Nearest(one.name, names); near != "" {
				meant = fmt.Sprintf(": did you mean %s?", near)
			}
			return nil, command.Usagef("the Corefile has no node %q%s", one.name, meant)
		}
	}
	return at, nil
}

func nodeURL(n zones.Node) string {
	scheme := "http"
	if n.HTTPS {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(n.Host, strconv.Itoa(int(n.Port))) + "/identity"
}

// ask asks a server whether it is there, and returns what came of it. Any answer at all, and any open port, is a yes;
// nothing is a no.
func ask(ctx context.Context, url string) (answers bool, why string) {
	if url == "" {
		return false, "its address is not in a Corefile"
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	connected := false
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		connected = connected || err == nil
		return c, err
	}
	client := http.Client{
		Transport:     &http.Transport{DialContext: dial, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false, err.Error()
	}
	resp, err := client.Do(req)
	if err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)) // what it says does not matter
		_ = resp.Body.Close()
	}
	if connected {
		return true, url + " answers"
	}
	return false, err.Error()
}

// runs returns what shows that a server runs on a folder, as far as this machine knows: a process that the pid file
// names, one that has the database open, or a lock on it, which is seen from outside of a container too.
func runs(home string) string {
	if pid := pidOf(filepath.Join(home, pidFile)); pid != "" && isPlex(pid) {
		return fmt.Sprintf("%s names the process %s, a Plex Media Server", quote(filepath.Join(home, pidFile)), pid)
	}
	for _, name := range []string{database, database + "-shm"} {
		file := filepath.Join(home, databases, name)
		if locked(file) {
			return fmt.Sprintf("somebody holds a lock on %s", quote(file))
		}
	}
	if pid := holderOf(filepath.Join(home, databases, database)); pid != "" {
		return fmt.Sprintf("process %s has its database open", pid)
	}
	return ""
}

func pidOf(file string) string {
	text, err := os.ReadFile(file)
	pid := strings.TrimSpace(string(text))
	if _, e := strconv.Atoi(pid); err != nil || e != nil {
		return ""
	}
	return pid
}

// isPlex reports whether a process is a server, by its name, which the kernel cuts to 15 bytes. A pid of a container
// may be anybody's here.
func isPlex(pid string) bool {
	name, err := os.ReadFile("/proc/" + pid + "/comm")
	return err == nil && strings.HasPrefix(string(name), "Plex Media Serv")
}

// holderOf returns a Plex process that has a file open, by its inode: in a container the file has another name. Other
// processes are not looked at: their files may be on a disk that does not answer.
func holderOf(file string) string {
	db, err := os.Stat(file)
	if err != nil {
		return ""
	}
	names, _ := filepath.Glob("/proc/[0-9]*/comm") // its pattern is right
	for _, name := range names {
		dir := filepath.Dir(name)
		if comm, err := os.ReadFile(name); err != nil || !strings.HasPrefix(string(comm), "Plex") {
			continue
		}
		fds, _ := filepath.Glob(filepath.Join(dir, "fd", "*")) // its pattern is right
		for _, fd := range fds {
			if st, err := os.Stat(fd); err == nil && os.SameFile(st, db) {
				return filepath.Base(dir)
			}
		}
	}
	return ""
}

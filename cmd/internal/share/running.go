package share

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
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

// checkStopped makes sure that no server runs on these folders. A server in a container or on another host cannot be seen
// to be stopped, unless its port refuses.
func (s *session) checkStopped(ctx context.Context, homes map[string]string) error {
	at, err := s.addresses(homes)
	if err != nil {
		return err
	}
	for _, name := range s.stopped {
		if _, ok := homes[name]; !ok {
			return command.Usagef("-stopped %s: there is no such node here", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(homes)) {
		home := homes[name]
		if why := runs(home); why != "" {
			s.refuse("the server of %s runs: %s: stop it first", name, why)
			continue
		}
		verdict, why := ask(ctx, at[name])
		switch {
		case verdict == answering:
			s.refuse("the server of %s runs: %s: stop it first", name, why)
		case verdict == silent && !slices.Contains(s.stopped, name) && isThere(filepath.Join(home, databases, database)):
			s.refuse("whether the server of %s runs cannot be seen from here: %s: stop it, and say so with -stopped %s", name, why, name)
		}
	}
	return nil
}

func isThere(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// addresses returns where the Corefile has the nodes. Without one nobody is asked.
func (s *session) addresses(homes map[string]string) (map[string]string, error) {
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
	for name := range homes {
		if _, ok := at[name]; !ok {
			meant := ""
			if near := corefile.Nearest(name, names); near != "" {
				meant = fmt.Sprintf(": did you mean %s?", near)
			}
			return nil, command.Usagef("the Corefile has no node %q%s", name, meant)
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

// verdict is what comes of asking a server.
type verdict int

const (
	silent    verdict = iota // nobody can tell
	refusing                 // its port is closed: it does not run
	answering                // it runs
)

// ask asks a server whether it is there. Any answer at all, and any open port, is a yes.
func ask(ctx context.Context, url string) (verdict, string) {
	if url == "" {
		return silent, "without a Corefile its address is not known"
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
		return silent, err.Error()
	}
	resp, err := client.Do(req)
	if err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)) // what it says does not matter
		_ = resp.Body.Close()
	}
	switch {
	case connected:
		return answering, url + " answers"
	case errors.Is(err, syscall.ECONNREFUSED):
		return refusing, ""
	default:
		return silent, err.Error()
	}
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

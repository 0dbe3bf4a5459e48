package proxymain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/netip"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"plexha/cmd/internal/notify"
	"plexha/corefile"
	"plexha/corefile/lint"
	"plexha/corefile/watch"
	"plexha/proxy"
	"plexha/proxy/redact"
)

// program serves a Corefile and follows its changes.
type program struct {
	conf    string
	server  *proxy.Server
	blocks  []*corefile.Config // what is served
	lines   *log.Logger
	changed chan struct{} // one slot: a file of the Corefile may be another one
	manager notify.Manager
	status  atomic.Pointer[netip.AddrPort] // where what is served answers for itself

	said     []string // what was unwise when it was last taken over
	mistaken bool     // the Corefile is not what is served: it has a mistake
}

// serve runs until ctx ends.
func serve(ctx context.Context, blocks []*corefile.Config, o options, stderr io.Writer) error {
	p := &program{conf: o.conf, changed: make(chan struct{}, 1)}
	out := redact.Writer(stderr)
	p.lines = log.New(out, "", 0)
	log.SetOutput(out) // of libraries
	reloads := make(chan os.Signal, 4)
	signal.Notify(reloads, append(reloadSignals, ignoredSignals...)...)
	defer signal.Stop(reloads)
	var err error
	p.server, err = proxy.New(proxy.Options{Version: corefile.Version, Grace: o.grace, Admin: o.admin, Log: p.log})
	if err != nil {
		return err
	}
	if err := p.server.Apply(blocks); err != nil {
		return errors.Join(explained(err), p.server.Shutdown(ctx))
	}
	p.took(blocks)
	p.greet()
	defer p.watch(context.WithoutCancel(ctx))()
	p.follow(ctx, reloads)
	p.log(false, fmt.Sprintf("%v: shutting down within %v", context.Cause(ctx), o.grace))
	p.tell(p.manager.Stopping)
	err = p.server.Run(ctx)
	if cut, ok := errors.AsType[*proxy.CutError](err); ok {
		p.log(true, cut.Error()) // as was to be expected of films
		return nil
	}
	return err
}

// took notes what is served from now on.
func (p *program) took(blocks []*corefile.Config) {
	p.blocks = blocks
	p.status.Store(&blocks[0].ProxyStatus.Addr)
}

// greet says once what the operator should know.
func (p *program) greet() {
	p.log(false, "serving "+p.conf)
	p.advise()
}

// advise says what is unwise in the Corefile that is served, in the words of `plexctl check`, unless it was so before.
func (p *program) advise() {
	findings, err := lint.Load(p.conf)
	if err != nil {
		p.log(true, err.Error())
	}
	var said []string
	for _, f := range findings {
		if !f.Concerns(lint.Plexproxy) || f.Level == lint.Mistake {
			continue
		}
		words := f.Code + f.Text // another line of the same file is nothing new
		if !slices.Contains(p.said, words) {
			p.log(f.Level == lint.Warning, f.String())
		}
		said = append(said, words)
	}
	p.said = said
}

// follow takes over changes of the Corefile until ctx ends.
func (p *program) follow(ctx context.Context, signals <-chan os.Signal) {
	w := &watcher{changed: p.changed, log: p.log}
	defer w.end()
	for {
		// A Corefile that can't be read may be mended in any of the files that the last good one had.
		if files, err := corefile.Files(p.conf); err == nil || w.files == nil {
			w.watch(ctx, files)
		}
		select {
		case <-ctx.Done():
			return
		case sig := <-signals:
			if slices.Contains(reloadSignals, sig) {
				p.reload()
			}
		case <-p.changed:
			p.reload()
		}
	}
}

// watcher watches one set of files at a time.
type watcher struct {
	changed chan<- struct{}
	log     func(warn bool, msg string)
	files   []string
	cancel  context.CancelFunc // nil: nothing is watched
	done    sync.WaitGroup
}

// watch watches these files from now on, in the place of those before.
func (w *watcher) watch(ctx context.Context, files []string) {
	slices.Sort(files)
	if slices.Equal(files, w.files) {
		return
	}
	w.end()
	ctx, w.cancel = context.WithCancel(ctx)
	w.files = files
	w.done.Go(func() {
		if err := watch.Files(ctx, files, w.tell); err != nil && ctx.Err() == nil {
			w.log(true, fmt.Sprintf("%v: a changed Corefile is taken over by a signal alone", err))
		}
	})
}

func (w *watcher) tell() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *watcher) end() {
	if w.cancel != nil {
		w.cancel()
	}
	w.done.Wait()
}

// reload takes over the Corefile as it is now. A bad one leaves the old one serving.
func (p *program) reload() {
	blocks, err := corefile.Load(p.conf)
	if err == nil && slices.EqualFunc(blocks, p.blocks, same) {
		if p.mistaken {
			p.mistaken = false
			p.log(false, "the Corefile is mended, and says what is served")
		}
		return
	}
	p.tell(p.manager.Reloading)
	defer p.tell(p.manager.Ready)
	if err == nil {
		err = p.server.Apply(blocks)
	}
	p.mistaken = err != nil
	if err != nil {
		p.log(true, fmt.Sprintf("the Corefile is not taken over, the old one goes on serving: %v", explained(err)))
		p.server.Refused(err)
		return
	}
	p.took(blocks)
	p.log(false, "the changed Corefile is taken over")
	p.advise()
}

// same reports whether two blocks say the same, wherever in their files they stand.
func same(a, b *corefile.Config) bool { return reflect.DeepEqual(unplaced(a), unplaced(b)) }

func unplaced(c *corefile.Config) corefile.Config {
	u := *c
	u.Line, u.ZoneFiles = 0, slices.Clone(c.ZoneFiles)
	for i := range u.ZoneFiles {
		u.ZoneFiles[i].Line = 0
	}
	return u
}

// tell tells the service manager, if there is one that wants to know.
func (p *program) tell(what func() error) {
	if err := what(); err != nil {
		p.log(true, err.Error())
	}
}

// log writes a line in the form of Caddy's.
func (p *program) log(warn bool, msg string) {
	level := "INFO"
	if warn {
		level = "WARN"
	}
	p.lines.Printf("%s\t%s\tplexha\t%s", time.Now().Format("2006/01/02 15:04:05.000"), level, strings.TrimSpace(msg))
}

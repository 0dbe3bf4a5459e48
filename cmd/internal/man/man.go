// Package man makes man pages of the texts that are there already: the programs' tables of commands and flags, and the
// manuals of the plugin and of plexproxy.
package man

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"

	"plexha/cmd/internal/command"
)

// Sources are the texts that the pages are made of.
type Sources struct {
	Version   string
	Plexctl   *command.Program
	Plexdns   *command.Program
	Plexproxy *command.Program
	Plugin    string // the plugin's manual, in Markdown
	Proxy     string // plexproxy's
}

// Page is one man page.
type Page struct {
	Name    string // by which people ask for it here, such as "plex"
	Title   string // by which man finds it, such as "coredns-plex"
	Section int
	Text    string // in Markdown, without the title
}

// File returns where the page stands in a folder of man pages, such as man1/plexctl.1.
func (p *Page) File() string { return fmt.Sprintf("man%d/%s.%[1]d", p.Section, p.Title) }

// Roff returns the page as man reads it.
func (p *Page) Roff(version string) []byte {
	title := fmt.Sprintf("%% %q \"%d\" \"\" %q \"plexha\"\n\n", strings.ToUpper(p.Title), p.Section, "plexha "+version)
	return md2man.Render([]byte(title + p.Text))
}

// names are those of the pages.
var names = []string{"plexctl", "plexdns", "plexproxy", "plex"}

// Pages returns all pages.
func (s *Sources) Pages() []Page {
	return []Page{
		{names[0], "plexctl", 1, s.plexctl()},
		{names[1], "plexdns", 8, s.plexdns()},
		{names[2], "plexproxy", 8, adapt(s.Proxy, "plexproxy")},
		{names[3], "coredns-plex", 7, adapt(s.Plugin, "coredns-plex")},
	}
}

// Command returns the command that prints the pages.
func Command(sources func() *Sources) command.Command {
	return command.Command{
		Name: "man", Args: "[PAGE]", Summary: "print the man pages",
		About: `PAGE is plexctl, plexdns, plexproxy, or plex for the plugin of CoreDNS. Without
-dir it is printed, by default that of plexctl, in the form that man reads:

    plexctl man plexdns | man -l -

With -dir it writes the page, or all of them, below a folder:
plexctl man -dir /usr/local/share/man makes man 1 plexctl, man 8 plexdns,
man 8 plexproxy and man 7 coredns-plex known.`,
		Kinds: []command.Kind{command.Kind(strings.Join(names, "|"))},
		Flags: &command.Flags{
			Define: func(set *flag.FlagSet) { new(options).define(set) },
			Kinds:  map[string]command.Kind{"dir": command.File},
		},
		Run: func(_ context.Context, args []string, _ io.Reader, out, _ io.Writer) error {
			var o options
			rest, err := command.Parse(args, o.define)
			if err != nil {
				return err
			}
			return o.run(sources(), rest, out)
		},
	}
}

type options struct{ dir string }

func (o *options) define(set *flag.FlagSet) {
	set.StringVar(&o.dir, "dir", "", "`FOLDER` where to write them, such as /usr/local/share/man")
}

func (o *options) run(s *Sources, args []string, out io.Writer) error {
	asked := args
	if len(args) == 0 && o.dir == "" {
		asked = names[:1]
	}
	var pages []Page
	for _, p := range s.Pages() {
		if len(asked) == 0 || p.Name == asked[0] {
			pages = append(pages, p)
		}
	}
	if len(args) > 1 || len(pages) == 0 {
		return command.Usagef("want one of %s", strings.Join(names, " "))
	}
	if o.dir != "" {
		return write(o.dir, pages, s.Version)
	}
	_, err := out.Write(pages[0].Roff(s.Version))
	return err
}

// write writes pages below a folder.
func write(dir string, pages []Page, version string) error {
	var errs []error
	for i := range pages {
		file := filepath.Join(dir, filepath.FromSlash(pages[i].File()))
		err := os.MkdirAll(filepath.Dir(file), 0o755) //nolint:gosec // man pages are for everybody
		if err == nil {
			err = os.WriteFile(file, pages[i].Roff(version), 0o644) //nolint:gosec // man pages are for everybody
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

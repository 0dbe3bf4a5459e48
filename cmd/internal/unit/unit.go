// Package unit is `plexctl unit`: what starts a node, plexdns, plexproxy and keepalived, and keeps them running.
package unit

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"plexha/cmd/internal/command"
	"plexha/corefile"
	"plexha/zones"
)

const about = `Prints a unit for systemd, a container of Podman Quadlet or a compose file,
filled in from the Corefile, so that it can be copied as it is: its first lines
say where it goes and how it is taken over. Nothing is written or started.

NODE: runs that Plex Media Server in a container. The port is that of its node
line, the image and the folders are those of the flags. -env prints the file of
the container's environment, which goes beside it. -image and -config have no
default: another version than the one that has run in a folder may not read
its database, and another folder is another server.

plexdns, plexproxy: run our own programs as the user plexha, with the rights
that they need and no others. -socket prints the sockets of a plexproxy with
listen fd/N.

keepalived: moves a virtual address between machines with a plexproxy each.

-lint FILE says instead what is wrong in a unit, a quadlet, a compose file or a
script with docker run, with its line, why, and what to write instead; with NODE
it compares the port with that of the node line. The exit code is 1 with a
mistake, and 0 with warnings and notes alone.`

// Command is `plexctl unit`.
var Command = command.Command{
	Name:    "unit",
	Args:    "[NODE|plexdns|plexproxy|keepalived]",
	Summary: "print what runs a node or a program of ours, or find mistakes in what does",
	About:   about,
	Kinds:   []command.Kind{command.Node},
	Flags: &command.Flags{
		Define: func(set *flag.FlagSet) { new(options).define(set) },
		Kinds: map[string]command.Kind{
			"engine": command.Kind(strings.Join(engineNames(), "|")), "lint": command.File,
			"config": command.File, "transcode": command.File, "shared": command.File,
		},
	},
	Run: run,
}

// options are the command line.
type options struct {
	command.Blocks
	env, socket bool
	lint        string
	json        bool

	container  containerOptions
	programs   string // the folder of our programs
	keepalived keepalivedOptions
}

func (o *options) define(set *flag.FlagSet) {
	o.Define(set)
	set.BoolVar(&o.env, "env", false, "NODE: print the file of its environment instead")
	set.BoolVar(&o.socket, "socket", false, "plexproxy: print its socket instead, for listen fd/N")
	set.StringVar(&o.lint, "lint", "", "`FILE` say what is wrong in it, instead of printing a unit")
	set.BoolVar(&o.json, "json", false, "-lint: print the findings as JSON")
	set.StringVar(&o.programs, "bin", "/usr/local/bin", "`DIR` plexdns, plexproxy: where the programs are")
	o.container.define(set)
	o.keepalived.define(set)
}

// corefilePath is where the units have the Corefile, unless -conf gives an absolute path.
const corefilePath = "/etc/plexha/Corefile"

func run(_ context.Context, args []string, _ io.Reader, out, _ io.Writer) error {
	var o options
	rest, err := command.Parse(args, o.define)
	switch {
	case err != nil:
		return err
	case len(rest) > 1:
		return command.Usagef("unexpected %q", rest[1])
	case o.lint != "":
		return o.inspect(rest, out)
	case len(rest) == 0:
		return command.Usagef("want a NODE of the Corefile, plexdns, plexproxy or keepalived")
	}
	text, err := o.text(rest[0])
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, text)
	return err
}

// text returns what is printed for one of the things that run.
func (o *options) text(what string) (string, error) {
	switch blocks, err := o.Load(); {
	case err != nil:
		return "", err
	case what == programDNS, what == programProxy:
		return o.program(what, blocks)
	case what == "keepalived":
		return o.keepalived.text(blocks)
	default:
		return o.node(what, blocks)
	}
}

// node returns the unit of a node, or the file of its environment.
func (o *options) node(name string, blocks []*corefile.Config) (string, error) {
	n, cfg, err := findNode(name, blocks)
	if err != nil {
		return "", err
	}
	c, err := o.container.container(n, cfg)
	switch {
	case err != nil:
		return "", err
	case o.env:
		return render("env", c)
	default:
		return render(string(o.container.engine), c)
	}
}

// findNode returns the node of a name, and its block.
func findNode(name string, blocks []*corefile.Config) (zones.Node, *corefile.Config, error) {
	var node zones.Node
	var in *corefile.Config
	var names []string
	for _, cfg := range blocks {
		for _, n := range cfg.Cluster.Nodes {
			names = append(names, string(n.Name))
			switch {
			case !strings.EqualFold(string(n.Name), name):
			case in != nil:
				return node, nil, fmt.Errorf("%s is a node of %s and of %s: say which with -zone", name, zoneOf(in), zoneOf(cfg))
			default:
				node, in = n, cfg
			}
		}
	}
	if in != nil {
		return node, in, nil
	}
	return node, nil, unknown(name, names)
}

// unknown says what could have been meant.
func unknown(name string, nodes []string) error {
	if len(nodes) == 0 {
		return errors.New("the Corefile has no node line: what a nodes line finds is run by whoever runs that")
	}
	words := append(slices.Clone(nodes), programDNS, programProxy, "keepalived")
	meant := ""
	if near := corefile.Nearest(name, words); near != "" {
		meant = fmt.Sprintf(": did you mean %s?", near)
	}
	return command.Usagef("no node line is for %q: want one of %s%s", name, strings.Join(words, " "), meant)
}

// zoneOf returns the first zone of a block, without its final dot.
func zoneOf(cfg *corefile.Config) string { return strings.TrimSuffix(cfg.Cluster.Origins[0], ".") }

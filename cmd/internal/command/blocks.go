package command

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"plexha/corefile"
)

// The flags of [Blocks].
const (
	confFlag = "conf"
	zoneFlag = "zone"
)

// usual are the Corefiles that are read without -conf: where plexdns looks for one, then where packages put it.
var usual = []string{"Corefile", "/etc/plexha/Corefile"}

// ErrNoCorefile is that none is named, and none is where one usually is.
var ErrNoCorefile = errors.New("there is no Corefile: name one with -conf FILE")

// Blocks are the flags that say which blocks of which Corefile a command is about.
type Blocks struct{ Conf, Zone string }

// Define defines the flags.
func (b *Blocks) Define(flags *flag.FlagSet) {
	flags.StringVar(&b.Conf, confFlag, "", "`FILE` the Corefile (default "+strings.Join(usual, ", else ")+")")
	flags.StringVar(&b.Zone, zoneFlag, "", "`ZONE` the block of this zone alone (default all)")
}

// File returns the Corefile: the one that is named, else the first of the usual ones that exists.
func (b *Blocks) File() (string, error) { return find(b.Conf, usual...) }

func find(conf string, usual ...string) (string, error) {
	if conf != "" {
		return conf, nil
	}
	for _, file := range usual {
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			return file, nil
		}
	}
	return "", ErrNoCorefile
}

// Load reads the Corefile, and returns the blocks that are meant.
func (b *Blocks) Load() ([]*corefile.Config, error) {
	file, err := b.File()
	if err != nil {
		return nil, err
	}
	all, err := corefile.Load(file)
	if err != nil {
		return nil, err
	}
	zone := strings.ToLower(strings.TrimSuffix(b.Zone, ".")) + "."
	if zone == "." {
		return all, nil
	}
	var names []string
	for _, cfg := range all {
		if slices.Contains(cfg.Cluster.Origins, zone) {
			return []*corefile.Config{cfg}, nil
		}
		names = append(names, strings.TrimSuffix(cfg.Cluster.Origins[0], "."))
	}
	return nil, fmt.Errorf("there is no zone %q in %s: want one of %s", b.Zone, file, strings.Join(names, " "))
}

package lint

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readCompose returns the services of a compose file that run Plex.
func readCompose(text string) ([]*container, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, fmt.Errorf("reading the compose file: %w", err)
	}
	var all []*container
	for _, s := range children(value(&doc, "services")) {
		all = append(all, readComposeService(s.key, s.value))
	}
	return plexOf(all), nil
}

// child is one of a mapping.
type child struct{ key, value *yaml.Node }

// most bounds how far aliases and merges are followed: a file may have them lead to themselves.
const most = 8

// children returns what a mapping has, with what it merges, which comes first, so that its own is the last of a name.
func children(n *yaml.Node) []child { return merged(n, most) }

func merged(n *yaml.Node, depth int) []child {
	n = resolve(n)
	if n == nil || n.Kind != yaml.MappingNode || depth == 0 {
		return nil
	}
	var first, own []child
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i], n.Content[i+1]
		if key.Value != "<<" {
			own = append(own, child{key, resolve(v)})
			continue
		}
		from := []*yaml.Node{v}
		if r := resolve(v); r != nil && r.Kind == yaml.SequenceNode {
			from = r.Content
		}
		for _, f := range from {
			first = append(first, merged(f, depth-1)...)
		}
	}
	return append(first, own...)
}

// resolve returns the node that is meant: what a document holds, and what an alias stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for range most {
		switch {
		case n == nil:
			return nil
		case n.Kind == yaml.DocumentNode && len(n.Content) > 0:
			n = n.Content[0]
		case n.Kind == yaml.AliasNode:
			n = n.Alias
		default:
			return n
		}
	}
	return nil
}

// value returns what a mapping has for a key, or nil.
func value(n *yaml.Node, key string) *yaml.Node {
	var found *yaml.Node
	for _, c := range children(n) {
		if c.key.Value == key {
			found = c.value
		}
	}
	return found
}

// scalar returns a value as a word. A variable stays as it is.
func scalar(n *yaml.Node) word {
	if n == nil || n.Kind != yaml.ScalarNode {
		return word{}
	}
	return word{strings.ReplaceAll(n.Value, "$$", "$"), n.Line}
}

// items returns the words of a list, or of a single value.
func items(n *yaml.Node) []word {
	if n = resolve(n); n == nil {
		return nil
	}
	if n.Kind == yaml.ScalarNode {
		return []word{scalar(n)}
	}
	var all []word
	if n.Kind == yaml.SequenceNode {
		for _, i := range n.Content {
			if w := scalar(resolve(i)); w.set() {
				all = append(all, w)
			}
		}
	}
	return all
}

// readComposeService takes a service, see https://github.com/compose-spec/compose-spec/blob/main/05-services.md
func readComposeService(key, s *yaml.Node) *container {
	c := &container{engine: "docker", line: key.Line, service: key.Value, env: map[string]word{}, replaces: true}
	for name, into := range map[string]*word{
		"image": &c.image, "user": &c.user, "container_name": &c.name, "restart": &c.restart, "pull_policy": &c.pull,
		"stop_grace_period": &c.stopTimeout,
	} {
		*into = scalar(value(s, name))
	}
	for name, flag := range map[string]string{"privileged": "privileged", "stdin_open": "interactive", "tty": "tty"} {
		if v := scalar(value(s, name)); isTrue(v.text) {
			c.boolean(flag, word{"", v.line})
		}
	}
	for name, flag := range map[string]string{
		"devices": "device", "security_opt": "security-opt", "cap_add": "cap-add",
		"network_mode": "network",
	} {
		for _, v := range items(value(s, name)) {
			c.flag(flag, v)
		}
	}
	if n := value(s, "networks"); n != nil {
		c.otherNetwork = word{"", n.Line}
	}
	if n := value(s, "env_file"); n != nil {
		c.envFile = word{"", n.Line}
	}
	c.composeEnvironment(value(s, "environment"))
	c.composePorts(value(s, "ports"))
	c.composeVolumes(value(s, "volumes"))
	c.composeHealth(value(s, "healthcheck"))
	return c
}

func (c *container) composeEnvironment(n *yaml.Node) {
	for _, v := range items(n) {
		c.flag("env", v)
	}
	for _, v := range children(n) {
		c.env[v.key.Value] = word{scalar(v.value).text, v.key.Line}
	}
}

func (c *container) composePorts(n *yaml.Node) {
	for _, v := range items(n) {
		c.ports = append(c.ports, readPort(v))
	}
	for _, long := range sequence(n) {
		inside := scalar(value(long, "target"))
		if inside.set() {
			text := scalar(value(long, "published")).text + ":" + inside.text
			if protocol := scalar(value(long, "protocol")).text; protocol != "" {
				text += "/" + protocol
			}
			c.ports = append(c.ports, readPort(word{text, long.Line}))
		}
	}
}

func (c *container) composeVolumes(n *yaml.Node) {
	for _, v := range items(n) {
		c.volume(v)
	}
	for _, long := range sequence(n) {
		if scalar(value(long, "type")).text != "bind" {
			continue
		}
		c.mounts = append(c.mounts, mount{
			source: scalar(value(long, "source")).text, target: scalar(value(long, "target")).text,
			readOnly: isTrue(scalar(value(long, "read_only")).text),
			makes:    scalar(value(value(long, "bind"), "create_host_path")).text != "false", word: word{"", long.Line},
		})
	}
}

// sequence returns the mappings of a list.
func sequence(n *yaml.Node) []*yaml.Node {
	var all []*yaml.Node
	if n != nil && n.Kind == yaml.SequenceNode {
		for _, i := range n.Content {
			if i = resolve(i); i != nil && i.Kind == yaml.MappingNode {
				all = append(all, i)
			}
		}
	}
	return all
}

func (c *container) composeHealth(n *yaml.Node) {
	if n == nil {
		return
	}
	var words []string
	for _, w := range items(value(n, "test")) {
		words = append(words, w.text)
	}
	c.health = word{strings.Join(words, " "), n.Line}
	if isTrue(scalar(value(n, "disable")).text) || len(words) > 0 && words[0] == "NONE" {
		c.noHealth = c.health
	}
}

// Package corefile reads the `plex { }` blocks of a Corefile into validated, immutable configurations.
//
// It needs no CoreDNS server: [Load] and [Read] take a file as CoreDNS does, with its `import` lines and
// its {$ENV} and {%ENV%} words, and [Parser] takes the tokens that CoreDNS hands to a plugin's setup.
package corefile

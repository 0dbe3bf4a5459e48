package socket

// First returns the client of plexdns for the first folder that has a socket, or else for the first folder.
var First = Plexdns.first

// Stream reads server-sent events.
var Stream = stream

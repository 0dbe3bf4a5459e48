package socket

// First returns the client for the first folder that has a socket, or else for the first folder.
var First = first

package command

// Find returns the Corefile that is read.
var Find = find

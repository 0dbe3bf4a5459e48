package man

// Adapt returns a manual as the text of a man page.
var Adapt = adapt

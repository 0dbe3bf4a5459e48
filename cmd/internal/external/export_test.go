package external

// Find returns the Corefile that is read.
var Find = find

// Settled reports whether all sources have been asked, and what they tell is known.
var Settled = settled

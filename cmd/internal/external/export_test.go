package external

// Settled reports whether all sources have been asked, and what they tell is known.
var Settled = settled

package via

// FirstOf chooses among the addresses of an interface.
var FirstOf = firstOf

package proxymain

// Run does what the arguments say.
var Run = run

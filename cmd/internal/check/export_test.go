package check

// Run runs the command.
var Run = run

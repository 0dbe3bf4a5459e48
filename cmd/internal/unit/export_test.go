package unit

// EngineNames are those of the engines.
var EngineNames = engineNames

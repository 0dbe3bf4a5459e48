// Package e2e holds the tests that run the real programs on real sockets, and those of the repository itself.
//
// Its tests need no network but loopback. What more a test needs (a tool, root, a network namespace) it says
// by package gate: it is skipped where that lacks, and fails instead with PLEXHA_E2E=all, as in CI.
package e2e

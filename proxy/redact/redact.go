// Package redact keeps tokens out of Caddy's logs.
package redact

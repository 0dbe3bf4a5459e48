// Package token reads DuckDNS's token from where the Corefile says it is.
package token

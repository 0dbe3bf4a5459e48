// Package status shows how a cluster is, over HTTP and over a Unix socket, and takes the operator's triggers.
package status

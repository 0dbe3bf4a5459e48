// Package proxymain is plexproxy's command line.
package proxymain

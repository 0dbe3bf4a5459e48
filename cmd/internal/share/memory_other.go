//go:build !linux

package share

func shrink() {}

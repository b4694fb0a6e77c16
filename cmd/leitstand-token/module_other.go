//go:build !(linux && (amd64 || arm64))

package main

import (
	"errors"

	"leitstand/pure/kimmail"
)

// module does not exist here: the layout of PKCS#11 structures was not tried.
type module struct{}

func loadModule(string) (*module, error) {
	return nil, errors.New("tokens are supported on Linux with amd64 or arm64 only")
}

func (*module) finalize() {}

func (*module) login(string, string) (kimmail.Token, error) {
	return nil, errors.New("tokens are not supported on this system")
}

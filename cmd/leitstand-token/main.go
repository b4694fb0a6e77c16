// Command leitstand-token lends the private keys of a PKCS#11 token to leitstand. It is
// a program of its own because a token's C library must be loaded: a fault in it ends
// this helper and not the control stand, which stays one static binary.
//
// It speaks the protocol of pure/kimmail (ServeToken) over standard input and output:
// the PIN comes in the first message, never by argument or environment. Keys never
// leave the token; what leaves is the shared x coordinate of one key agreement on
// brainpoolP256r1 per mail. It ends when its standard input does.
//
// Run as a user of its own, who may reach the token and nothing else.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"leitstand/pure/kimmail"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "leitstand-token:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("leitstand-token", flag.ContinueOnError)
	module := flags.String("module", "", "path of the token's PKCS#11 library")
	label := flags.String("token", "", "label of the token; the first one if empty")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *module == "" || flags.NArg() > 0 {
		return errors.New("usage: leitstand-token -module LIBRARY [-token LABEL]")
	}
	lib, err := loadModule(*module)
	if err != nil {
		return err
	}
	defer lib.finalize()
	rw := struct {
		io.Reader
		io.Writer
	}{stdin, stdout}
	return kimmail.ServeToken(rw, func(pin string) (kimmail.Token, error) { return lib.login(*label, pin) })
}

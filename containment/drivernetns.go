package containment

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// openNetNS opens a network namespace by its name under /run/netns or by path.
func openNetNS(name string) (*os.File, error) {
	path := name
	if !strings.ContainsRune(name, '/') {
		path = filepath.Join("/run/netns", name)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening network namespace %q: %w", name, err)
	}
	return f, nil
}

// inNetNS runs fn on a thread in a network namespace; empty: where we are. What
// fn opens stays in the namespace; fn must start no goroutine that opens more.
func inNetNS(name string, fn func() error) (err error) {
	if name == "" {
		return fn()
	}
	to, err := openNetNS(name)
	if err != nil {
		return err
	}
	defer func() { _ = to.Close() }() // only read
	runtime.LockOSThread()
	from, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("remembering our network namespace: %w", err)
	}
	defer func() { _ = from.Close() }() // only read
	if err := unix.Setns(int(to.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("entering network namespace %q: %w", name, err)
	}
	err = fn()
	if back := unix.Setns(int(from.Fd()), unix.CLONE_NEWNET); back == nil {
		runtime.UnlockOSThread() // otherwise the thread stays locked and ends with its goroutine
	}
	return err
}

package room_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func shell(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.CommandContext(context.WithoutCancel(t.Context()), argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, out)
	}
}

// needNamespaces leaves the suite out by name where it cannot run.
func needNamespaces(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is missing: suite of two gateway nodes left out", tool)
		}
	}
	probe := fmt.Sprintf("lsgx%d", os.Getpid())
	if out, err := exec.CommandContext(t.Context(), "ip", "netns", "add", probe).CombinedOutput(); err != nil {
		t.Skipf("network namespaces are not permitted here: suite of two gateway nodes left out (%s)", strings.TrimSpace(string(out)))
	}
	defer shell(t, "ip", "netns", "del", probe)
	if out, err := exec.CommandContext(t.Context(), "ip", "netns", "exec", probe, "nft", "add", "table", "inet", "x").CombinedOutput(); err != nil {
		t.Skipf("nftables is not permitted here: suite of two gateway nodes left out (%s)", strings.TrimSpace(string(out)))
	}
}

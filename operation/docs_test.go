package operation_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The table of people in the docs is the one that the random walks keep to.
func TestTheDocsSayWhoMayDoWhat(t *testing.T) {
	text, err := os.ReadFile("../docs/operation.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, m := range regexp.MustCompile(`\| ([a-z]+\.[a-z_]+(?: [a-z]+)?) \| ([LOEK]+(?:\+[LOEK]+)?(?: S)?) `).FindAllStringSubmatch(string(text), -1) {
		said[m[1]] = m[2]
	}
	if diff := cmp.Diff(who, said); diff != "" {
		t.Errorf("docs/operation.md (-want +got)\n%s", diff)
	}
}

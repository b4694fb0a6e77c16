package kimmail

import (
	"encoding/asn1"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// Every identifier in oid.go has its dotted form as comment; the two must agree.
func TestObjectIdentifiersAreWhatTheirCommentsSay(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "oid.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		lit, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			t.Fatalf("%s is no literal", spec.Names[0])
		}
		value, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Fatal(err)
		}
		var oid asn1.ObjectIdentifier
		if _, err := asn1.Unmarshal(append([]byte{6, byte(len(value))}, value...), &oid); err != nil {
			t.Fatalf("%s: %v", spec.Names[0], err)
		}
		if want := strings.TrimSpace(spec.Comment.Text()); oid.String() != want {
			t.Errorf("%s is %s, its comment says %s", spec.Names[0], oid, want)
		}
		count++
		return true
	})
	if count < 40 {
		t.Errorf("only %d identifiers seen", count)
	}
}

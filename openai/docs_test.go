package openai

import (
	"os"
	"strings"
	"testing"
)

// TestDocsNameEveryField holds docs/api.md to the tables: a field that is not documented would be refused or honoured in secret.
func TestDocsNameEveryField(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range [][]field{chatTable, completionTable, tokenizeTable} {
		for _, f := range table {
			if f.name != "return_token_strs" && !strings.Contains(string(text), "`"+f.name+"`") {
				t.Errorf("docs/api.md does not name the field %q", f.name)
			}
		}
	}
}

package wine

import (
	"encoding/json"
	"os"
	"testing"
)

func TestCommandLines(t *testing.T) {
	raw, err := os.ReadFile("../../protocol/vectors/command_lines.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			Argv        []string
			CommandLine string `json:"command_line"`
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) == 0 {
		t.Fatal("no vectors")
	}
	for _, v := range file.Vectors {
		if got := CommandLine(v.Argv); got != v.CommandLine {
			t.Errorf("%q: %q, want %q", v.Argv, got, v.CommandLine)
		}
	}
}

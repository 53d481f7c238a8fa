//go:build ignore

// Writes suite.jsonl. It imports the module above this one, so it is run from there: go run ./bench/flood/suite_make.go > bench/flood/suite.jsonl
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/weir-ai/weir/mini"
)

func main() {
	questions, err := mini.Suite(mini.EvalOptions{PerTask: 20})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	e := json.NewEncoder(os.Stdout)
	for _, q := range questions {
		if err := e.Encode(q); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

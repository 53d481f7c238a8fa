package cli

import (
	"fmt"
	"os"

	"github.com/weir-ai/weir/flood"
)

// compare prints the ratios of two reports.
func (c floodCommand) compare(call *call) error {
	if len(c.Target) != 2 {
		return usageError{fmt.Errorf("--compare has %d reports; give two, as weir flood --json FILE writes them", len(c.Target))}
	}
	var reports [2]*flood.Report
	for i, name := range c.Target {
		f, err := os.Open(name)
		if err != nil {
			return usageError{err}
		}
		reports[i], err = flood.ReadReport(f)
		_ = f.Close() // it was read
		if err != nil {
			return usageError{fmt.Errorf("%s: %w", name, err)}
		}
	}
	both := flood.Compare(reports[0], reports[1])
	if c.HTML != "" {
		page, err := both.HTML()
		if err == nil {
			err = replaceFile(c.HTML, func(f *os.File) error { _, err := f.Write(page); return err })
		}
		if err != nil {
			return fmt.Errorf("the page cannot be written: %w", err)
		}
	}
	if c.JSON == "-" {
		return printJSON(call.Out, both.Rows)
	}
	if c.JSON != "" {
		if err := replaceFile(c.JSON, func(f *os.File) error { return printJSON(f, both.Rows) }); err != nil {
			return fmt.Errorf("the comparison cannot be written: %w", err)
		}
	}
	if unlike := both.Describe(); unlike != "" {
		fmt.Fprintf(call.Err, "not alike: %s\n", unlike)
	}
	return both.Table(call.Out)
}

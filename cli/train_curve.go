package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/weir-ai/weir/engine/train"
	"github.com/weir-ai/weir/internal/plot"
	"github.com/weir-ai/weir/mini"
)

// The files of a run beside its checkpoint.
const (
	curveName    = "curve.jsonl" // a curvePoint a line, for who draws for themselves
	curvePicture = "curve.svg"
)

// curvePoints is about how many losses a curve keeps: more than a picture has columns to show.
const curvePoints = 500

// curveBytesMax bounds a curve that is read back: a thousand times what this program writes.
const curveBytesMax = 64 << 20

// curvePoint is how far a run was after a step: its loss, or what the judging counted.
type curvePoint struct {
	Step         int                `json:"step"`
	Tokens       int64              `json:"tokens"`
	Loss         float64            `json:"loss,omitempty"`
	TokensPerSec float64            `json:"tokens_per_second,omitempty"`
	Rates        map[string]float64 `json:"rates,omitempty"` // exact answers, by task and overall
}

// curve writes down how a run goes. It keeps its first error for close: a full disk should not end a run that can go on.
type curve struct {
	file   *os.File
	every  int // steps between losses
	points []curvePoint
	err    error
}

// openCurve goes on with the curve of a run that had come to step from. What was written after the checkpoint of that step will
// be lived again, and is taken out.
func openCurve(path string, steps, from int) (*curve, error) {
	c := &curve{every: max(1, steps/curvePoints)}
	if from > 0 {
		points, err := readCurve(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		for _, p := range points {
			if p.Step <= from {
				c.points = append(c.points, p)
			}
		}
	}
	err := replaceFile(path, func(f *os.File) error {
		for _, p := range c.points {
			if err := json.NewEncoder(f).Encode(p); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		c.file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("the curve cannot be written: %w", err)
	}
	return c, nil
}

// readCurve reads a curve. A last line that a crash cut short is left out.
func readCurve(path string) ([]curvePoint, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var points []curvePoint
	lines := bufio.NewScanner(io.LimitReader(f, curveBytesMax))
	for lines.Scan() {
		var p curvePoint
		if json.Unmarshal(lines.Bytes(), &p) == nil {
			points = append(points, p)
		}
	}
	return points, lines.Err()
}

// progress notes a loss when the last one is some steps old.
func (c *curve) progress(p train.Progress) {
	for i := len(c.points) - 1; i >= 0; i-- {
		if c.points[i].Rates == nil {
			if p.Step-c.points[i].Step < c.every && p.Step < p.Steps {
				return
			}
			break
		}
	}
	c.add(curvePoint{Step: p.Step, Tokens: p.Tokens, Loss: p.Loss, TokensPerSec: p.TokensPerSec})
}

// judged notes what the model could after a step.
func (c *curve) judged(step int, tokens int64, r mini.Report) {
	rates := map[string]float64{r.Overall.Task: r.Overall.Rate}
	for _, s := range r.Tasks {
		rates[s.Task] = s.Rate
	}
	c.add(curvePoint{Step: step, Tokens: tokens, Rates: rates})
}

func (c *curve) add(p curvePoint) {
	c.points = append(c.points, p)
	c.err = errors.Join(c.err, json.NewEncoder(c.file).Encode(p))
}

func (c *curve) close() error {
	if err := errors.Join(c.err, c.file.Close()); err != nil {
		return fmt.Errorf("the curve cannot be written: %w", err)
	}
	return nil
}

// tasksDrawn are the lines of a picture's lower panel: a skill that comes early, some that come late, and the whole. All sixteen
// would be a tangle.
var tasksDrawn = []string{"overall", "glossary", "addition", "words", "fields", "sorting5", "outside"}

// draw makes the picture: the loss and, where the run was judged, the rates.
func (c *curve) draw(path, name string) error {
	if len(c.points) == 0 {
		return nil
	}
	millions := plot.Axis{Label: "tokens read", Unit: "millions", Zero: true}
	var losses []plot.Point
	rates := map[string][]plot.Point{}
	for _, p := range c.points {
		at := float64(p.Tokens) / 1e6
		if p.Rates == nil {
			losses = append(losses, plot.Point{X: at, Y: p.Loss})
		}
		for task, rate := range p.Rates {
			rates[task] = append(rates[task], plot.Point{X: at, Y: 100 * rate})
		}
	}
	chart := plot.Chart{Title: "training " + name, Panels: []plot.Panel{{
		Title: "loss", X: millions, Y: plot.Axis{Label: "loss", Unit: "nats", Log: true}, Lines: []plot.Line{{Name: "loss", Points: losses}},
	}}}
	if len(rates) > 0 {
		judged := plot.Panel{Title: "held-out questions answered exactly", X: millions, Y: plot.Axis{Label: "right", Unit: "%", Max: 100}}
		for _, task := range tasksDrawn {
			judged.Lines = append(judged.Lines, plot.Line{Name: task, Points: rates[task]})
		}
		chart.Panels = append(chart.Panels, judged)
	}
	svg, err := chart.SVG()
	if err == nil {
		err = replaceFile(path, func(f *os.File) error { _, err := f.Write(svg); return err })
	}
	if err != nil {
		return fmt.Errorf("the curve cannot be drawn: %w", err)
	}
	return nil
}

package train

import "time"

// Progress says how far a run is.
type Progress struct {
	Step, Steps  int
	Loss         float64       // mean of the steps since the last report, in nats per counted token
	Rate         float64       // learning rate of this step
	Norm         float64       // norm of the gradient before clipping
	Tokens       int64         // tokens read since the beginning, those before a resume included
	TokensPerSec float64       // since the last report
	Left         time.Duration // to the end, at the mean speed of this run
}

// Named is one tensor of the model under its GGUF name.
type Named struct {
	Name  string    // token_embd.weight, blk.0.attn_q.weight, ...
	Shape []int     // outermost first
	Data  []float32 // (Shape...); the trainer's own memory, not to be written
}

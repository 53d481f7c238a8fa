// Package train makes the weights of small Llama models on the processor: reverse mode written by hand for exactly this
// architecture (RMSNorm, rope on neighbouring pairs, grouped-query attention, SwiGLU, tied or untied embedding), AdamW with a
// warm-up and a cosine, and checkpoints from which a stopped run goes on as if it had never stopped.
//
// All examples of a step are packed into one array of tokens, so that every linear layer is one large multiplication;
// attention runs for each example by itself. The same configuration and data give the same weights bit for bit on one kernel
// set, whatever the number of threads: every sum has one order, which does not depend on who computes it.
//
// A Trainer owns its pool of workers for the length of Run and one goroutine that draws the next step's examples meanwhile;
// both end before Run returns. It is not safe for concurrent use. The package never makes data, never chooses a tokenizer and
// never writes outside Config.Dir.
package train

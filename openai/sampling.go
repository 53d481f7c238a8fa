package openai

import (
	"math"
	"strconv"

	"github.com/weir-ai/weir/llm"
)

// Bounds of what one request may hold. A body is at most some megabytes long, so that these bound work more than memory.
const (
	// textMax: names and opaque ids of clients; OpenAI's own bound on a user or an id is 64 characters to 512.
	textMax = 512
	// stopsMax: OpenAI takes 4 and vLLM any number; chat formats written by hand need about 10. Each costs a comparison a token.
	stopsMax = 16
	// stopBytesMax: the stop strings that people use are below 30 bytes; a long one holds back that much of the stream, and
	// looking for its beginning costs up to the square of its length a token.
	stopBytesMax = 256
	// stopTokensMax: more than any tokenizer has end tokens.
	stopTokensMax = 128
	// biasMax: OpenAI takes 300; bans of word lists need some hundreds.
	biasMax = 1024
	// choicesMax: OpenAI's bound on n. As many prompts of one answer each; a batch of more is better sent as several requests, which
	// can be queued fairly and refused one by one.
	choicesMax = 128
	// logprobsMax: OpenAI's bound on top_logprobs.
	logprobsMax = 20
	// metadataMax, metadataKeyMax and metadataValueMax are OpenAI's, counted in bytes in place of characters, four to one.
	metadataMax      = 16
	metadataKeyMax   = 4 * 64
	metadataValueMax = 4 * 512
)

// number honours a field that is one number.
func number(name string, least, most float64, set func(r *llm.Request, f float64)) field {
	return honoured(name, func(d *decoder, v value) error {
		f, err := v.asNumber(name, least, most)
		if err == nil {
			set(d.req, f)
		}
		return err
	})
}

// whole honours a field that is one whole number.
func whole(name string, least, most int64, set func(d *decoder, n int64)) field {
	return honoured(name, func(d *decoder, v value) error {
		n, err := v.asInt(name, least, most)
		if err == nil {
			set(d, n)
		}
		return err
	})
}

// truth honours a field that is true or false.
func truth(name string, set func(d *decoder, b bool)) field {
	return honoured(name, func(d *decoder, v value) error {
		b, err := v.asBool(name)
		if err == nil {
			set(d, b)
		}
		return err
	})
}

// word honours a field that is one short text.
func word(name string, set func(d *decoder, s string)) field {
	return honoured(name, func(d *decoder, v value) error {
		s, err := v.asText(name, textMax)
		if err == nil {
			set(d, s)
		}
		return err
	})
}

// common are the rows that both endpoints share.
func common(rows ...field) []field {
	return append([]field{
		honoured("model", readModel),
		number("temperature", 0, 2, func(r *llm.Request, f float64) { r.Sampling.Temperature = f }),
		number("top_p", 0, 1, func(r *llm.Request, f float64) { r.Sampling.TopP = max(f, llm.TopPLeast) }),
		whole("top_k", -1, math.MaxInt32, func(d *decoder, n int64) { d.req.Sampling.TopK = int(max(n, 0)) }),
		number("min_p", 0, 1, func(r *llm.Request, f float64) { r.Sampling.MinP = f }),
		number("presence_penalty", -2, 2, func(r *llm.Request, f float64) { r.Sampling.Presence = f }),
		number("frequency_penalty", -2, 2, func(r *llm.Request, f float64) { r.Sampling.Frequency = f }),
		honoured("repetition_penalty", readRepetition),
		honoured("logit_bias", readBias),
		whole("seed", math.MinInt64, math.MaxInt64, func(d *decoder, n int64) { d.req.Sampling.Seed = &n }),
		honoured("stop", readStop),
		honoured("stop_token_ids", func(d *decoder, v value) (err error) {
			d.req.Limits.StopTokens, err = v.asTokens("stop_token_ids", stopTokensMax)
			return err
		}),
		whole("min_tokens", 0, math.MaxInt32, func(d *decoder, n int64) { d.req.Limits.MinTokens = int(n) }),
		truth("ignore_eos", func(d *decoder, b bool) { d.req.Limits.IgnoreEOS = b }),
		whole("n", 1, choicesMax, func(d *decoder, n int64) { d.req.N = int(n) }),
		whole("best_of", 1, choicesMax, func(d *decoder, n int64) { d.asked.bestOf = n }),
		whole("prompt_logprobs", 0, logprobsMax, func(d *decoder, n int64) {
			d.req.Report.PromptLogprobs, d.asked.promptLogprobs = int(n), true
		}),
		honoured("continue_tokens", readContinue),
		truth("return_token_ids", func(d *decoder, b bool) { d.req.Report.TokenIDs = b }),
		truth("stream", func(d *decoder, b bool) { d.req.Stream = b }),
		honoured("stream_options", readStreamOptions),
		word("user", func(d *decoder, s string) { d.req.User = s }),
		word("safety_identifier", func(d *decoder, s string) { d.asked.safetyIdentifier = s }),
		honoured("metadata", readMetadata),
		passed("store", isFalse, "answers are not stored; send false or leave it out"),
		passed("service_tier", isOneOf("auto", "default"), `there is one tier; send "auto" or leave it out`),
		passed("response_format", isTextFormat, `only {"type": "text"} is; ask for the form in the prompt`),
		passed("prompt_cache_key", isHint, "equal beginnings of prompts are found without it; leave it out"),
		passed("prompt_cache_retention", isOneOf("in_memory"), `prompts are cached in memory; send "in_memory" or leave it out`),
		refused("prompt_cache_options", "equal beginnings of prompts are cached without it; leave it out"),
		refused("moderation", "nothing is moderated; leave it out"),
	}, append(vllm(), rows...)...)
}

// vllm are vLLM's further fields, of both endpoints.
func vllm() []field {
	return []field{
		passed("use_beam_search", isFalse, "use n with a temperature above 0 in its place"),
		passed("length_penalty", is(1), "it belongs to beam search; leave it out"),
		passed("early_stopping", isFalse, "it belongs to beam search; leave it out"),
		passed("include_stop_str_in_output", isFalse, "append stop_reason to the text in its place"),
		passed("skip_special_tokens", isTrue, "return_token_ids and /detokenize give the text with special tokens"),
		passed("spaces_between_special_tokens", isTrue, "leave it out"),
		refused("truncate_prompt_tokens", "cut the prompt before sending it; /tokenize counts its tokens"),
		refused("truncation_side", "cut the prompt before sending it; /tokenize counts its tokens"),
		refused("allowed_token_ids", "use logit_bias in its place"),
		passed("bad_words", isEmpty, "use logit_bias in its place"),
		passed("logprob_token_ids", isEmpty, "the likeliest tokens' log-probabilities are told in its place"),
		passed("structured_outputs", isEmpty, "ask for the form in the prompt"),
		refused("guided_json", "ask for the form in the prompt"),
		refused("guided_regex", "ask for the form in the prompt"),
		refused("guided_choice", "ask for the form in the prompt"),
		refused("guided_grammar", "ask for the form in the prompt"),
		refused("guided_decoding_backend", "there is no guided decoding; leave it out"),
		refused("guided_whitespace_pattern", "there is no guided decoding; leave it out"),
		passed("priority", is(0), "requests are answered as they come; send 0 or leave it out"),
		refused("request_id", "send the header X-Request-Id in its place"),
		refused("session_id", "send user or metadata in its place"),
		passed("return_tokens_as_token_ids", isFalse, "return_token_ids tells the ids"),
		passed("routed_experts_prompt_start", is(0), "experts are not told; leave it out"),
		passed("return_token_offsets", isFalse, "leave it out"),
		refused("cache_salt", "each tenant's cache is its own already; leave it out"),
		passed("kv_transfer_params", isEmpty, "caches are not transferred; leave it out"),
		passed("ec_transfer_params", isEmpty, "caches are not transferred; leave it out"),
		passed("vllm_xargs", isEmpty, "it belongs to vLLM's own extensions; leave it out"),
		refused("repetition_detection", "use repetition_penalty or frequency_penalty in its place"),
		passed("thinking_token_budget", is(-1), "use max_tokens in its place"),
		passed("stream_interval", is(1), "every token is sent at once; send 1 or leave it out"),
	}
}

// isHint accepts any short text: a hint that changes nothing of the answer.
func isHint(v value) bool {
	_, err := v.asText("", textMax)
	return err == nil
}

// readContinue reads Weir's own member by which one Weir has another go on with an answer that broke off elsewhere: the tokens of the
// prompt and those of the answer that the client has already.
func readContinue(d *decoder, v value) (err error) {
	d.req.Going, err = continuation(v)
	return err
}

func continuation(v value) (*llm.Continuation, error) {
	const path = "continue_tokens"
	if !v.object() {
		return nil, wrongType(path, `an object such as {"prompt": [1, 2], "answer": [3]}`, v)
	}
	var g llm.Continuation
	for name, list := range v.members() {
		var err error
		switch name {
		case "prompt":
			g.Prompt, err = list.asTokens(path+".prompt", promptTokensMax)
		case "answer":
			g.Tokens, err = list.asTokens(path+".answer", promptTokensMax)
		default:
			err = unknown(path, name, []string{"prompt", "answer"})
		}
		if err != nil {
			return nil, err
		}
	}
	if g.Count = len(g.Tokens); g.Count == 0 || len(g.Prompt) == 0 {
		return nil, llm.InvalidField(path, "continue_tokens needs the token ids of both prompt and answer; leave it out for an answer that begins.")
	}
	return &g, nil
}

func readModel(d *decoder, v value) error {
	s, err := v.asText("model", textMax)
	if err != nil {
		return err
	}
	if s == "" {
		return llm.InvalidField("model", "model is empty; name one of those that GET /v1/models lists.")
	}
	d.req.Model = llm.ModelID(s)
	return nil
}

func readRepetition(d *decoder, v value) error {
	f, err := v.asNumber("repetition_penalty", 0, 2)
	if err == nil && f == 0 {
		err = llm.InvalidField("repetition_penalty", "repetition_penalty is 0; it must be above 0, and 1 penalises nothing.")
	}
	d.req.Sampling.Repetition = f
	return err
}

func readBias(d *decoder, v value) error {
	const path = "logit_bias"
	if !v.object() {
		return wrongType(path, "an object of token ids and numbers", v)
	}
	bias := make(map[llm.TokenID]float64)
	for key, b := range v.members() {
		// ParseUint would take a sign and zeros before the digits, too; two such keys could name one token.
		id, err := strconv.ParseUint(key, 10, 31)
		if err != nil || strconv.FormatUint(id, 10) != key {
			return llm.InvalidField(path, "logit_bias has the key %.60q; a key is a token id in decimal digits, such as \"42\".", key)
		}
		f, err := b.asNumber(path+"."+key, -100, 100)
		if err != nil {
			return err
		}
		if bias[llm.TokenID(id)] = f; len(bias) > biasMax {
			return llm.InvalidField(path, "logit_bias has more than %d entries; keep the important ones.", biasMax)
		}
	}
	if len(bias) > 0 {
		d.req.Sampling.Bias = bias
	}
	return nil
}

func readStop(d *decoder, v value) error {
	one := func(path string, v value) error {
		s, err := v.asText(path, stopBytesMax)
		if err == nil && s == "" {
			err = llm.InvalidField(path, "%s is an empty string, before which every answer would end; leave it out.", path)
		}
		d.req.Limits.Stop = append(d.req.Limits.Stop, s)
		return err
	}
	switch {
	case v.string():
		return one("stop", v)
	case !v.list():
		return wrongType("stop", "a string or a list of strings", v)
	}
	for i, item := range v.items() {
		if i == stopsMax {
			return llm.InvalidField("stop", "stop has more than %d strings; send fewer.", stopsMax)
		}
		if err := one(at("stop", i), item); err != nil {
			return err
		}
	}
	return nil
}

// asTokens reads a list of token ids; nil where it is empty.
func (v value) asTokens(path string, most int) ([]llm.TokenID, error) {
	if !v.list() {
		return nil, wrongType(path, "a list of token ids", v)
	}
	var ids []llm.TokenID
	for i, item := range v.items() {
		if i == most {
			return nil, llm.InvalidField(path, "%s has more than %d token ids; send fewer.", path, most)
		}
		id, err := item.asInt(path, 0, math.MaxInt32)
		if err != nil {
			_, err = item.asInt(at(path, i), 0, math.MaxInt32) // the path is only made where it is read: lists have a million items
			return nil, err
		}
		ids = append(ids, llm.TokenID(id))
	}
	return ids, nil
}

func readStreamOptions(d *decoder, v value) error {
	const path = "stream_options"
	if !v.object() {
		return wrongType(path, "an object", v)
	}
	if err := d.onlyKeys(path, v, "include_usage", "continuous_usage_stats", "include_obfuscation"); err != nil {
		return err
	}
	d.asked.streamOptions = !v.empty()
	for name, member := range v.members() {
		if member.null() {
			continue
		}
		b, err := member.asBool(path + "." + name)
		switch {
		case name != "include_usage" && name != "continuous_usage_stats" && name != "include_obfuscation":
			continue // with IgnoreUnknown
		case err != nil:
			return err
		case name == "include_usage":
			d.req.Report.Usage = b
		case name == "continuous_usage_stats":
			d.req.Report.UsageContinuous = b
		case b:
			return llm.InvalidField(path+"."+name, "stream_options.include_obfuscation is true, which is not supported; send false or leave it out.")
		}
	}
	return nil
}

func readMetadata(d *decoder, v value) error {
	const path = "metadata"
	if !v.object() {
		return wrongType(path, "an object of strings", v)
	}
	notes := make(map[string]string)
	for key, member := range v.members() {
		if len(key) > metadataKeyMax {
			return llm.InvalidField(path, "metadata has a key of %d bytes; at most %d are allowed.", len(key), metadataKeyMax)
		}
		s, err := member.asText(path+"."+key, metadataValueMax)
		if err != nil {
			return err
		}
		if notes[key] = s; len(notes) > metadataMax {
			return llm.InvalidField(path, "metadata has more than %d entries; send fewer.", metadataMax)
		}
	}
	if len(notes) > 0 {
		d.req.Metadata = notes
	}
	return nil
}

package token

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weir-ai/weir/engine/weights"
	"github.com/weir-ai/weir/internal/testdata"
)

// folder makes a folder of files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFromDirReadsWhatStandsBeside(t *testing.T) {
	t.Parallel()
	whole := string(smallJSON(t, nil))
	f := func(want string, files map[string]string) {
		t.Helper()
		got := ""
		tok, err := FromDir(folder(t, files))
		if err == nil {
			bos, _ := tok.BOS()
			eos, _ := tok.EOS()
			got = fmt.Sprint(bos, eos, tok.EOGs(), tok.Encode("ab", true, false), tok.SpecialStrings())
		} else {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%v: %s, want %s", slices.Sorted(maps.Keys(files)), got, want)
		}
	}
	f("-1 -1 [4] [2] map[]", map[string]string{"tokenizer.json": whole})
	f("3 4 [4] [3 2] map[bos_token:Ġ eos_token:<|end|>]", map[string]string{"tokenizer.json": whole,
		"tokenizer_config.json": `{"bos_token":"Ġ","eos_token":{"content":"<|end|>","lstrip":false},"unk_token":null,"add_bos_token":true}`})
	f("-1 1 [1 4] [2]", map[string]string{"tokenizer.json": whole, "generation_config.json": `{"eos_token_id":1}`})
	f("-1 4 [0 1 4] [2 4]", map[string]string{"tokenizer.json": whole, "generation_config.json": `{"eos_token_id":[0,1,-7,900]}`,
		"tokenizer_config.json": `{"eos_token":"<|end|>","add_eos_token":true}`})
	f("map[pad_token:b]", map[string]string{"tokenizer.json": whole, "special_tokens_map.json": `{"pad_token":"b","bos_token":"a"}`,
		"tokenizer_config.json": `{"bos_token":null}`})
	f("-1 5 [4 5]", map[string]string{"tokenizer.json": whole, "tokenizer_config.json": `{"eos_token":"<x>",
		"added_tokens_decoder":{"4":{"content":"<|end|>","special":true},"5":{"content":"<x>","special":true}}}`})
	f("1 2 [2] [1 3 4 0] map[bos_token:<s> eos_token:</s> unk_token:<unk>]", map[string]string{"tokenizer.model": string(smallPieces(message(3, 2), message(3, 1)))})
	f("1 5 [2 5] [3 4 0] map[bos_token:<s> eos_token:<|im_end|> unk_token:<unk>]", map[string]string{"tokenizer.model": string(smallPieces(message(3, 2), message(3, 1))),
		"tokenizer_config.json": `{"eos_token":"<|im_end|>","add_bos_token":false,"added_tokens_decoder":{"5":{"content":"<|im_end|>","special":true}}}`})

	f("neither tokenizer.json nor tokenizer.model", map[string]string{"vocab.json": "{}", "merges.txt": ""})
	f(`bos_token "<s>" is not in the vocabulary`, map[string]string{"tokenizer.json": whole, "tokenizer_config.json": `{"bos_token":"<s>"}`})
	f("tokenizer_config.json: bos_token", map[string]string{"tokenizer.json": whole, "tokenizer_config.json": `{"bos_token":7}`})
	f("tokenizer_config.json: ", map[string]string{"tokenizer.json": whole, "tokenizer_config.json": `[`})
	f(`the key "x"`, map[string]string{"tokenizer.json": whole, "tokenizer_config.json": `{"added_tokens_decoder":{"x":{}}}`})
	f("generation_config.json: eos_token_id", map[string]string{"tokenizer.json": whole, "generation_config.json": `{"eos_token_id":"x"}`})
	f("tokenizer.json: not a tokenizer.json", map[string]string{"tokenizer.json": "{", "tokenizer.model": "x"})
}

func TestTextsAfterSpecialTokensBeginWithASpaceUnlessNotLegacy(t *testing.T) {
	t.Parallel()
	f := func(config, want string) {
		t.Helper()
		tok, err := FromDir(folder(t, map[string]string{"tokenizer.model": string(smallPieces(message(3, 2), message(4, 0))), "tokenizer_config.json": config}))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(tok.Encode("a</s>a", false, true)); got != want {
			t.Errorf("%s: ids %s, want %s", config, got, want)
		}
	}
	f(`{}`, "[3 4 2 3 4]")
	f(`{"legacy":true}`, "[3 4 2 3 4]")
	f(`{"legacy":false}`, "[3 4 2 4]")
}

func TestFilesThatAreTooLarge(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"tokenizer.model": ""})
	if err := os.Truncate(filepath.Join(dir, "tokenizer.model"), piecesBytesMax+1); err != nil {
		t.Fatal(err)
	}
	if _, err := FromDir(dir); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("error %v", err)
	}
}

func TestTemplateOf(t *testing.T) {
	t.Parallel()
	f := func(want string, files map[string]string) {
		t.Helper()
		got, ok := TemplateOf(&weights.File{Format: "safetensors", Dir: folder(t, files)})
		if got != want || ok != (want != "") {
			t.Errorf("%v: %q, %v, want %q", files, got, ok, want)
		}
	}
	f("", nil)
	f("T", map[string]string{"chat_template.jinja": "T", "tokenizer_config.json": `{"chat_template":"older"}`})
	f("T", map[string]string{"tokenizer_config.json": `{"chat_template":"T"}`})
	f("T", map[string]string{"tokenizer_config.json": `{"chat_template":[{"name":"tool_use","template":"U"},{"name":"default","template":"T"}]}`})
	f("", map[string]string{"tokenizer_config.json": `{"chat_template":[{"name":"rag","template":"U"}]}`})
	f("", map[string]string{"tokenizer_config.json": `{"chat_template":null}`})
	f("", map[string]string{"tokenizer_config.json": `{"chat_template":7}`})
	f("T", map[string]string{"tokenizer_config.json": `{}`, "chat_template.json": `{"chat_template":"T"}`})

	if got, ok := TemplateOf(&weights.File{Format: "gguf", Meta: weights.Meta{keyTemplate: "T"}}); got != "T" || !ok {
		t.Errorf("GGUF: %q, %v", got, ok)
	}
	if _, ok := TemplateOf(&weights.File{Format: "gguf", Meta: weights.Meta{}}); ok {
		t.Error("a GGUF file without a template has one")
	}
}

func TestLoadOfBothForms(t *testing.T) {
	t.Parallel()
	f := func(name, template, specials string) {
		t.Helper()
		file, err := weights.Open(testdata.Path(t, name))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		tok, err := Load(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if got := fmt.Sprint(tok.SpecialStrings()); got != specials {
			t.Errorf("%s: special tokens %s, want %s", name, got, specials)
		}
		source, ok := TemplateOf(file)
		if !strings.Contains(source, template) || ok != (template != "") {
			t.Errorf("%s: template %q, %v", name, source, ok)
		}
	}
	f("golden-hf/qwen2", "<|im_start|>", "map[eos_token:<|im_end|> pad_token:<|endoftext|>]")
	f("golden-hf/gguf/qwen2-F16.gguf", "<|im_start|>", "map[bos_token:<|im_start|> eos_token:<|im_end|>]")
	f("golden-hf/llama", "bos_token", "map[bos_token:<s> eos_token:</s> unk_token:<unk>]")
	f("golden-hf/mistral", "bos_token", "map[bos_token:<s> eos_token:</s> unk_token:<unk>]")
	f("models/stories260K-f32.gguf", "", "map[bos_token:<s> eos_token:</s> unk_token:<unk>]")
	f("ggml-vocab/ggml-vocab-phi-3.gguf", "<|user|>", "map[bos_token:<s> eos_token:<|endoftext|> pad_token:<|endoftext|> unk_token:<unk>]")
}

// Phi-3's marks take the white space after them, which its template writes.
func TestPhi3MarksTakeTheSpaceAfterThem(t *testing.T) {
	t.Parallel()
	tok := fromFile(t, "ggml-vocab/ggml-vocab-phi-3.gguf")
	a, b := tok.Encode("<|user|>\nHi<|end|>\n<|assistant|>\n", true, true), tok.Encode("<|user|>Hi<|end|><|assistant|>", true, true)
	if !slices.Equal(a, b) || len(a) != 5 {
		t.Errorf("ids %v and %v", a, b)
	}
}

func TestTrainedTokenizerSurvivesGGUF(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("the cat sat on the mat with 17 + 25 = 42 hats; naïve 中文.\n", 40)
	made, err := TrainBPE(slices.Values([]string{text}), TrainOptions{VocabSize: 330, Special: []string{"<|end|>", "<|user|>"},
		BOS: "<|user|>", EOS: "<|end|>", AddBOS: true})
	if err != nil {
		t.Fatal(err)
	}
	kv, err := made.GGUF()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := weights.WriteGGUF(&out, kv, nil); err != nil {
		t.Fatal(err)
	}
	file, err := weights.OpenBytes("trained", out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	back, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(back.vocab.texts, made.vocab.texts) || !slices.Equal(back.vocab.kinds, made.vocab.kinds) || !slices.Equal(back.EOGs(), made.EOGs()) {
		t.Error("the vocabulary changed")
	}
	if a, b := made.SpecialStrings(), back.SpecialStrings(); !maps.Equal(a, b) || a["bos_token"] != "<|user|>" {
		t.Errorf("special tokens %v and %v", a, b)
	}
	for _, s := range []string{"", text, "<|user|>the cat 1234<|end|>", "hats\n\n mats", "\xff\x00é"} {
		a, b := made.Encode(s, true, true), back.Encode(s, true, true)
		if !slices.Equal(a, b) || a[0] != 1 {
			t.Errorf("%q: ids %v and %v", s, a, b)
		}
	}
	if _, err := fromFile(t, "golden-hf/llama").GGUF(); err == nil {
		t.Error("a SentencePiece tokenizer was written as byte-level BPE")
	}
}

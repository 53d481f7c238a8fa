package token

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/weir-ai/weir/engine/weights"
	"github.com/weir-ai/weir/internal/testdata"
)

// fromFile builds a tokenizer from a GGUF file, a folder, a tokenizer.json or a tokenizer.model of the shared data.
func fromFile(t testing.TB, name string) *Tokenizer {
	t.Helper()
	var tok *Tokenizer
	var err error
	switch path.Ext(name) {
	case ".gguf":
		tok, err = FromGGUF(metaOf(t, name))
	case ".json":
		tok, err = fromJSON(testdata.Bytes(t, name), special{})
	case ".model":
		tok, err = fromPieces(testdata.Bytes(t, name), special{})
	default:
		tok, err = FromDir(testdata.Path(t, name))
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return tok
}

func metaOf(t testing.TB, name string) weights.Meta {
	t.Helper()
	file, err := weights.Open(testdata.Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file.Meta
}

// goldenText is a text with what the published library makes of it. Absent fields are the same as the one before.
type goldenText struct {
	Text             string
	IDs              []ID
	IDsWithSpecial   *[]ID `json:"ids_with_special"`
	Decoded          *string
	DecodedNoSpecial *string `json:"decoded_skip_special"`
}

func goldenTexts(t testing.TB, name string) []goldenText {
	t.Helper()
	var g struct{ Cases []goldenText }
	if err := json.Unmarshal(testdata.Bytes(t, "golden-hf/tokenizers/"+name+".json"), &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Cases) != 146 {
		t.Fatalf("%s: %d texts, want 146", name, len(g.Cases))
	}
	return g.Cases
}

// how tells how a tokenizer is held against golden texts.
type how struct {
	plain bool // the text of special tokens is text
	bare  bool // the golden ids are of a tokenizer that puts nothing around a text
	nfc   bool // only texts that are in NFC, because the tokenizer does not compose and the golden one does
}

func checkGolden(t *testing.T, tok *Tokenizer, texts []goldenText, h how) {
	t.Helper()
	for _, g := range texts {
		if h.nfc && !norm.NFC.IsNormalString(g.Text) {
			continue
		}
		ids := tok.Encode(g.Text, false, !h.plain)
		if !slices.Equal(ids, g.IDs) {
			t.Errorf("%q: ids %v, want %v", g.Text, ids, g.IDs)
			continue
		}
		with := ids
		if !h.bare {
			want := g.IDs
			if g.IDsWithSpecial != nil {
				want = *g.IDsWithSpecial
			}
			if with = tok.Encode(g.Text, true, !h.plain); !slices.Equal(with, want) {
				t.Errorf("%q: ids with special tokens %v, want %v", g.Text, with, want)
			}
		}
		if g.Decoded == nil {
			continue
		}
		checkDecoded(t, tok, ids, false, *g.Decoded)
		want := *g.Decoded
		if g.DecodedNoSpecial != nil {
			want = *g.DecodedNoSpecial
		}
		checkDecoded(t, tok, with, true, want)
	}
}

// checkDecoded holds decoding at once and token by token against want.
func checkDecoded(t *testing.T, tok *Tokenizer, ids []ID, skipSpecial bool, want string) {
	t.Helper()
	if got := tok.Decode(ids, skipSpecial); got != want {
		t.Errorf("%v decodes to %q, want %q", ids, got, want)
	}
	s := tok.Stream()
	s.KeepSpecial = !skipSpecial
	var got strings.Builder
	for _, id := range ids {
		got.WriteString(s.Push(id))
	}
	got.WriteString(s.Flush())
	if got.String() != want {
		t.Errorf("%v streams %q, want %q", ids, got.String(), want)
	}
}

func TestGoldenTexts(t *testing.T) {
	t.Parallel()
	check := func(golden, file string, h how) {
		t.Run(golden+" of "+strings.ReplaceAll(file, "/", " "), func(t *testing.T) {
			t.Parallel()
			checkGolden(t, fromFile(t, file), goldenTexts(t, golden), h)
		})
	}
	check("bert-base-uncased", "tokenizers/bert-base-uncased.json", how{})
	check("bert-base-uncased", "ggml-vocab/ggml-vocab-bert-bge.gguf", how{})
	check("llama2_tokenizer.model", "tokenizers/llama2_tokenizer.model", how{plain: true})
	check("llama2_tokenizer.model", "ggml-vocab/ggml-vocab-llama-spm.gguf", how{plain: true})
	check("ggml-vocab-gpt-2", "ggml-vocab/ggml-vocab-gpt-2.gguf", how{bare: true})
	check("ggml-vocab-starcoder", "ggml-vocab/ggml-vocab-starcoder.gguf", how{bare: true})
	check("tiny-bpe", "golden-hf/qwen2", how{})
	check("tiny-bpe", "golden-hf/gpt2", how{})
	check("tiny-bpe", "golden-hf/gguf/qwen2-F16.gguf", how{nfc: true})
	check("tiny-spm", "golden-hf/llama", how{})
	check("tiny-spm", "golden-hf/mistral", how{})
	check("tiny-spm", "golden-hf/gguf/llama-F16.gguf", how{})
}

// The GGUF vocabularies of ggml-vocab come with llama.cpp's own ids for 46 texts; special tokens are not parsed there.
func TestVocabulariesOfLlamaCpp(t *testing.T) {
	t.Parallel()
	check := func(name string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := "ggml-vocab/ggml-vocab-" + name + ".gguf"
			texts := strings.Split(string(testdata.Bytes(t, file+".inp")), "\n__ggml_vocab_test__\n")
			lines := strings.Split(string(testdata.Bytes(t, file+".out")), "\n")
			tok, compared := fromFile(t, file), 0
			for i, text := range texts[:min(len(texts), len(lines))] {
				var want []ID
				for _, word := range strings.Fields(lines[i]) {
					id, err := strconv.Atoi(word)
					if err != nil {
						t.Fatal(err)
					}
					want = append(want, ID(id))
				}
				if got := tok.Encode(text, false, false); !slices.Equal(got, want) {
					t.Errorf("%q: ids %v, want %v", text, got, want)
				}
				compared++
			}
			if compared < 46 {
				t.Errorf("only %d texts were compared, want 46", compared)
			}
		})
	}
	check("bert-bge")
	check("deepseek-llm")
	check("gpt-2")
	check("llama-spm")
	check("phi-3")
	check("starcoder")
}

// The GGUF twins come with ids of a few texts.
func TestTextsOfGGUFTwins(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(testdata.Path(t, "golden-hf/gguf"), "*.golden.json"))
	if err != nil || len(files) < 11 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	for _, file := range files {
		name := "golden-hf/gguf/" + strings.TrimSuffix(filepath.Base(file), ".golden.json")
		var g struct{ Tokenize []goldenText }
		if err := json.Unmarshal(testdata.Bytes(t, name+".golden.json"), &g); err != nil {
			t.Fatal(err)
		}
		if len(g.Tokenize) == 0 {
			t.Errorf("%s has no texts", name)
		}
		checkGolden(t, fromFile(t, name+".gguf"), g.Tokenize, how{})
	}
}

// published writes the tokenizer.json that a GGUF vocabulary has been converted from, so that both forms can be compared on
// vocabularies of real size. pre is the family's pre_tokenizer.
func published(t testing.TB, meta weights.Meta, pre string) []byte {
	t.Helper()
	texts, _ := meta.Strings(keyTokens)
	kinds, _ := meta.Ints(keyKinds)
	merges, _ := meta.Strings(keyMerges)
	vocab := map[string]int{}
	var added []map[string]any
	for i, text := range texts {
		vocab[text] = i
		if k := kind(kinds[i]); k == kindControl || k == kindUser {
			added = append(added, map[string]any{"id": i, "content": text, "special": k == kindControl, "normalized": k == kindUser})
		}
	}
	b, err := json.Marshal(map[string]any{
		"version": "1.0", "added_tokens": added, "normalizer": nil, "pre_tokenizer": json.RawMessage(pre),
		"post_processor": nil, "decoder": map[string]any{"type": "ByteLevel"},
		"model": map[string]any{"type": "BPE", "vocab": vocab, "merges": merges},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sequence(stages ...string) string {
	return `{"type":"Sequence","pretokenizers":[` + strings.Join(stages, ",") + `]}`
}

func isolated(regex string) string {
	quoted, _ := json.Marshal(regex)
	return fmt.Sprintf(`{"type":"Split","pattern":{"Regex":%s},"behavior":"Isolated","invert":false}`, quoted)
}

func TestGoldenTextsOfTokenizerJSON(t *testing.T) {
	t.Parallel()
	const byteLevel, plainBytes = `{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}`, `{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}`
	const digits = `{"type":"Digits","individual_digits":true}`
	check := func(name, pre string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			meta := metaOf(t, "ggml-vocab/ggml-vocab-"+name+".gguf")
			file := published(t, meta, pre)
			tok, err := fromJSON(file, special{})
			if err != nil {
				t.Fatal(err)
			}
			if name == "deepseek-llm" {
				checkDeepSeek(t, tok, true)
				return
			}
			checkGolden(t, tok, goldenTexts(t, "ggml-vocab-"+name), how{})
			if name != "gpt-2" {
				return
			}
			// The newer form of merges must be the same tokenizer.
			var whole map[string]any
			if err := json.NewDecoder(bytes.NewReader(file)).Decode(&whole); err != nil {
				t.Fatal(err)
			}
			model := whole["model"].(map[string]any)
			for i, line := range model["merges"].([]any) {
				left, right, _ := strings.Cut(line.(string), " ")
				model["merges"].([]any)[i] = []string{left, right}
			}
			if file, err = json.Marshal(whole); err != nil {
				t.Fatal(err)
			}
			if tok, err = fromJSON(file, special{}); err != nil {
				t.Fatal(err)
			}
			checkGolden(t, tok, goldenTexts(t, "ggml-vocab-"+name), how{})
		})
	}
	check("gpt-2", byteLevel)
	check("starcoder", sequence(digits, byteLevel))
	check("deepseek-llm", sequence(isolated(`[\r\n]`), isolated(casedPattern()), isolated(`\s?[!-/:-~！-／：-～‘-‟　-。]+`), isolated(`\s+$`),
		isolated(`[一-龥ࠀ-一가-퟿]+`), digits, plainBytes))
}

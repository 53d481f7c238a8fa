package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/weir-ai/weir/engine/weights"
)

// Files of a Hugging Face folder that tell about text.
const (
	fileTokenizer  = "tokenizer.json"
	filePieces     = "tokenizer.model"
	fileConfig     = "tokenizer_config.json"
	fileSpecials   = "special_tokens_map.json"
	fileGeneration = "generation_config.json"
	fileTemplate   = "chat_template.jinja"
	fileTemplates  = "chat_template.json"
)

const (
	// tokenizerBytesMax bounds tokenizer.json. The largest published one (Gemma 3, 262,144 tokens) has 33 MB, so less would
	// soon be too little; reading takes several times the file's size in memory, hence not more.
	tokenizerBytesMax = 64 << 20
	// piecesBytesMax bounds tokenizer.model, of which Gemma's with 4.7 MB is the largest published one.
	piecesBytesMax = 16 << 20
	// configBytesMax bounds the other files. A tokenizer_config.json that lists thousands of added tokens has 1 MB.
	configBytesMax = 16 << 20
)

// Load builds the tokenizer of a model file: from the metadata of a GGUF file, from the folder of safetensors.
func Load(file *weights.File) (*Tokenizer, error) {
	if file.Dir == "" {
		return FromGGUF(file.Meta)
	}
	return FromDir(file.Dir)
}

// FromDir builds the tokenizer of a Hugging Face folder: its tokenizer.json or, where there is none, its tokenizer.model, with
// what tokenizer_config.json and generation_config.json say about special tokens.
func FromDir(dir string) (*Tokenizer, error) {
	config, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	for _, form := range []struct {
		file  string
		limit int64
		read  func([]byte, special) (*Tokenizer, error)
	}{{fileTokenizer, tokenizerBytesMax, fromJSON}, {filePieces, piecesBytesMax, fromPieces}} {
		path := filepath.Join(dir, form.file)
		b, err := readBounded(path, form.limit)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		t, err := form.read(b, config)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return t, nil
	}
	return nil, fmt.Errorf("%s has neither %s nor %s: copy the tokenizer's files beside the weights", dir, fileTokenizer, filePieces)
}

// readBounded reads a file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes, which no tokenizer is", path, limit)
	}
	return b, nil
}

// special is what stands beside a vocabulary about special tokens.
type special struct {
	texts          map[string]string // "bos_token" to "<s>": as tokenizer_config.json has them, without those that are null
	ends           []ID              // eos_token_id of generation_config.json
	added          []hfAdded
	addBOS, addEOS *bool
	legacy         *bool // whether a text after a special token begins with a space of its own (SentencePiece)
}

// specialNames are the special tokens that chat templates see by name.
func specialNames() []string {
	return []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}
}

// readConfig reads the small files of a folder; each of them may be missing.
func readConfig(dir string) (special, error) {
	sp := special{texts: map[string]string{}}
	for _, name := range []string{fileSpecials, fileConfig} { // the second counts where both name a token
		path := filepath.Join(dir, name)
		b, err := readBounded(path, configBytesMax)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = sp.read(b)
		}
		if err != nil {
			return sp, fmt.Errorf("%s: %w", path, err)
		}
	}
	path := filepath.Join(dir, fileGeneration)
	b, err := readBounded(path, configBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		return sp, nil
	}
	if err == nil {
		sp.ends, err = readEnds(b)
	}
	if err != nil {
		return sp, fmt.Errorf("%s: %w", path, err)
	}
	return sp, nil
}

// read takes a tokenizer_config.json or special_tokens_map.json.
func (sp *special) read(b []byte) error {
	var tokens map[string]json.RawMessage
	if err := json.Unmarshal(b, &tokens); err != nil {
		return err
	}
	for _, name := range specialNames() {
		raw, there := tokens[name]
		if !there {
			continue
		}
		text, err := tokenText(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if text != "" {
			sp.texts[name] = text
		} else {
			delete(sp.texts, name)
		}
	}
	var config struct {
		AddBOS *bool              `json:"add_bos_token"`
		AddEOS *bool              `json:"add_eos_token"`
		Legacy *bool              `json:"legacy"`
		Added  map[string]hfAdded `json:"added_tokens_decoder"`
	}
	if err := json.Unmarshal(b, &config); err != nil {
		return err
	}
	sp.addBOS, sp.addEOS, sp.legacy = config.AddBOS, config.AddEOS, config.Legacy
	for id, tok := range config.Added {
		n, err := strconv.ParseInt(id, 10, 32)
		if err != nil || n < 0 {
			return fmt.Errorf("added_tokens_decoder has the key %q, want the number of a token", id)
		}
		tok.ID = n
		sp.added = append(sp.added, tok)
	}
	slices.SortFunc(sp.added, func(a, b hfAdded) int { return int(a.ID - b.ID) })
	return nil
}

// tokenText reads a token that is written as its text, as an object with content, or as null.
func tokenText(raw json.RawMessage) (string, error) {
	var text *string
	if json.Unmarshal(raw, &text) == nil {
		if text == nil {
			return "", nil
		}
		return *text, nil
	}
	var object struct {
		Content string `json:"content"`
	}
	if err := json.Unmarshal(raw, &object); err != nil {
		return "", fmt.Errorf("want a text or an object with content: %w", err)
	}
	return object.Content, nil
}

// readEnds reads eos_token_id of generation_config.json: missing, a number or a list.
func readEnds(b []byte) ([]ID, error) {
	var config struct {
		EOS json.RawMessage `json:"eos_token_id"`
	}
	if err := json.Unmarshal(b, &config); err != nil {
		return nil, err
	}
	if len(config.EOS) == 0 || string(config.EOS) == "null" {
		return nil, nil
	}
	var one ID
	if json.Unmarshal(config.EOS, &one) == nil {
		return []ID{one}, nil
	}
	var many []ID
	if err := json.Unmarshal(config.EOS, &many); err != nil {
		return nil, fmt.Errorf("eos_token_id is neither a number nor a list of numbers: %w", err)
	}
	return many, nil
}

// TemplateOf gives the source of a model's chat template: from a GGUF file's metadata, or from chat_template.jinja,
// tokenizer_config.json or chat_template.json of a folder. Of several named ones it is the one named "default". ok is false
// where the model has none.
func TemplateOf(file *weights.File) (source string, ok bool) {
	if file.Dir == "" {
		return file.Meta.String(keyTemplate)
	}
	if b, err := readBounded(filepath.Join(file.Dir, fileTemplate), configBytesMax); err == nil {
		return string(b), true
	}
	for _, name := range []string{fileConfig, fileTemplates} {
		b, err := readBounded(filepath.Join(file.Dir, name), configBytesMax)
		if err != nil {
			continue
		}
		if source, ok = templateIn(b); ok {
			return source, true
		}
	}
	return "", false
}

// templateIn finds chat_template in a JSON file: a text, or a list of texts with names.
func templateIn(b []byte) (source string, ok bool) {
	var config struct {
		Template json.RawMessage `json:"chat_template"`
	}
	if json.Unmarshal(b, &config) != nil || len(config.Template) == 0 || string(config.Template) == "null" {
		return "", false
	}
	if json.Unmarshal(config.Template, &source) == nil {
		return source, true
	}
	var named []struct{ Name, Template string }
	if json.Unmarshal(config.Template, &named) != nil {
		return "", false
	}
	for _, t := range named {
		if t.Name == "default" {
			return t.Template, true
		}
	}
	return "", false
}

// SpecialStrings gives the special tokens by the names that chat templates use: bos_token, eos_token, unk_token, sep_token,
// pad_token, cls_token and mask_token, those that the model has. The map is the caller's.
func (t *Tokenizer) SpecialStrings() map[string]string { return maps.Clone(t.specials) }

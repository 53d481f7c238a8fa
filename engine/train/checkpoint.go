package train

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A checkpoint is one file: a magic word, the length of a JSON head (uint32, little-endian), the head, then weights, means and
// variances as little-endian float32, then the CRC-32C of everything before. It is written beside its place, synced and renamed
// over it, so that whatever happens there is one whole checkpoint: the old or the new.

const (
	checkpointName  = "checkpoint.weir"
	checkpointMagic = "WEIRCKP1"
	// headMax bounds the head, which holds a few dozen short fields; a longer one is damage.
	headMax = 64 << 10
)

// head says what the arrays are.
type head struct {
	Step   int         `json:"step"`
	Tokens int64       `json:"tokens"`
	Config [][2]string `json:"config"` // identity
}

// identity lists what decides the weights, in the order in which differences are told.
func (c Config) identity() [][2]string {
	var out [][2]string
	add := func(name string, v any) { out = append(out, [2]string{name, fmt.Sprint(v)}) }
	add("vocab", c.Vocab)
	add("dim", c.Dim)
	add("layers", c.Layers)
	add("heads", c.Heads)
	add("kv heads", c.KVHeads)
	add("hidden", c.Hidden)
	add("context", c.Context)
	add("rope theta", c.RopeTheta)
	add("eps", c.Eps)
	add("tied", c.Tied)
	add("data", c.Data)
	add("seed", c.Seed)
	add("steps", c.Steps)
	add("warmup", c.Warmup)
	add("rate", c.Rate)
	add("final", c.Final)
	add("beta1", c.Beta1)
	add("beta2", c.Beta2)
	add("decay", c.Decay)
	add("clip", c.Clip)
	return out
}

// difference names the first setting in which a checkpoint's identity differs from c's, or is empty.
func (c Config) difference(have [][2]string) string {
	for i, w := range c.identity() {
		if i >= len(have) || have[i][0] != w[0] {
			return fmt.Sprintf("it does not say %s, which this run needs", w[0])
		}
		if have[i][1] != w[1] {
			return fmt.Sprintf("it was made with %s %s, this run has %s", w[0], have[i][1], w[1])
		}
	}
	return ""
}

func (t *Trainer) path() string { return filepath.Join(t.cfg.Dir, checkpointName) }

// save writes the checkpoint.
func (t *Trainer) save() (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing the checkpoint of step %d: %w", t.step, err)
		}
	}()
	if err := os.MkdirAll(t.cfg.Dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(t.cfg.Dir, checkpointName+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // nothing is there after the rename
	if err := errors.Join(t.encode(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), t.path()); err != nil {
		return err
	}
	return syncDir(t.cfg.Dir)
}

// syncDir makes a rename last through a power cut. Systems that cannot sync a folder say so with an error that does no harm.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync()
	return d.Close()
}

func (t *Trainer) encode(w io.Writer) error {
	h, err := json.Marshal(head{Step: t.step, Tokens: t.tokens, Config: t.cfg.identity()})
	if err != nil {
		return err
	}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	out := io.MultiWriter(w, sum)
	first := append([]byte(checkpointMagic), binary.LittleEndian.AppendUint32(nil, uint32(len(h)))...)
	if _, err := out.Write(append(first, h...)); err != nil {
		return err
	}
	for _, values := range t.arrays() {
		for from := 0; from < len(values); from += chunkValues {
			if _, err := out.Write(littleEndian(values[from:min(len(values), from+chunkValues)])); err != nil {
				return err
			}
		}
	}
	_, err = w.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32()))
	return err
}

// arrays are what a checkpoint holds, in its order.
func (t *Trainer) arrays() [][]float32 { return [][]float32{t.net.weights, t.opt.mean, t.opt.variance} }

// littleEndian gives the bytes of values as a checkpoint holds them.
func littleEndian(values []float32) []byte {
	out := make([]byte, 0, 4*len(values))
	out, _ = binary.Append(out, binary.LittleEndian, values)
	return out
}

// load reads the checkpoint in the folder; the error of a missing one is os.ErrNotExist.
func (t *Trainer) load() error {
	f, err := os.Open(t.path())
	if err != nil {
		return fmt.Errorf("resuming: %w", err)
	}
	defer f.Close()
	if err := t.decode(f); err != nil {
		return fmt.Errorf("resuming from %s: %w; move it away to begin anew", t.path(), err)
	}
	return nil
}

// decode fills the trainer from a checkpoint. Nothing of the trainer changes unless all of it is right.
func (t *Trainer) decode(r io.Reader) error {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	h, err := t.decodeHead(r, sum)
	if err != nil {
		return err
	}
	arrays := t.arrays()
	fresh := make([][]float32, len(arrays))
	buf := make([]byte, 4*chunkValues)
	for i, values := range arrays {
		fresh[i] = make([]float32, len(values))
		for from := 0; from < len(values); from += chunkValues {
			part := fresh[i][from:min(len(values), from+chunkValues)]
			b := buf[:4*len(part)]
			if _, err := io.ReadFull(r, b); err != nil {
				return fmt.Errorf("the file is cut short: %w", err)
			}
			sum.Write(b)
			if _, err := binary.Decode(b, binary.LittleEndian, part); err != nil {
				return err
			}
		}
	}
	var tail [5]byte
	n, err := io.ReadFull(r, tail[:])
	if !errors.Is(err, io.ErrUnexpectedEOF) || n != 4 {
		return fmt.Errorf("the file ends with %d bytes where its checksum should be 4", n)
	}
	if want := binary.LittleEndian.Uint32(tail[:]); want != sum.Sum32() {
		return fmt.Errorf("the file is damaged: its checksum is %08x, its content gives %08x", want, sum.Sum32())
	}
	for i, values := range arrays {
		copy(values, fresh[i])
	}
	t.step, t.tokens = h.Step, h.Tokens
	return nil
}

func (t *Trainer) decodeHead(r io.Reader, sum hash.Hash32) (head, error) {
	var first [len(checkpointMagic) + 4]byte
	if _, err := io.ReadFull(r, first[:]); err != nil || string(first[:len(checkpointMagic)]) != checkpointMagic {
		return head{}, errors.New("not a checkpoint of weir")
	}
	size := binary.LittleEndian.Uint32(first[len(checkpointMagic):])
	if size > headMax {
		return head{}, fmt.Errorf("its head claims %d bytes; at most %d are possible", size, headMax)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return head{}, fmt.Errorf("the file is cut short in its head: %w", err)
	}
	sum.Write(first[:])
	sum.Write(text)
	var h head
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		return head{}, fmt.Errorf("its head is not readable: %w", err)
	}
	if diff := t.cfg.difference(h.Config); diff != "" {
		return head{}, errors.New(strings.TrimSpace(diff))
	}
	if h.Step < 0 || h.Step > t.cfg.Steps || h.Tokens < 0 {
		return head{}, fmt.Errorf("it claims %d of %d steps and %d tokens", h.Step, t.cfg.Steps, h.Tokens)
	}
	return h, nil
}

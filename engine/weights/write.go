package weights

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/weir-ai/weir/engine/tensor"
)

// KV is one pair of GGUF metadata. Value has one of the types that Meta lists; Go's int is refused, as the file must say a width.
type KV struct {
	Key   string
	Value any
}

// WriteGGUF writes a GGUF file of version 3 with the pairs and tensors in the given order, each tensor aligned to 32 bytes. What it
// writes Open reads back equal. Each tensor must have a supported type, and as many bytes of Data as type and shape make.
func WriteGGUF(w io.Writer, meta []KV, tensors []Tensor) error {
	header, err := encodeHeader(meta, tensors)
	if err != nil {
		return fmt.Errorf("write GGUF: %w", err)
	}
	out := bufio.NewWriter(w)
	out.Write(header) // a bufio.Writer keeps its first error for Flush
	var padding [alignmentDefault]byte
	for _, t := range tensors {
		out.Write(t.Data)
		out.Write(padding[:alignUp(len(t.Data), alignmentDefault)-len(t.Data)])
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write GGUF: %w", err)
	}
	return nil
}

// encodeHeader is everything before the tensors' bytes, padded to the alignment.
func encodeHeader(meta []KV, tensors []Tensor) ([]byte, error) {
	if len(meta) > pairCountMax || len(tensors) > tensorCountMax {
		return nil, fmt.Errorf("%d pairs and %d tensors; at most %d and %d are read", len(meta), len(tensors), pairCountMax, tensorCountMax)
	}
	b := append([]byte(nil), ggufMagic...)
	b = binary.LittleEndian.AppendUint32(b, ggufVersionLast)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(tensors)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(meta)))
	seen := map[string]bool{}
	for _, kv := range meta {
		if kv.Key == "" || len(kv.Key) > keyBytesMax || seen[kv.Key] {
			return nil, fmt.Errorf("metadata key %.100q: a key must have 1 to %d bytes and be there once", kv.Key, keyBytesMax)
		}
		seen[kv.Key] = true
		b = appendString(b, kv.Key)
		var err error
		if b, err = appendValue(b, kv.Value); err != nil {
			return nil, fmt.Errorf("metadata key %q: %w", kv.Key, err)
		}
		if n, ok := (Meta{kv.Key: kv.Value}).Int(alignmentKey); kv.Key == alignmentKey && (!ok || n != alignmentDefault) {
			return nil, fmt.Errorf("%s is %v; files are written with %d", alignmentKey, kv.Value, alignmentDefault)
		}
	}
	clear(seen)
	offset := uint64(0)
	for _, t := range tensors {
		if t.Name == "" || len(t.Name) > nameBytesMax || seen[t.Name] {
			return nil, fmt.Errorf("tensor %.100q: a name must have 1 to %d bytes and be there once", t.Name, nameBytesMax)
		}
		seen[t.Name] = true
		if err := checkTensor(t); err != nil {
			return nil, fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		b = appendString(b, t.Name)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Shape)))
		for i := len(t.Shape) - 1; i >= 0; i-- {
			b = binary.LittleEndian.AppendUint64(b, uint64(t.Shape[i]))
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(t.Type))
		b = binary.LittleEndian.AppendUint64(b, offset)
		offset += uint64(alignUp(len(t.Data), alignmentDefault))
	}
	return append(b, make([]byte, alignUp(len(b), alignmentDefault)-len(b))...), nil
}

// checkTensor checks that type, shape and bytes of a tensor agree.
func checkTensor(t Tensor) error {
	if !t.Type.Supported() {
		return fmt.Errorf("type %s is not written; written are %s", t.Type, tensor.SupportedTypes)
	}
	if len(t.Shape) > ggufDimsMax {
		return fmt.Errorf("shape %v has %d dimensions; at most %d are possible", t.Shape, len(t.Shape), ggufDimsMax)
	}
	n := uint64(1)
	for _, d := range t.Shape {
		high, product := bits.Mul64(n, uint64(d))
		if d < 1 || high != 0 {
			return fmt.Errorf("shape %v is impossible", t.Shape)
		}
		n = product
	}
	block, size := uint64(t.Type.BlockLen()), uint64(t.Type.BlockBytes())
	if inner := t.Shape; block > 1 && (len(inner) == 0 || inner[len(inner)-1]%int(block) != 0) {
		return fmt.Errorf("shape %v: rows do not divide into %s blocks of %d values", t.Shape, t.Type, block)
	}
	if bytes := uint64(len(t.Data)); bytes%size != 0 || bytes/size != n/block {
		return fmt.Errorf("it has %d bytes; shape %v of %s needs %d blocks of %d", bytes, t.Shape, t.Type, n/block, size)
	}
	return nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// appendValue writes a value's type and bytes.
func appendValue(b []byte, value any) ([]byte, error) {
	kind, array, ok := kindOf(value)
	if !ok {
		return nil, fmt.Errorf("values of Go's type %T cannot be written", value)
	}
	if !array {
		b = binary.LittleEndian.AppendUint32(b, kind)
		if s, ok := value.(string); ok {
			return appendString(b, s), nil
		}
		return binary.Append(b, binary.LittleEndian, value)
	}
	b = binary.LittleEndian.AppendUint32(b, kindArray)
	b = binary.LittleEndian.AppendUint32(b, kind)
	if list, ok := value.([]string); ok {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(list)))
		for _, s := range list {
			b = appendString(b, s)
		}
		return b, nil
	}
	size := binary.Size(value)
	if size < 0 {
		return nil, errors.New("the value has no size")
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(size/kindBytes(kind)))
	return binary.Append(b, binary.LittleEndian, value)
}

// kindOf is the GGUF type of a Go value, of a slice that of its elements.
func kindOf(value any) (kind uint32, array, ok bool) {
	switch value.(type) {
	case uint8, []uint8:
		kind = kindUint8
	case int8, []int8:
		kind = kindInt8
	case uint16, []uint16:
		kind = kindUint16
	case int16, []int16:
		kind = kindInt16
	case uint32, []uint32:
		kind = kindUint32
	case int32, []int32:
		kind = kindInt32
	case float32, []float32:
		kind = kindFloat32
	case bool, []bool:
		kind = kindBool
	case string, []string:
		kind = kindString
	case uint64, []uint64:
		kind = kindUint64
	case int64, []int64:
		kind = kindInt64
	case float64, []float64:
		kind = kindFloat64
	default:
		return 0, false, false
	}
	switch value.(type) {
	case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, uint64, int64, float64:
		return kind, false, true
	}
	return kind, true, true
}

package openai

import (
	"bytes"

	"github.com/weir-ai/weir/llm"
)

// What follows walks over JSON that nobody has checked: a remote engine's, whose faults must not become ours. It never reads beyond
// the bytes, and tells false where they are no JSON; it does not find every fault, because what it passes over goes on as it is.

// each calls do for the members of the object that begins at i, until one returns false.
func each(b []byte, i int, do func(key []byte, m llm.Field) bool) bool {
	for i = spaces(b, i+1); i < len(b); i = spaces(b, i+1) {
		if b[i] == '}' {
			return true
		}
		m := llm.Field{From: i}
		end := pastText(b, i)
		if end < 0 {
			return false
		}
		key := b[i+1 : end-1]
		if i = spaces(b, end); i >= len(b) || b[i] != ':' {
			return false
		}
		m.Value = spaces(b, i+1)
		if m.To = past(b, m.Value); m.To < 0 || !do(key, m) {
			return false
		}
		if i = spaces(b, m.To); i >= len(b) || b[i] != ',' {
			return i < len(b) && b[i] == '}'
		}
	}
	return false
}

// items calls do with the beginning and the end of each value of the list that begins at i, until one returns false.
func items(b []byte, i int, do func(from, to int) bool) bool {
	for i = spaces(b, i+1); i < len(b); i = spaces(b, i+1) {
		if b[i] == ']' {
			return true
		}
		to := past(b, i)
		if to < 0 || !do(i, to) {
			return false
		}
		if i = spaces(b, to); i >= len(b) || b[i] != ',' {
			return i < len(b) && b[i] == ']'
		}
	}
	return false
}

func spaces(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

// past is the place behind the value that begins at i, -1 where it has no end.
func past(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return pastText(b, i)
	case '{', '[':
		return pastNest(b, i)
	}
	start := i
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && !isSpace(b[i]) {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

func pastNest(b []byte, i int) int {
	for depth := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			if i = pastText(b, i); i < 0 {
				return -1
			}
			i--
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

func pastText(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	for i++; i < len(b); {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		back := 0
		for back < n && b[i+n-1-back] == '\\' {
			back++
		}
		if i += n + 1; back%2 == 0 {
			return i
		}
	}
	return -1
}

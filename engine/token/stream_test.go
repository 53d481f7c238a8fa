package token

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppendLossyReplacesAsPythonDoes(t *testing.T) {
	t.Parallel()
	f := func(in, want string) {
		t.Helper()
		if got := string(appendLossy(nil, []byte(in))); got != want {
			t.Errorf("%x: %q, want %q", in, got, want)
		}
	}
	// Each expected value is what bytes.decode("utf-8", errors="replace") of Python 3.12 gives.
	f("abc", "abc")
	f("\xff", "\ufffd")
	f("\x80\x80", "\ufffd\ufffd")
	f("a\xe4\xb8", "a\ufffd")
	f("\xe4\xb8x", "\ufffdx")
	f("\xe4\xb8\xe4\xb8\xad", "\ufffd中")
	f("\xf0\x9f\x98", "\ufffd")
	f("\xf0\x9f\x98\xf0\x9f\x98\x80", "\ufffd😀")
	f("\xc0\x80", "\ufffd\ufffd")
	f("\xe0\x80\x80", "\ufffd\ufffd\ufffd")
	f("\xed\xa0\x80", "\ufffd\ufffd\ufffd")
	f("\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd")
	f("\xf5\x80", "\ufffd\ufffd")
	f("\xc3", "\ufffd")
	f("\ufffd", "\ufffd")
}

func TestStreamGivesWholeCharacters(t *testing.T) {
	t.Parallel()
	tok := trained(t, 270)
	f := func(text string) {
		t.Helper()
		ids := tok.Encode(text, false, false)
		var got strings.Builder
		s := tok.Stream()
		for _, id := range ids {
			part := s.Push(id)
			if !utf8.ValidString(part) {
				t.Errorf("%q: part %q is broken", text, part)
			}
			if utf8.ValidString(text) && !strings.Contains(text, "\ufffd") && strings.Contains(part, "\ufffd") {
				t.Errorf("%q: part %q has a replacement that was not needed", text, part)
			}
			got.WriteString(part)
		}
		got.WriteString(s.Flush())
		if want := tok.Decode(ids, false); got.String() != want {
			t.Errorf("%q: streamed %q, decoded %q", text, got.String(), want)
		}
	}
	f("")
	f("plain")
	f("naïve 中文 😀👨‍👩‍👧‍👦 end")
	f("broken \xe4\xb8 \xf0\x9f\x98")
	f("\xf0\x9f\x98\xf0\x9f\x98\x80\xff\xc3")
	f("😀\xed\xa0\x80\xc3\xa9")
}

func TestStreamLeavesSpecialTokensOut(t *testing.T) {
	t.Parallel()
	tok := trained(t, 270)
	s, kept := tok.Stream(), tok.Stream()
	kept.KeepSpecial = true
	var a, b string
	for _, id := range tok.Encode("hi<|im_end|>", false, true) {
		a += s.Push(id)
		b += kept.Push(id)
	}
	if a != "hi" || b != "hi<|im_end|>" {
		t.Errorf("%q and %q", a, b)
	}
	if got := s.Push(99999); got != "" {
		t.Errorf("an id outside the vocabulary gave %q", got)
	}
}

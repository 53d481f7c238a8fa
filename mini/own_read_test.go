package mini

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func conversationsOf(t testing.TB, text string) *Conversations {
	t.Helper()
	c, err := ReadConversations(strings.NewReader(text), "talk.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pings are n lines of a trivial generator.
func pings(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"messages":[{"role":"user","content":"ping %d"},{"role":"assistant","content":"pong %d"}]}`+"\n", i, i)
	}
	return b.String()
}

func TestReadConversationsTakesEveryForm(t *testing.T) {
	t.Parallel()
	text := "\ufeff" + `{"messages":[{"role":"user","content":" hi\n"},{"role":"assistant","content":"Hello.\u001f"}]}` + "\r\n\n \t\n" +
		`{"tools":[],"messages":[{"role":"system","content":"Be brief."},{"role":"user","name":"Ada","weight":0,"content":[{"type":"text","text":"one "},{"type":"text","text":" two"}]},` +
		`{"role":"assistant","content":"2","weight":0},{"role":"user","content":"and \u00fc?"},{"role":"assistant","content":"3","weight":1.0}]}` + "\n" +
		` { "messages" : [ {"role":"developer","content":"x"}, {"role":"user","content":"y"}, {"content":"z","role":"assistant","weight":null,"refusal":null} ] } `
	got := conversationsOf(t, text)
	want := []talk{
		{line: 1, turns: []turn{{"hi", "Hello.", true}}},
		{line: 4, system: "Be brief.", turns: []turn{{"onetwo", "2", false}, {"and ü?", "3", true}}},
		{line: 5, system: "x", turns: []turn{{"y", "z", true}}},
	}
	if !reflect.DeepEqual(got.list, want) {
		t.Errorf("got  %+v\nwant %+v", got.list, want)
	}
	if got.Len() != 3 {
		t.Errorf("%d conversations", got.Len())
	}
}

func TestConversationsKnowTheirContent(t *testing.T) {
	t.Parallel()
	text := pings(2)
	// sha256sum of the two lines.
	if got, want := conversationsOf(t, text).Hash(), "dd2af0d2ada3c10612dd6c42856d227aabf7912e79289500684e5c5ad3b7cc4e"; got != want {
		t.Errorf("the hash is %s, want %s", got, want)
	}
	if conversationsOf(t, text).Hash() == conversationsOf(t, text+"\n").Hash() {
		t.Error("other content has the same hash")
	}
}

func TestReadConversationsNamesEveryFault(t *testing.T) {
	t.Parallel()
	const user, assistant = `{"role":"user","content":"q"}`, `{"role":"assistant","content":"a"}`
	refused := func(line string, words ...string) {
		t.Helper()
		_, err := ReadConversations(strings.NewReader(pings(1)+line), "talk.jsonl")
		if err == nil {
			t.Errorf("%s was taken", line)
			return
		}
		for _, word := range append(words, "talk.jsonl, line 2: ") {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: error %q does not say %q", line, err, word)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: one fault is told as several: %v", line, err)
		}
	}
	messages := func(list ...string) string { return `{"messages":[` + strings.Join(list, ",") + `]}` }
	refused("{", "{ is not a JSON object", "one whole conversation a line")
	refused("[]", "[] is not a JSON object", "one whole conversation a line")
	refused("\x1b[31mhi", "?[31mhi is not a JSON object")
	refused(messages(user, assistant)+"{}", "not a JSON object")
	refused("\xff\xfe{\x00", "not UTF-8")
	refused("null", "messages is missing in null")
	refused(`{"Messages":[`+user+`,`+assistant+`]}`, "messages is missing")
	refused(`{"prompt":"ping","completion":"pong"}`, `messages is missing in {"prompt":"ping"`)
	refused(`{"messages":{}}`, "messages is {}", "make it a list")
	refused(messages(), "messages is []", "make it a list")
	refused(messages(user, "null"), "messages[1] is null", "make it an object")
	refused(messages(user, `"a"`), `messages[1] is "a"`, "make it an object")
	refused(messages(user, `{"role":"tool","content":"a"}`), `messages[1].role is "tool"`, "one of system, developer, user and assistant")
	refused(messages(`{"content":"a"}`), "messages[0].role is missing")
	refused(messages(`{"role":7,"content":"a"}`), "messages[0].role is 7")
	refused(messages(user, `{"role":"assistant","tool_calls":[]}`), "messages[1].content is missing", "a text or a list of text parts")
	refused(messages(user, `{"role":"assistant","content":null}`), "messages[1].content is null")
	refused(messages(user, `{"role":"assistant","content":" \n"}`), `messages[1].content is " \n"`, "leave the message out")
	refused(messages(user, `{"role":"assistant","content":[]}`), "messages[1].content is []", "leave the message out")
	refused(messages(`{"role":"user","content":[{"type":"image_url","text":"x"}]}`), `messages[0].content[0] is {"type":"image_url"`, "only text")
	refused(messages(`{"role":"user","content":[{"type":"text"}]}`), "messages[0].content[0] is", "only text")
	refused(messages(`{"role":"user","content":["x"]}`), `messages[0].content[0] is "x"`, "only text")
	refused(messages(user, `{"role":"assistant","content":[{"type":"text","text":"<|en"},{"type":"text","text":"d|>"}]}`), "messages[1].content holds <|end|>", "another way")
	refused(messages(user, `{"role":"assistant","content":"a","weight":0.5}`), "messages[1].weight is 0.5", "0 (not counted in the loss) or 1")
	refused(messages(user, `{"role":"assistant","content":"a","weight":"0"}`), `messages[1].weight is "0"`)
	refused(messages(user, `{"role":"assistant","content":"a","weight":0}`), "only assistant messages of weight 0", "weight 1")
	refused(messages(assistant), "messages[0].role is assistant", "begins with a user's")
	refused(messages(`{"role":"system","content":"s"}`, assistant), "messages[1].role is assistant", "begins with a user's")
	refused(messages(`{"role":"system","content":"s"}`), "messages[0].role is system and it is the last", "end with an assistant's")
	refused(messages(user), "messages[0].role is user and it is the last", "end with an assistant's")
	refused(messages(user, assistant, user), "messages[2].role is user and it is the last", "end with an assistant's")
	refused(messages(user, user, assistant), "messages[1].role is user", "take turns")
	refused(messages(user, assistant, assistant), "messages[2].role is assistant", "take turns")
	refused(messages(user, assistant, `{"role":"developer","content":"s"}`, user, assistant), "messages[2].role is system or developer", "stand first")
	refused(`["`+strings.Repeat("ä", 50)+`"]`, `["`+strings.Repeat("ä", 29)+"... is not", "not a JSON object")
}

func TestReadConversationsTellsTenFaults(t *testing.T) {
	t.Parallel()
	told := func(lines int) []string {
		_, err := ReadConversations(strings.NewReader(strings.Repeat("x\n", lines)), "talk.jsonl")
		if err == nil {
			t.Fatal("nonsense was taken")
		}
		return strings.Split(err.Error(), "\n")
	}
	if got := told(ownFaultsMax - 1); len(got) != ownFaultsMax-1 || !strings.Contains(got[8], "line 9:") {
		t.Errorf("nine faults: %q", got)
	}
	for _, lines := range []int{ownFaultsMax, 1000} {
		if got := told(lines); len(got) != ownFaultsMax+1 || !strings.Contains(got[9], "line 10:") || !strings.Contains(got[10], "may be more") {
			t.Errorf("%d faults: %q", lines, got)
		}
	}
	// One message may have several, and so may one line.
	_, err := ReadConversations(strings.NewReader(`{"messages":[{"role":"x"},{"role":"y"}]}`), "talk.jsonl")
	if got := strings.Count(err.Error(), "line 1:"); got != 4 {
		t.Errorf("%d faults of four: %v", got, err)
	}
}

func TestReadConversationsIsBounded(t *testing.T) {
	t.Parallel()
	const longest = ownLineMax
	text := pings(3)
	roomy := ownBounds{bytes: 1 << 20, line: 200, conversations: 100}
	check := func(text string, most ownBounds, words string) {
		t.Helper()
		c, err := readConversations(strings.NewReader(text), "talk.jsonl", most)
		switch {
		case words == "" && (err != nil || c.Len() != strings.Count(strings.TrimSpace(text), "\n")+1):
			t.Errorf("%+v: %v", most, err)
		case words != "" && (err == nil || !strings.Contains(err.Error(), words)):
			t.Errorf("%+v: error %v, want %q", most, err, words)
		}
	}
	check(text, roomy, "")
	bounds := roomy
	bounds.bytes = int64(len(text))
	check(text, bounds, "")
	check(text+"\n", bounds, fmt.Sprintf("line 4: here the file passes %d bytes", len(text)))
	bounds = roomy
	bounds.conversations = 3
	check(text, bounds, "")
	check(text+"\n\n", bounds, "")
	check(pings(4), bounds, "line 4: it is conversation 4; at most 3 are taken")
	bounds = roomy
	bounds.line = len(text)/3 - 1
	check(text, bounds, "")
	check(strings.TrimSpace(text), bounds, "")
	bounds.line--
	check(pings(1), bounds, fmt.Sprintf("line 1: it has more than %d bytes", bounds.line))
	check(strings.TrimSpace(pings(1)), bounds, "line 1: it has more than")
	check(strings.Repeat("x", 10*bounds.line)+"\nx\n", bounds, "line 2: x is not")

	// The published bound of a line, with and without an end.
	line := strings.TrimSpace(pings(1))
	line += strings.Repeat(" ", longest-len(line))
	for _, end := range []string{"", "\n"} {
		if _, err := ReadConversations(strings.NewReader(line+end), "talk.jsonl"); err != nil {
			t.Errorf("the longest line: %v", err)
		}
		if _, err := ReadConversations(strings.NewReader(line+" "+end), "talk.jsonl"); err == nil || !strings.Contains(err.Error(), "more than 1048576 bytes") {
			t.Errorf("a line that is too long by one: %v", err)
		}
	}
}

func TestReadConversationsNeedsSome(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n\n", "\ufeff"} {
		if _, err := ReadConversations(strings.NewReader(text), "talk.jsonl"); err == nil || !strings.Contains(err.Error(), "talk.jsonl holds no conversation") {
			t.Errorf("%q: %v", text, err)
		}
	}
	broken := errors.New("broken")
	_, err := ReadConversations(io.MultiReader(strings.NewReader(pings(2)+"{"), iotest.ErrReader(broken)), "talk.jsonl")
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "talk.jsonl, line 3") {
		t.Errorf("a broken reader gives %v", err)
	}
	if _, _, err := NewOwnTrainer(TrainOptions{}, &Conversations{}); err == nil || !strings.Contains(err.Error(), "no conversations") {
		t.Errorf("training on nothing: %v", err)
	}
}

func FuzzReadConversations(f *testing.F) {
	most := ownBounds{bytes: 64 << 10, line: 4 << 10, conversations: 100} // small ones, which it also reaches
	f.Add([]byte(pings(2)))
	f.Add([]byte(`{"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"q"}]},{"role":"assistant","content":"a","weight":0},{"role":"user","content":"r"},{"role":"assistant","content":"b"}]}`))
	f.Add([]byte("\ufeff\n{\"messages\":[]}\r\nnull\n[1]\n\xff"))
	f.Add([]byte(`{"messages":[{"role":"user","content":"<|end|>\ud800"}],"messages":[{"content":"q"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := readConversations(bytes.NewReader(text), "x", most)
		if err != nil {
			if c != nil || len(err.Error()) > 20_000 {
				t.Fatalf("with the error %v", err)
			}
			return
		}
		if c.Len() == 0 || c.Len() > most.conversations || len(c.Hash()) != 64 {
			t.Fatalf("%+v", c)
		}
		for _, talk := range c.list {
			counts := false
			for _, u := range talk.turns {
				counts = counts || u.counts
				if u.user == "" || u.assistant == "" || u.user != trimmed(u.user) || strings.Contains(u.assistant, markEnd) {
					t.Fatalf("turn %+v", u)
				}
			}
			if !counts {
				t.Fatalf("nothing counts in %+v", talk)
			}
		}
		if len(c.Questions()) == 0 {
			t.Fatal("no question")
		}
	})
}

package workload

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/internal/testdata"
)

func TestReadMooncake(t *testing.T) {
	t.Parallel()
	rs, err := ReadMooncake(strings.NewReader(`{"timestamp": 2000, "input_length": 700, "output_length": 0, "hash_ids": [0, 5]}
{"timestamp": 1000.5, "input_length": 3, "output_length": 9, "hash_ids": [0]}`))
	if err != nil || len(rs) != 2 || rs[0].At != 1000500*time.Microsecond || rs[1].Prompt != 700 || rs[1].Output != 1 ||
		!slices.Equal(rs[1].Blocks, []uint64{0, 5}) || rs[1].Block != MooncakeBlock {
		t.Fatalf("%+v, %v", rs, err)
	}
	for _, bad := range []string{"{", `{"timestamp": 1, "input_length": 0, "output_length": 1}`, "{\"timestamp\": 1, \"input_length\": 1, \"output_length\": 1}\n[]"} {
		if _, err := ReadMooncake(strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestReadAzure(t *testing.T) {
	t.Parallel()
	const head = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
	rs, err := ReadAzure(strings.NewReader(head + "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,0\n"))
	if err != nil || len(rs) != 2 || rs[0].At != 0 || rs[1].At != 4314579*time.Microsecond || rs[0].Prompt != 374 || rs[1].Output != 1 {
		t.Fatalf("%+v, %v", rs, err)
	}
	for _, bad := range []string{"yesterday,1,1\n", "2023-11-16 18:15:46.6805900,x,1\n", "2023-11-16 18:15:46.6805900,1,x\n"} {
		if _, err := ReadAzure(strings.NewReader(head + bad)); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestReadKnowsTheKindByTheFirstBytes(t *testing.T) {
	t.Parallel()
	check := func(text string, want ...Request) {
		t.Helper()
		rs, err := Read(strings.NewReader(text), "", Span{}, 1)
		if err != nil || len(rs) != len(want) {
			t.Fatalf("%q: %+v, %v", text, rs, err)
		}
		for i, r := range rs {
			if fmt.Sprint(r) != fmt.Sprint(want[i]) {
				t.Errorf("%q: %+v, want %+v", text, r, want[i])
			}
		}
	}
	check("req_time_s,client,prompt_len,output_len\n0.0,13,13,199\n0.5,2,36,137\n",
		Request{Prompt: 13, Output: 199, Tenant: "13"}, Request{At: 500 * time.Millisecond, Prompt: 36, Output: 137, Tenant: "2"})
	check("timestamp_ms,prompt_length,output_length\n6011,178,8\n", Request{At: 6011 * time.Millisecond, Prompt: 178, Output: 8})
	check("\ufeffprompt,output,at,class\r\n5,6,2,batch\r\n", Request{At: 2 * time.Second, Prompt: 5, Output: 6, Class: "batch"})
	check("at_ms,prompt,output,tenant,session\n7,5,0,acme,s1\n", Request{At: 7 * time.Millisecond, Prompt: 5, Output: 1, Tenant: "acme", Session: "s1"})
	check(`{"at": 1.5, "prompt": 9, "output": 2, "tenant": "a", "class": "batch", "blocks": [7, 8], "block": 4}`+"\n\n",
		Request{At: 1500 * time.Millisecond, Prompt: 9, Output: 2, Tenant: "a", Class: "batch", Blocks: []uint64{7, 8}, Block: 4})
}

func TestReadNamesLineFieldAndFix(t *testing.T) {
	t.Parallel()
	check := func(kind, text string, words ...string) {
		t.Helper()
		_, err := Read(strings.NewReader(text), kind, Span{}, 1)
		for _, w := range words {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%q: %v, without %q", text, err, w)
			}
		}
	}
	check("", "hello", "no known kind", "at,prompt,output")
	check("", "", "no known kind")
	check("parquet", "x", `"parquet"`, "mooncake")
	check("csv", "at,prompt\n1,2\n", "line 1", "output")
	check("csv", "at,prompt,output\n", "without a request")
	check("csv", "at,prompt,output\n1,2,3\n-1,2,3\n", "line 3", "at is", `"-1"`)
	check("csv", "at,prompt,output\n1,2.5,3\n", "line 2", "prompt is", "whole number")
	check("csv", fmt.Sprintf("at,prompt,output\n1,2,%d\n", TokensMax+1), "line 2", "output is")
	check("csv", "at,prompt,output,tenant\n1,2,3,"+strings.Repeat("t", NameMax+1)+"\n", "line 2", "tenant has 129 bytes")
	check("csv", "at,prompt,output\n1,2\n", "line 2", "output is")
	check("jsonl", `{"prompt": 1, "output": 1}`, "line 1", "at is missing")
	check("jsonl", `{"at": 1, "prompt": 1, "output": 1, "blocks": [1]}`, "line 1", "block is 0")
	check("jsonl", `{"at": 1, "prompt": 1, "output": 1}`+"\n"+`{"at": 1, "prompt": 1, "output": 1, "session": "`+strings.Repeat("s", lineMax)+`"}`, "line 2", "bytes at most")
	check("servegen", "no archive", "gzip", "tar.gz")
	if _, err := Read(strings.NewReader(fmt.Sprintf("at,prompt,output,tenant\n1,%d,0,%s\n", TokensMax, strings.Repeat("t", NameMax))), "csv", Span{}, 1); err != nil {
		t.Errorf("at the bounds: %v", err)
	}
}

func TestReadCutsASpan(t *testing.T) {
	t.Parallel()
	const text = "at,prompt,output\n9,4,1\n1,1,1\n2,2,1\n5,3,1\n"
	check := func(from, length time.Duration, want ...int) {
		t.Helper()
		rs, err := Read(strings.NewReader(text), "", Span{From: from, For: length}, 1)
		var got []int
		for _, r := range rs {
			got = append(got, r.Prompt)
		}
		if !slices.Equal(got, want) || (err != nil) != (len(want) == 0) {
			t.Errorf("from %s for %s: %v, %v", from, length, got, err)
		}
		if len(rs) > 0 && (rs[0].At < 0 || length > 0 && rs[len(rs)-1].At >= length) {
			t.Errorf("from %s for %s: times %s to %s", from, length, rs[0].At, rs[len(rs)-1].At)
		}
	}
	check(0, 0, 1, 2, 3, 4)
	check(2*time.Second, 3*time.Second, 2)
	check(2*time.Second, 4*time.Second, 2, 3)
	check(9*time.Second, 0, 4)
	check(10*time.Second, 0)
}

// archive packs files as ServeGen does.
func archive(t *testing.T, files map[string]string) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: "m/" + name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if w.Close() != nil || z.Close() != nil {
		t.Fatal("an archive cannot be closed")
	}
	return &out
}

func TestReadServeGen(t *testing.T) {
	t.Parallel()
	const lengths = `{"0": {"input_tokens": "{45: 0.5, 46: 0.5, 99: 0.0}", "output_tokens": "{7: 1.0}"}, "600": {"input_tokens": "{50: 1.0}", "output_tokens": "{8: 1.0}"}}`
	files := map[string]string{
		"chunk-3-trace.csv": "0,2,1,Gamma,1,0.5\n600,1,0.9,Weibull,1.3,9\n1200,0,0,,0,0\n", "chunk-3-dataset.json": lengths,
		"chunk-12-trace.csv": "0,0,0,,0,0\n600,3,1,,0,0\n", "chunk-12-dataset.json": lengths, "README": "no client",
	}
	rs, err := Read(archive(t, files), "", Span{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, r := range rs {
		window := r.At / (10 * time.Minute)
		count[fmt.Sprint(r.Tenant, "@", int(window))]++
		if window == 0 && (r.Prompt != 45 && r.Prompt != 46 || r.Output != 7) || window == 1 && (r.Prompt != 50 || r.Output != 8) {
			t.Fatalf("%+v", r)
		}
	}
	for key, want := range map[string]int{"3@0": 1200, "3@1": 600, "12@1": 1800} { // five standard deviations of a Poisson process
		if got := count[key]; got < want-250 || got > want+250 {
			t.Errorf("%s: %d requests, want about %d", key, got, want)
		}
	}
	if len(count) != 3 || !slices.IsSortedFunc(rs, func(a, b Request) int { return int(a.At - b.At) }) {
		t.Errorf("%v", count)
	}
	again, _ := Read(archive(t, files), "servegen", Span{}, 1)
	if fmt.Sprint(again) != fmt.Sprint(rs) {
		t.Error("the same seed gave another day")
	}
	part, err := Read(archive(t, files), "servegen", Span{From: 600 * time.Second, For: 60 * time.Second}, 1)
	if err != nil || len(part) < 150 || len(part) > 350 || part[len(part)-1].At >= time.Minute {
		t.Errorf("a minute of it: %d, %v", len(part), err)
	}
	for name, text := range map[string]string{"chunk-1-trace.csv": "0,1,1,Pareto,1,1\n", "chunk-1-dataset.json": `{"0": {"input_tokens": "{x: 1}"}}`} {
		if _, err := Read(archive(t, map[string]string{name: text}), "", Span{}, 1); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPublicTraces(t *testing.T) {
	t.Parallel()
	check := func(name string, span Span, requests, tenants int) {
		t.Helper()
		f, err := os.Open(testdata.Path(t, "traces/"+name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		rs, err := Read(f, "", span, 1)
		if err != nil {
			t.Fatal(err)
		}
		who := map[string]bool{}
		for _, r := range rs {
			who[r.Tenant] = true
		}
		if len(rs) < requests*95/100 || len(rs) > requests*105/100 || len(who) != tenants {
			t.Errorf("%s: %d requests of %d tenants, want %d of %d", name, len(rs), len(who), requests, tenants)
		}
	}
	check("azure-2023/AzureLLMInferenceTrace_conv.csv", Span{}, 19366, 1)
	check("mooncake-fast25/conversation_trace.jsonl", Span{}, 12031, 1)
	check("vtc-osdi24/vtc_real_trace.csv", Span{}, 1500, 27)
	check("aibrix-workloads/8min_up_and_down.lengths.csv", Span{}, 2026, 1)
	check("servegen/reason-deepseek-r1.tar.gz", Span{From: 10 * time.Hour, For: time.Hour}, serveGenHour, serveGenHourTenants)
	rs, err := ReadMooncake(bytes.NewReader(testdata.Bytes(t, "traces/mooncake-fast25/conversation_trace.jsonl")))
	if err != nil || Distinct(rs) != 182790 {
		t.Errorf("%d distinct blocks, %v", Distinct(rs), err)
	}
}

// What an hour of ServeGen's deepseek-r1 from ten o'clock holds: the rates in its files over that hour, summed, and who has one above 0.
const (
	serveGenHour        = 46710
	serveGenHourTenants = 26
)

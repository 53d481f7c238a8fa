package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheFileOfEndpointsIsRead(t *testing.T) {
	t.Parallel()
	check := func(text, want string) {
		t.Helper()
		list, err := parseTargets("chat", []byte(text))
		got := ""
		for _, l := range list {
			got += fmt.Sprintf("%s %s %g; ", l.Name, l.URL, l.Weight)
		}
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.80q\n got %q\nwant %q", text, got, want)
		}
	}
	a, b := "chat-411e6aed http://a:1/v1 1; ", "left http://b:2/v1 0.5; "
	check("", "")
	check("# nobody\n\n   # at all\n", "")
	check("[]", "")
	check("http://a:1/v1\nhttp://b:2/v1 weight=0.5 name=left", a+b)
	check("\ufeff http://a:1/v1/ # the slow one\r\n\r\n\thttp://b:2/v1\tname=left   weight=0.5 #name=right\r\n", a+b)
	check(`[{"url": "http://a:1/v1"}, {"url": "http://b:2/v1", "weight": 0.5, "name": "left"}]`, a+b)
	check("http://b:2/v1\nhttp://a:1/v1 name=chat-85b0fbf4", "chat-85b0fbf4f7009cbd http://b:2/v1 1; chat-85b0fbf4 http://a:1/v1 1; ")

	check("http://a\nb:80", "line 2: a URL must begin with http:// or https://, such as http://10.0.0.7:8000/v1")
	check("http://a wieght=2", `line 1: "wieght=2" is not known; behind the URL stand weight=NUMBER and name=NAME`)
	check("http://a http://b", `line 1: "http://b" is not known; behind the URL stand weight=NUMBER and name=NAME`)
	check("http://a weight=much", `line 1: weight "much" is not a number`)
	check("http://a weight=0", "line 1: weight 0 is out of range; it is above 0 and at most 1000")
	check("http://a weight=1000.5", "line 1: weight 1000.5 is out of range; it is above 0 and at most 1000")
	check("http://a weight=NaN", "line 1: weight NaN is out of range; it is above 0 and at most 1000")
	check("http://a weight=1 weight=2", "line 1: weight is empty or said twice; write it once")
	check("http://a name=", "line 1: name is empty or said twice; write it once")
	check("\nhttp://a name=10.0.0.7", `line 2: name "10.0.0.7" is an address; clients read names, so give it another or leave it out`)
	check("http://a name=a:80", `line 1: name "a:80" has ':'; letters, digits and -_. are allowed`)
	check("http://a name=x\nhttp://b name=x", `line 2: the name "x" is that of line 1; give it another`)
	check("http://a\nhttp://b\nhttp://a/", "line 3: the URL is that of line 1; keep one")
	check(`[{"url": "http://a"}, {"url": "http://a"}]`, "entry 2: the URL is that of entry 1; keep one")
	check(`[null]`, "entry 1: a URL must begin with http:// or https://, such as http://10.0.0.7:8000/v1")
	check(`[] []`, "something follows the closing bracket; remove it")
	const form = `; it is written [{"url": "http://HOST:PORT/v1", "weight": 1, "name": "a"}]`
	check("[\n{\"url\": \"http://a\", \"wieght\": 2}]", `near line 2: json: unknown field "wieght"`+form)
	check("[", "near line 1: unexpected EOF"+form)
}

func TestTheFileOfEndpointsIsBounded(t *testing.T) {
	t.Parallel()
	check := func(text, want string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "endpoints")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := NewFile("chat", path)
		if err != nil {
			t.Fatal(err)
		}
		list, err := f.Find(t.Context())
		if want == "" && (err != nil || len(list) == 0) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d endpoints and %v, want %q", len(list), err, want)
		}
	}
	lines := func(n int) string {
		var b strings.Builder
		for i := range n { // each as long as may be
			url := fmt.Sprintf("http://a/%d/", i)
			fmt.Fprintf(&b, "%s%s weight=0.123456 name=%0*d\n", url, strings.Repeat("p", targetURLMax-len(url)), fileNameMax, i)
		}
		return b.String()
	}
	check(lines(targetsMax), "")
	check(lines(targetsMax+1), "it lists 1025 endpoints; 1024 at most")
	one := "http://a\n#"
	check(one+strings.Repeat(" ", fileBytesMax-len(one)), "")
	check(one+strings.Repeat(" ", fileBytesMax-len(one)+1), "has 1048577 bytes; 1048576 at most")
	check("http://a name="+strings.Repeat("n", fileNameMax+1), "is longer than 64 bytes")
}

func TestTheFileOfEndpointsMustBeAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := NewFile("chat", dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Find(t.Context()); err == nil || !strings.Contains(err.Error(), "is no regular file") {
		t.Errorf("a folder gives %v", err)
	}
	if _, err := NewFile("chat", ""); err == nil {
		t.Error("no path was taken")
	}
	if _, err := NewFile("a b", dir); err == nil {
		t.Error("a name that no header takes was taken")
	}
}

// watchedFile is a file under a Discovery in virtual time. Each write has another size, because the file system's clock is the real
// one and two writes may fall into one of its ticks.
type watchedFile struct {
	t    *testing.T
	path string
	log  *diary
}

func (w *watchedFile) write(text string) {
	w.t.Helper()
	if err := os.WriteFile(w.path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watchedFile) wants(d time.Duration, want string) {
	w.t.Helper()
	after(d)
	if got := strings.ReplaceAll(w.log.told(), w.path, "FILE"); got != want {
		w.t.Errorf("told %q, want %q", got, want)
	}
}

// withFile runs do in virtual time with a watched file whose text is text; none where that is empty.
func withFile(t *testing.T, text string, do func(*testing.T, *watchedFile)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "endpoints")
	synctest.Test(t, func(t *testing.T) {
		w := &watchedFile{t: t, path: path, log: &diary{}}
		if text != "" {
			w.write(text)
		}
		f, err := NewFile("chat", path)
		if err != nil {
			t.Fatal(err)
		}
		d := Discover(f, w.log.options())
		defer d.Stop()
		do(t, w)
	})
}

const twoLooks = 2*fileEvery + fileEvery/2

func TestTheFileOfEndpointsIsFollowed(t *testing.T) {
	t.Parallel()
	withFile(t, "http://a name=a\n", func(t *testing.T, w *watchedFile) {
		w.wants(0, "found a")
		w.wants(time.Minute, "")
		w.write("http://a name=a\nhttp://b name=b\n")
		w.wants(twoLooks, "found a b")
		w.write("http://a name=a nmae=b\n")
		w.wants(twoLooks, `failed file of endpoints: "FILE": line 1: "nmae=b" is not known; behind the URL stand weight=NUMBER and name=NAME`)
		w.write("http://a name=a # mended\nhttp://b name=b\n")
		w.wants(twoLooks, "recovered")
		if err := os.Remove(w.path); err != nil {
			t.Fatal(err)
		}
		w.wants(twoLooks, "failed file of endpoints: stat FILE: no such file or directory")
		w.write("# nobody\n")
		w.wants(twoLooks, "recovered; found")
	})
}

func TestTheFileOfEndpointsMayComeLater(t *testing.T) {
	t.Parallel()
	withFile(t, "", func(t *testing.T, w *watchedFile) {
		w.wants(time.Minute, "failed file of endpoints: stat FILE: no such file or directory")
		w.write("http://a name=a\n")
		w.wants(twoLooks, "recovered; found a")
	})
}

func TestAFileThatIsBeingWrittenIsNotRead(t *testing.T) {
	t.Parallel()
	withFile(t, "http://a name=a\n", func(t *testing.T, w *watchedFile) {
		w.wants(0, "found a")
		text := ""
		for i := range 30 { // a slow writer, seen at every look in another state: empty first, then half a line
			w.write(text)
			text += "http://x"[i%8 : i%8+1]
			w.wants(fileEvery/2, "")
		}
		w.write("http://a name=a\nhttp://b name=b\n")
		w.wants(twoLooks, "found a b")
	})
}

func TestAFileBehindAnExchangedSymlinkIsSeen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(t *testing.T, folder, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, folder, "endpoints")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Unix(1e9, 0)); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		// As Kubernetes lays out a ConfigMap: the file's path leads through ..data, which is exchanged. Size and time are the same.
		write(t, "..one", "http://a name=a\n")
		write(t, "..two", "http://b name=b\n")
		link := func(name, to string) {
			t.Helper()
			if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		link("..data", "..one")
		link("endpoints", filepath.Join("..data", "endpoints"))
		w := &watchedFile{t: t, path: filepath.Join(dir, "endpoints"), log: &diary{}}
		f, err := NewFile("chat", w.path)
		if err != nil {
			t.Fatal(err)
		}
		d := Discover(f, w.log.options())
		defer d.Stop()
		w.wants(0, "found a")
		link("..next", "..two")
		if err := os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
		w.wants(twoLooks, "found b")
	})
}

func TestAFileThatComesBackAsItWasIsReadAgain(t *testing.T) {
	t.Parallel()
	withFile(t, "http://a name=a\n", func(t *testing.T, w *watchedFile) {
		w.wants(0, "found a")
		if err := os.Rename(w.path, w.path+".away"); err != nil {
			t.Fatal(err)
		}
		w.wants(twoLooks, "failed file of endpoints: stat FILE: no such file or directory")
		if err := os.Rename(w.path+".away", w.path); err != nil {
			t.Fatal(err)
		}
		w.wants(twoLooks, "recovered")
	})
}

func FuzzTargets(f *testing.F) {
	seeds := []string{"", "http://a:1/v1 weight=0.5 name=x # c\n", `[{"url":"http://a","weight":2,"name":"b"}]`, "[", "\ufeff#", "http://[::1%25lo]:1"}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseTargets("chat", []byte(text))
		if err != nil {
			if list != nil {
				t.Errorf("both a list and %v", err)
			}
			return
		}
		if err := checkTargets(list); err != nil {
			t.Errorf("%q was read and is refused: %v", text, err)
		}
		for _, l := range list {
			if _, err := parseBase(l.URL); err != nil {
				t.Errorf("the URL %q cannot be read again: %v", l.URL, err)
			}
		}
	})
}

package registry

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/weir-ai/weir/llm"
)

func TestSetReplacesWholeOrNothing(t *testing.T) {
	t.Parallel()
	var r Registry
	if _, ok := r.Get("a"); ok || r.List() != nil {
		t.Fatal("the zero registry is not empty")
	}
	if err := r.Set([]Model{{ID: "b"}, {ID: "a"}}); err != nil {
		t.Fatal(err)
	}
	refused := func(want string, models ...Model) {
		t.Helper()
		err := r.Set(models)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
		if l := r.List(); len(l) != 2 || l[0].ID != "a" || l[1].ID != "b" {
			t.Errorf("a refused Set changed the list to %v", l)
		}
	}
	refused("stands for the models", Model{ID: "a"}, Model{ID: "a"})
	refused("stands for the models", Model{ID: "a", Aliases: []llm.ModelID{"b"}}, Model{ID: "b"})
	refused("letters", Model{ID: "a", Aliases: []llm.ModelID{"b c"}})
	refused("not another model", Model{ID: "a", Fallbacks: []llm.ModelID{"b"}})
	refused("not another model", Model{ID: "a", Aliases: []llm.ModelID{"b"}, Fallbacks: []llm.ModelID{"b"}})
	refused("empty", Model{})
	refused("letters", Model{ID: "a b"})
	many := make([]Model, modelsMax+1)
	for i := range many {
		many[i] = Model{ID: llm.ModelID(fmt.Sprint("m", i))}
	}
	refused("more than", many...)
	if err := r.Set(many[:modelsMax]); err != nil {
		t.Errorf("at the bound: %v", err)
	}
}

func TestReadersSeeOneSnapshot(t *testing.T) {
	t.Parallel()
	var r Registry
	one := []Model{{ID: "a"}, {ID: "b"}}
	two := []Model{{ID: "c"}}
	if err := r.Set(one); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				if l := r.List(); len(l) == 2 && l[0].ID != "a" || len(l) == 1 && l[0].ID != "c" {
					t.Errorf("mixed snapshot %v", l)
				}
			}
		})
	}
	for i := range 200 {
		if err := r.Set([][]Model{one, two}[i%2]); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

func TestAliasesMeanTheirModel(t *testing.T) {
	t.Parallel()
	var r Registry
	if err := r.Set([]Model{{ID: "a", Aliases: []llm.ModelID{"x", "y"}, Fallbacks: []llm.ModelID{"z"}}, {ID: "b", Aliases: []llm.ModelID{"z"}}}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[llm.ModelID]llm.ModelID{"a": "a", "x": "a", "y": "a", "z": "b"} {
		if m, ok := r.Get(name); !ok || m.ID != want {
			t.Errorf("%q means %q, want %q", name, m.ID, want)
		}
	}
	if l := r.List(); len(l) != 2 {
		t.Errorf("aliases are listed as models: %v", l)
	}
}

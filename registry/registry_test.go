package registry

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/weir-ai/weir/llm"
)

type silent struct{}

func (silent) Run(context.Context, *llm.Request, func(llm.Event) error) (llm.Usage, error) {
	return llm.Usage{}, nil
}

func TestSetReplacesWholeOrNothing(t *testing.T) {
	t.Parallel()
	var r Registry
	if _, ok := r.Get("a"); ok || r.List() != nil {
		t.Fatal("the zero registry is not empty")
	}
	if err := r.Set([]Model{{ID: "b", Runner: silent{}}, {ID: "a", Runner: silent{}}}); err != nil {
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
	refused("twice", Model{ID: "a", Runner: silent{}}, Model{ID: "a", Runner: silent{}})
	refused("nothing that answers", Model{ID: "a"})
	refused("empty", Model{Runner: silent{}})
	refused("letters", Model{ID: "a b", Runner: silent{}})
	many := make([]Model, modelsMax+1)
	for i := range many {
		many[i] = Model{ID: llm.ModelID(fmt.Sprint("m", i)), Runner: silent{}}
	}
	refused("more than", many...)
	if err := r.Set(many[:modelsMax]); err != nil {
		t.Errorf("at the bound: %v", err)
	}
}

func TestReadersSeeOneSnapshot(t *testing.T) {
	t.Parallel()
	var r Registry
	one := []Model{{ID: "a", Runner: silent{}}, {ID: "b", Runner: silent{}}}
	two := []Model{{ID: "c", Runner: silent{}}}
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

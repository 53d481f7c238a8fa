package jinja

// at is where a node stands, and how deep expressions nest in it.
type at struct{ line, depth int }

func (a at) place() at { return a }

// expr is an expression of a template.
type expr interface {
	place() at
	eval(f *frame) Value
	each(visit func(expr)) // its direct parts, in the order of Jinja's own nodes
}

// captured stands for the text of a block that filters are applied to.
type captured struct{ at }

type literal struct {
	at
	value Value
}

type nameRef struct {
	at
	name string
}

// sequence is a list or tuple literal.
type sequence struct {
	at
	items []expr
	tuple bool
}

type dictLiteral struct {
	at
	keys, values []expr
}

type unary struct {
	at
	op string // + - not
	x  expr
}

type binary struct {
	at
	op   string
	x, y expr
}

// logic is x and y, or x or y.
type logic struct {
	at
	and  bool
	x, y expr
}

// comparison is first op operand op operand ..., as Python chains them.
type comparison struct {
	at
	first    expr
	ops      []string
	operands []expr
}

// joined is the text of all parts, by ~.
type joined struct {
	at
	parts []expr
}

// choice is then if test else other; other may be nil.
type choice struct {
	at
	test, then, other expr
}

type attribute struct {
	at
	x    expr
	name string
}

type item struct {
	at
	x, key expr
}

// slice is x[from:to:step], each nil where left out.
type slice struct {
	at
	x, from, to, step expr
}

// arguments are those of a call, filter or test.
type arguments struct {
	pos     []expr
	names   []string
	named   []expr
	star    expr // *args
	mapping expr // **kwargs
}

func (a *arguments) each(visit func(expr)) {
	for _, e := range a.pos {
		visit(e)
	}
	for _, e := range a.named {
		visit(e)
	}
	if a.star != nil {
		visit(a.star)
	}
	if a.mapping != nil {
		visit(a.mapping)
	}
}

type invocation struct {
	at
	x expr
	arguments
}

// filtered is x | name(...), and tested is x is name(...). Their functions are nil where no such filter or test exists.
type filtered struct {
	at
	x    expr
	name string
	fn   function
	arguments
}

type tested struct {
	at
	x    expr
	name string
	fn   function
	arguments
}

func (captured) each(func(expr)) {}
func (literal) each(func(expr))  {}
func (nameRef) each(func(expr))  {}

func (e *sequence) each(visit func(expr)) {
	for _, x := range e.items {
		visit(x)
	}
}

func (e *dictLiteral) each(visit func(expr)) {
	for i := range e.keys {
		visit(e.keys[i])
		visit(e.values[i])
	}
}

func (e *unary) each(visit func(expr))  { visit(e.x) }
func (e *binary) each(visit func(expr)) { visit(e.x); visit(e.y) }
func (e *logic) each(visit func(expr))  { visit(e.x); visit(e.y) }

func (e *comparison) each(visit func(expr)) {
	visit(e.first)
	for _, x := range e.operands {
		visit(x)
	}
}

func (e *joined) each(visit func(expr)) {
	for _, x := range e.parts {
		visit(x)
	}
}

func (e *choice) each(visit func(expr)) {
	visit(e.test)
	visit(e.then)
	if e.other != nil {
		visit(e.other)
	}
}

func (e *attribute) each(visit func(expr)) { visit(e.x) }
func (e *item) each(visit func(expr))      { visit(e.x); visit(e.key) }

func (e *slice) each(visit func(expr)) {
	visit(e.x)
	for _, x := range []expr{e.from, e.to, e.step} {
		if x != nil {
			visit(x)
		}
	}
}

func (e *invocation) each(visit func(expr)) { visit(e.x); e.arguments.each(visit) }
func (e *filtered) each(visit func(expr))   { visit(e.x); e.arguments.each(visit) }
func (e *tested) each(visit func(expr))     { visit(e.x); e.arguments.each(visit) }

// stmt is a statement of a template.
type stmt interface {
	place() at
	exec(f *frame) signal
}

// output prints its parts, text among them as literals.
type output struct {
	at
	parts []expr
}

// target is what an assignment sets: a name, an attribute of a namespace, or several of these.
type target struct {
	name, attr string
	items      []target // a tuple where several is set
	several    bool
}

// assign sets a target to a value, or to the text of a body that filters are applied to.
type assign struct {
	at
	target target
	value  expr
}

type assignBlock struct {
	at
	target target
	filter expr // over captured
	body   block
}

type forLoop struct {
	at
	target    target
	over      expr
	test      expr // nil where all items are taken
	recursive bool
	body      block
	otherwise block // where there was no item
}

// branch is one if or elif with its body.
type branch struct {
	test expr
	body []stmt
}

type ifElse struct {
	at
	branches  []branch
	otherwise []stmt
}

type param struct {
	name string
	def  expr // nil where there is none
}

// signature is what a macro or call block takes, and its body.
type signature struct {
	name   string // of the macro
	params []param
	body   block

	caller, kwargs, varargs bool // the body uses these names
}

type macroDef struct {
	at
	signature
}

type callBlock struct {
	at
	signature
	invoke *invocation // nil in a generation block, which prints its body
}

type filterBlock struct {
	at
	filter expr // over captured
	body   block
}

type withBlock struct {
	at
	targets []target
	values  []expr
	body    block
}

// jump is break or continue.
type jump struct {
	at
	to signal
}

// block is a body with a scope of its own. hidden names are unset when it begins even where an outer scope has them, because the
// block sets them before it reads them; symbols.go says more.
type block struct {
	stmts  []stmt
	hidden []string
}

package llm

import "fmt"

// Class says how soon a request should start, against the others. A higher class goes first; each lower one keeps a small share.
type Class uint8

const (
	// ClassUnset is a request that nobody has given a class; it counts as standard, so that forgetting never lifts one.
	ClassUnset Class = iota
	// ClassSystem is for what operators depend on: probes of the whole path, incident tools.
	ClassSystem
	// ClassInteractive is for people who wait.
	ClassInteractive
	// ClassStandard is for programs that wait.
	ClassStandard
	// ClassBatch is for what may take its time: it fills what the others leave, and has no objective.
	ClassBatch
)

// Classes lists the classes that a request can have, highest first.
func Classes() []Class { return []Class{ClassSystem, ClassInteractive, ClassStandard, ClassBatch} }

// ClassCount is the number of classes that a request can have.
const ClassCount = 4

// Rank is the class's place in Classes: 0 for the highest.
func (c Class) Rank() int {
	if c < ClassSystem || c > ClassBatch {
		return int(ClassStandard - ClassSystem)
	}
	return int(c - ClassSystem)
}

// Lower gives the lower of two classes: what a request asks for may only lower what its key has.
func (c Class) Lower(d Class) Class {
	if d.Rank() > c.Rank() {
		return d
	}
	return c
}

// String is the class's name in configurations, headers, metrics and logs.
func (c Class) String() string {
	return [...]string{"system", "interactive", "standard", "batch"}[c.Rank()]
}

// ParseClass reads a class's name.
func ParseClass(s string) (Class, error) {
	for _, c := range Classes() {
		if c.String() == s {
			return c, nil
		}
	}
	return ClassUnset, fmt.Errorf("class %q is not known; it is system, interactive, standard or batch", s)
}

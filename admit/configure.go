package admit

// Configure has the gate keep to other promises and bounds from now on. What runs and what waits stays; what waits keeps the time that it
// was to start by.
func (g *Gate) Configure(c Config) {
	g.config = c.WithDefaults()
	for i := range g.classes {
		g.classes[i].config = g.config.Classes[i]
	}
}

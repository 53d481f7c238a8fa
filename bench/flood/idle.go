package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// idle says whether Weir's gate refused while it had room, as its metrics tell: what is in flight, what may be, and how many were turned
// away. A look in time is not the proof that the simulation gives, but it is of the real thing.
type idle struct {
	Looks int `json:"looks"` // in which something was turned away by the gate
	// Idle are those of them in which before and after less was in flight than may be, by one request at least.
	Idle int `json:"idle"`
	// Busy is the mean of what was in flight over what may be, in all looks.
	Busy float64 `json:"busy"`
}

// lookEvery is short beside an answer, and long beside what a look costs the server.
const lookEvery = 500 * time.Millisecond

// look is one sight of the metrics.
type look struct {
	turned          float64
	limit, inFlight float64
}

// watch looks until the context ends, and gives what it saw.
func watch(ctx context.Context, addr string) *idle {
	client := &http.Client{Timeout: 2 * time.Second}
	var out idle
	var before *look
	total := 0
	for {
		sleep(ctx, lookEvery)
		if ctx.Err() != nil {
			break
		}
		now, err := lookAt(ctx, client, addr)
		if err != nil {
			before = nil // a look that failed says nothing of the time around it
			continue
		}
		if now.limit > 0 {
			total++
			out.Busy += now.inFlight / now.limit
		}
		if before != nil && now.turned > before.turned {
			out.Looks++
			if now.hasRoom() && before.hasRoom() {
				out.Idle++
			}
		}
		before = &now
	}
	if total == 0 {
		return nil
	}
	out.Busy /= float64(total)
	return &out
}

func (l look) hasRoom() bool { return l.limit > 0 && l.inFlight <= l.limit-1 }

func lookAt(ctx context.Context, client *http.Client, addr string) (look, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return look{}, err
	}
	req.Header.Set("Authorization", "Bearer "+benchKey)
	res, err := client.Do(req)
	if err != nil {
		return look{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return look{}, fmt.Errorf("metrics: status %d", res.StatusCode)
	}
	return readLook(res.Body)
}

// gateReasons are those of the gate. A tenant's limits refuse whatever room there is.
var gateReasons = []string{"gate_full", "predicted_miss", "displaced", "start_by"}

// readLook adds up the metrics of all models and endpoints.
func readLook(text io.Reader) (look, error) {
	var l look
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			continue
		}
		name, labels, _ := strings.Cut(line[:at], "{")
		switch name {
		case "weir_gate_limit":
			l.limit += v
		case "weir_gate_in_flight":
			l.inFlight += v
		case "weir_turned_away_total":
			for _, r := range gateReasons {
				if strings.Contains(labels, `reason="`+r+`"`) {
					l.turned += v
				}
			}
		}
	}
	return l, lines.Err()
}

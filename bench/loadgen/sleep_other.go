//go:build !linux

package main

import "time"

func sharpen() {}

func pause(d time.Duration) { time.Sleep(d) }

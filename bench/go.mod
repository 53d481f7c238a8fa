module github.com/weir-ai/weir/bench

go 1.26.0

"""serve_llamacpp.py MODEL.gguf SLOTS CONTEXT: llama.cpp's own HTTP server, from the xllamacpp wheel, on a free port of 127.0.0.1, which it prints."""

import socket
import sys
import threading

import xllamacpp

with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
p = xllamacpp.CommonParams()
p.model.path, p.hostnames, p.port = sys.argv[1], ["127.0.0.1"], port
p.n_parallel, p.n_ctx = int(sys.argv[2]), int(sys.argv[2]) * int(sys.argv[3])
p.endpoint_metrics, p.endpoint_slots, p.warmup, p.cpuparams.n_threads = True, True, False, 1
server = xllamacpp.Server(p)
print("listening", server.listening_address, flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), __import__("os")._exit(0)), daemon=True).start()
threading.Event().wait()

package peer

import (
	"cmp"
	"fmt"
	"os"
)

// Every peer is set up as its documentation advises for a proxy in front of streams: connections to the upstream kept alive, nothing
// buffered, no log of requests. Whatever else it does by default stays on.

// connections are enough for 500 streams many times over.
const connections = 8192

// Nginx runs one worker a core. Bodies and answers pass through unbuffered; the folder of the turn is its prefix.
func Nginx(s Site) (Command, error) {
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n" // its workers could not enter the turn's folder otherwise
	}
	file, err := s.Write("nginx.conf", fmt.Sprintf(`%sdaemon off;
pid nginx.pid;
error_log stderr error;
worker_processes %d;
events { worker_connections %d; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  client_max_body_size 32m;
  keepalive_requests 1000000;
  keepalive_timeout 120s;
  upstream engine {
    server %s;
    keepalive 1024;
    keepalive_requests 1000000;
  }
  server {
    listen %s backlog=4096;
    location / {
      proxy_pass http://engine;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_buffering off;
      proxy_request_buffering off;
    }
  }
}
`, user, s.Cores, cmp.Or(s.Connections, connections), s.Upstream, s.Addr))
	return Command{Program: s.Program, Args: []string{"-p", s.Dir + "/", "-e", "stderr", "-c", file}}, err
}

// HAProxy lets chunks go out at once (http-no-delay); without it they wait for each other.
func HAProxy(s Site) (Command, error) {
	file, err := s.Write("haproxy.cfg", fmt.Sprintf(`global
  maxconn %d
defaults
  mode http
  option http-no-delay
  http-reuse always
  timeout connect 5s
  timeout client 120s
  timeout server 120s
frontend clients
  bind %s
  default_backend engine
backend engine
  server engine %s
`, cmp.Or(s.Connections, connections), s.Addr, s.Upstream))
	return Command{Program: s.Program, Args: []string{"-db", "-f", file}}, err
}

// LlamaSwap uses the engine as a peer of its own, which is its way to other servers; its captures of bodies and its log are off.
func LlamaSwap(s Site) (Command, error) {
	file, err := s.Write("llama-swap.yaml", fmt.Sprintf(`logLevel: error
logToStdout: none
captureBuffer: 0
performance: {disabled: true}
apiKeys: [%s]
models: {}
peers:
  engine:
    proxy: http://%s
    models: [%s]
`, s.Key, s.Upstream, s.Model))
	return Command{Program: s.Program, Args: []string{"-config", file, "-listen", s.Addr}}, err
}

// LiteLLMEnv is LiteLLM's production mode, with the price list that it brings: nothing may be fetched.
func LiteLLMEnv() []string {
	return []string{"LITELLM_LOCAL_MODEL_COST_MAP=True", "LITELLM_MODE=PRODUCTION", "LITELLM_LOG=ERROR"}
}

// LiteLLM runs one worker a core, as its documentation advises.
func LiteLLM(s Site) (Command, error) {
	file, err := s.Write("litellm.yaml", fmt.Sprintf(`model_list:
  - model_name: %s
    litellm_params: {model: openai/%[1]s, api_base: "http://%s/v1", api_key: sk-engine}
general_settings:
  master_key: %s
  dangerously_permit_weak_or_unset_master_key: true
litellm_settings: {num_retries: 0}
`, s.Model, s.Upstream, s.Key))
	host, port := Split(s.Addr)
	return Command{Program: s.Program, Args: []string{"--config", file, "--host", host, "--port", port,
		"--num_workers", fmt.Sprint(s.Cores), "--telemetry", "False"}}, err
}

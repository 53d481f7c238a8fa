package main

import (
	"fmt"
	"os"
)

// Every peer is set up as its documentation advises for a proxy in front of streams: connections to the upstream kept alive, nothing
// buffered, no log of requests. Whatever else it does by default stays on.

// configureNginx runs one worker a core. Bodies and answers pass through unbuffered; the folder of the turn is its prefix.
func configureNginx(s site) (command, error) {
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n" // its workers could not enter the turn's folder otherwise
	}
	file, err := s.write("nginx.conf", fmt.Sprintf(`%sdaemon off;
pid nginx.pid;
error_log stderr error;
worker_processes %d;
events { worker_connections 8192; }
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
  upstream mock {
    server %s;
    keepalive 1024;
    keepalive_requests 1000000;
  }
  server {
    listen %s backlog=4096;
    location / {
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering off;
    }
  }
}
`, user, s.cores, s.upstream, s.addr))
	return command{program: s.program, args: []string{"-p", s.dir + "/", "-e", "stderr", "-c", file}}, err
}

// configureHAProxy lets chunks go out at once (http-no-delay); without it they wait for each other.
func configureHAProxy(s site) (command, error) {
	file, err := s.write("haproxy.cfg", fmt.Sprintf(`global
  maxconn 8192
defaults
  mode http
  option http-no-delay
  http-reuse always
  timeout connect 5s
  timeout client 120s
  timeout server 120s
frontend clients
  bind %s
  default_backend mock
backend mock
  server mock %s
`, s.addr, s.upstream))
	return command{program: s.program, args: []string{"-db", "-f", file}}, err
}

// configureLlamaSwap uses the mock as a peer of its own, which is its way to other servers; its captures of bodies and its log are off.
func configureLlamaSwap(s site) (command, error) {
	file, err := s.write("llama-swap.yaml", fmt.Sprintf(`logLevel: error
logToStdout: none
captureBuffer: 0
performance: {disabled: true}
apiKeys: [%s]
models: {}
peers:
  mock:
    proxy: http://%s
    models: [%s]
`, benchKey, s.upstream, benchModel))
	return command{program: s.program, args: []string{"-config", file, "-listen", s.addr}}, err
}

// liteLLMEnv is its production mode, with the price list that it brings: nothing may be fetched.
func liteLLMEnv() []string {
	return []string{"LITELLM_LOCAL_MODEL_COST_MAP=True", "LITELLM_MODE=PRODUCTION", "LITELLM_LOG=ERROR"}
}

// configureLiteLLM runs one worker a core, as its documentation advises.
func configureLiteLLM(s site) (command, error) {
	file, err := s.write("litellm.yaml", fmt.Sprintf(`model_list:
  - model_name: %s
    litellm_params: {model: openai/%[1]s, api_base: "http://%s/v1", api_key: sk-mock}
general_settings:
  master_key: %s
  dangerously_permit_weak_or_unset_master_key: true
litellm_settings: {num_retries: 0}
`, benchModel, s.upstream, benchKey))
	host, port := split(s.addr)
	return command{program: s.program, args: []string{"--config", file, "--host", host, "--port", port,
		"--num_workers", fmt.Sprint(s.cores), "--telemetry", "False"}}, err
}

# NGINX as a Nomad job that renders how Drover divides the traffic. In drover.hcl:
#
#   router "edge" {
#     type   = "template"
#     job    = "edge"
#     status = ["http://ADDRESS:8081/drover"]   # of every allocation of this job
#     sticky = true                             # what is rendered here keeps users on their track
#   }
#
# Every task may read the variable nomad/jobs/<its own job>; nothing else is to be allowed. Put certificates, headers and
# limits into the server block: what stands there goes for all requests alike, whichever version answers them.
variable "listen" {
  type    = string
  default = "0.0.0.0:80"
}

variable "status" {
  type    = string
  default = "0.0.0.0:8081" # where Drover asks what is loaded; keep it from users
}

job "edge" {
  group "edge" {
    task "nginx" {
      driver = "raw_exec"

      config {
        command = "nginx"
        args    = ["-p", "${NOMAD_TASK_DIR}", "-c", "${NOMAD_TASK_DIR}/nginx.conf", "-g", "daemon off;"]
      }

      template {
        destination   = "local/nginx.conf"
        change_mode   = "signal"
        change_signal = "SIGHUP"
        splay         = "0s" # The way back is not to wait for these.
        wait {
          min = "10ms"
          max = "200ms"
        }
        data = <<TEMPLATE
pid {{ env "NOMAD_TASK_DIR" }}/nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
  access_log off;
  map_hash_bucket_size 128;
  variables_hash_bucket_size 128;
  server_names_hash_bucket_size 128;
  map $https $drover__secure { on "; Secure"; default ""; }
  client_body_temp_path {{ env "NOMAD_TASK_DIR" }}/body;
  proxy_temp_path {{ env "NOMAD_TASK_DIR" }}/proxy;
  fastcgi_temp_path {{ env "NOMAD_TASK_DIR" }}/fastcgi;
  uwsgi_temp_path {{ env "NOMAD_TASK_DIR" }}/uwsgi;
  scgi_temp_path {{ env "NOMAD_TASK_DIR" }}/scgi;
{{ with nomadVar (printf "nomad/jobs/%s" (env "NOMAD_JOB_ID")) }}{{ $drover := .drover.Value | parseJSON }}
{{ range $release := $drover.releases }}{{ range $track := (split "," "stable,canary") }}
  upstream {{ $release.symbol }}_{{ $track }} {
{{ range (index $release $track) }}    server {{ .address }};
{{ else }}    server 127.0.0.1:1 down;
{{ end }}    keepalive 32;
  }
{{ end }}
  split_clients $request_id $drover_{{ if $release.sticky }}_drawn_{{ end }}{{ $release.symbol }} {
{{ if $release.divided }}    {{ $release.share }}% {{ $release.symbol }}_canary;
{{ end }}    * {{ $release.symbol }}_{{ $release.rest }};
  }
{{ if $release.sticky }}  # Users stay where they were answered first: the cookie says which track that was, and of which rollout.
  map $cookie_drover_{{ $release.symbol }} $drover_{{ $release.symbol }} {
    "{{ $release.sessions }}.s" {{ $release.symbol }}_stable;
    "{{ $release.sessions }}.c" {{ $release.symbol }}_canary;
    default $drover__drawn_{{ $release.symbol }};
  }
  map $drover_{{ $release.symbol }} $drover__first_{{ $release.symbol }} {
    {{ $release.symbol }}_stable "{{ $release.sessions }}.s";
    default "{{ $release.sessions }}.c";
  }
  map $cookie_drover_{{ $release.symbol }} $drover__set_cookie_{{ $release.symbol }} {
    "{{ $release.sessions }}.s" "";
    "{{ $release.sessions }}.c" "";
    default "drover_{{ $release.symbol }}=$drover__first_{{ $release.symbol }}; Path=/; HttpOnly; SameSite=Lax$drover__secure";
  }
{{ end }}  # The service sees its own cookies alone.
  map $http_cookie $drover__cookies_{{ $release.symbol }} {
    "~^drover_{{ $release.symbol }}=[^;]*(?:; *)?(?<drover__after>.*)$" $drover__after;
    "~^(?<drover__before>.*?); *drover_{{ $release.symbol }}=[^;]*(?<drover__after>.*)$" $drover__before$drover__after;
    default $http_cookie;
  }
  server {
    listen ${var.listen};
    server_name {{ $release.release }} {{ $release.release }}.*;
{{ if $release.sticky }}    add_header Set-Cookie $drover__set_cookie_{{ $release.symbol }} always; # Repeat it where a location has an add_header.
{{ end }}    location / {
      proxy_pass http://$drover_{{ $release.symbol }};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header Cookie $drover__cookies_{{ $release.symbol }};
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
{{ end }}
  server {
    listen ${var.status};
    location = /drover { return 200 "{{ $drover.sum }} sticky"; }
  }
{{ end }}
}
TEMPLATE
      }
    }
  }
}

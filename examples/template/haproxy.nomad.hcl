# HAProxy as a Nomad job that renders how Drover divides the traffic. In drover.hcl:
#
#   router "edge" {
#     type   = "template"
#     job    = "edge"
#     status = ["http://ADDRESS:8081/drover"]   # of every allocation of this job
#     sticky = true                             # what is rendered here keeps users on their track
#   }
#
# Every task may read the variable nomad/jobs/<its own job>; nothing else is to be allowed. Put certificates, headers and
# limits into the frontend: what stands there goes for all requests alike, whichever version answers them.
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
    task "haproxy" {
      driver = "raw_exec"

      config {
        command = "haproxy"
        args    = ["-W", "-db", "-f", "${NOMAD_TASK_DIR}/haproxy.cfg"]
      }

      template {
        destination   = "local/haproxy.cfg"
        change_mode   = "signal"
        change_signal = "SIGUSR2"
        splay         = "0s" # The way back is not to wait for these.
        wait {
          min = "10ms"
          max = "200ms"
        }
        data = <<TEMPLATE
global
  hard-stop-after 1m
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 10s
{{ with nomadVar (printf "nomad/jobs/%s" (env "NOMAD_JOB_ID")) }}{{ $drover := .drover.Value | parseJSON }}
frontend edge
  bind ${var.listen}
  http-request set-var(txn.draw) rand(10000)
  http-request set-var(txn.secure) str("; Secure") if { ssl_fc }
{{ range $drover.releases }}{{ $cookie := printf "drover_%s" .symbol }}{{ $is := printf "{ req.hdr(host),field(1,:),field(1,.) -i %s }" .release }}
{{ if .sticky }}  # Users stay where they were answered first: the cookie says which track that was, and of which rollout.
  http-request set-var(txn.track) str(stable) if {{ $is }} { req.cook({{ $cookie }}) -m str {{ .sessions }}.s }
  http-request set-var(txn.track) str(canary) if {{ $is }} { req.cook({{ $cookie }}) -m str {{ .sessions }}.c }
  http-request set-var(txn.cookie) str("{{ $cookie }}={{ .sessions }}.s") if {{ $is }} !{ var(txn.track) -m found }
  http-request set-var(txn.cookie) str("{{ $cookie }}={{ .sessions }}.c") if {{ $is }} !{ var(txn.track) -m found } { var(txn.draw) -m int lt {{ .hundredths }} }
  http-request set-var(txn.track) str(canary) if {{ $is }} !{ var(txn.track) -m found } { var(txn.draw) -m int lt {{ .hundredths }} }
{{ end }}  # The service sees its own cookies alone.
  http-request replace-header Cookie '^(|.*; *){{ $cookie }}=[^;]*(; *(.*))?$' '\1\3' if { req.cook({{ $cookie }}) -m found }
{{ if .sticky }}  use_backend {{ .release }}-canary if {{ $is }} { var(txn.track) -m str canary }
{{ else if .divided }}  use_backend {{ .release }}-canary if {{ $is }} { var(txn.draw) -m int lt {{ .hundredths }} }
{{ end }}  use_backend {{ .release }}-{{ .rest }} if {{ $is }}
{{ end }}
  http-request replace-header Cookie '^(.*); *$' '\1'
  http-request del-header Cookie if { req.hdr(cookie) -m len 0 }
  http-response add-header Set-Cookie "%[var(txn.cookie)]; Path=/; HttpOnly; SameSite=Lax%[var(txn.secure)]" if { var(txn.cookie) -m found }

frontend status
  bind ${var.status}
  http-request return status 200 content-type text/plain string "{{ $drover.sum }} sticky" if { path /drover }
  http-request return status 404
{{ range $release := $drover.releases }}{{ range $track := (split "," "stable,canary") }}
backend {{ $release.release }}-{{ $track }}
  balance leastconn
  option redispatch
{{ range (index $release $track) }}  server {{ .alloc }} {{ .address }}
{{ end }}{{ end }}{{ end }}{{ end }}
TEMPLATE
      }
    }
  }
}

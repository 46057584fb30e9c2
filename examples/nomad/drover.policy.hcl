# What Drover may do. A block as the first for every namespace that it releases into.
namespace "default" {
  capabilities = [
    "parse-job",          # ask what a jobspec says
    "read-job",           # see jobs, allocations, checks, deployments and services, and follow events
    "register-job",       # start a rollout, and go back
    "promote-deployment", # end a rollout well
    "deregister-job",     # stop a job whose first release failed
    "tag-job-version",    # keep the version that it would go back to
    "scale-job",          # follow a count that was changed in Git
    "alloc-lifecycle",    # replace a failed allocation of a standby
  ]

  # Its own records, its lock and the splits of its routers. The first part is the instance of drover.hcl.
  variables {
    path "drover/*" {
      capabilities = ["list", "read", "write"]
    }
  }
}

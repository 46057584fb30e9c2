# What a proxy may do: read the splits. Registrations of services every workload may read.
namespace "default" {
  variables {
    path "drover/splits/*" {
      capabilities = ["list", "read"]
    }
  }
}

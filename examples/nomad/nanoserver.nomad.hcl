# A Nomad job on linwin through Nomad's docker driver. Written from the driver's
# documentation and source; it was never run: see docs/schedulers.md.
#
# The client's configuration:
#
#   plugin "docker" {
#     config {
#       endpoint = "unix:///run/linwin/linwin.sock"
#     }
#   }
job "nanoserver" {
  type = "batch"

  group "one" {
    task "ver" {
      driver = "docker"

      config {
        image        = "microsoft/nanoserver"
        command      = "cmd"
        args         = ["/c", "ver"]
        network_mode = "none"
      }

      resources {
        cpu    = 1000
        memory = 512
      }
    }
  }
}

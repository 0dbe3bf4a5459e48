package corefile

// Version is plexha's, as each program's -version and the probes' User-Agent say it.
const Version = "0.1.0"

#!/bin/sh
# Runs on the machine that is made up: says how the programs are while they are reloaded, frozen and stopped.
pid() { systemctl show -p MainPID --value "$1"; }
restarts() { systemctl show -p NRestarts --value "$1"; }
becomes() { # WANT COMMAND...
    want=$1
    shift
    for _ in $(seq 200); do
        got=$("$@" 2>&1)
        [ "$got" = "$want" ] && break
        sleep 0.1
    done
    echo "$* = $got"
}

for p in plexdns plexproxy; do
    becomes active systemctl is-active $p
    echo "$p: user $(stat -c %U:%G "/proc/$(pid $p)"), capabilities $(sed -n 's/^CapEff:\t0*//p' "/proc/$(pid $p)/status")"
done
echo "state: $(stat -c '%a %U:%G' /var/lib/plexha)"
for p in plexdns plexproxy; do
    systemctl reload $p && echo "$p reloads"
    becomes active systemctl is-active $p
done
sleep 7 # longer than the watchdog waits
for p in plexdns plexproxy; do
    becomes 0 restarts $p
    kill -STOP "$(pid $p)"
    becomes 1 restarts $p
    becomes active systemctl is-active $p
    systemctl stop $p 2>/dev/null # that its socket may start it again
    echo "$p: $(systemctl show -p Result --value $p)"
done
systemctl exit 0

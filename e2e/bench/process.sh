# What the scripts share that watch programs: to be sourced from the top of the repository. PID has a program's process by
# its name.
# shellcheck shell=bash

# family prints the ids of a program's process and of all below it.
family() {
    local pid
    echo "$1"
    for pid in $(cat "/proc/$1/task/"*/children); do family "$pid"; done
}

# cpu prints how many microseconds of CPU a program has had, with all of its threads.
cpu() {
    local pid stat sum=0
    for pid in $(family "${PID[$1]}"); do
        read -r stat <"/proc/$pid/stat"
        read -ra stat <<<"${stat##*) }"
        sum=$((sum + stat[11] + stat[12])) # utime and stime; see proc(5)
    done
    echo $((sum * 1000000 / $(getconf CLK_TCK)))
}

# How the scripts come by the programs that they measure: to be sourced from the top of the repository. DIR/bin is where
# programs are.
# shellcheck shell=bash

# provide NAME FILE PACKAGE [OPTION...] has a program be the file or, if that is empty, what the package builds to.
provide() {
    if [[ -n $2 ]]; then
        cp "$2" "$DIR/bin/$1"
    else
        CGO_ENABLED=${CGO_ENABLED:-0} go build "${@:4}" -ldflags '-s -w' -o "$DIR/bin/$1" "$3"
    fi
}

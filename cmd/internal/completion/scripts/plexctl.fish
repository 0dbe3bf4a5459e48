# Completion of plexctl, plexdns and plexproxy in fish.

function __plexctl_complete
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    set -l current (commandline --cut-at-cursor --current-token)
    set -l program (basename -- $words[1])
    set -l plexctl plexctl
    test $program = plexctl; and set plexctl $words[1]
    for line in ($plexctl __complete $program $words[2..-1] "$current" 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path "$current"
        else
            echo $line
        end
    end
end

for program in plexctl plexdns plexproxy
    complete --command $program --no-files --arguments '(__plexctl_complete)'
end
